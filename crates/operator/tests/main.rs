//! Tests of the operator from outside.

mod definition;
mod model;
mod scripts;
