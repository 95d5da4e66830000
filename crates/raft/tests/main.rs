//! The core's tests at its boundary: whole clusters of cores, moved by hand.

mod lecture;
mod paper;
mod scripts;
