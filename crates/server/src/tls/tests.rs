//! Files that are right, wrong, and changed.
