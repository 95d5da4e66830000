//! What the tests of whole processes stand on.
