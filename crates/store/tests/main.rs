//! The machine seen from outside: by scripts, against a model at random, and as bytes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![expect(clippy::missing_assert_message, reason = "what is compared says what differs")]

mod dice;
mod draw;
mod hostile;
mod model;
mod random;
mod said;
mod scripts;
mod stage;
mod words;
