//! Runs every script under `tests/scripts`.
