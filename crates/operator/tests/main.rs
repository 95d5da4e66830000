//! Tests of the operator from outside.

mod definition;
