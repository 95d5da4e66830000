//! The replica's tests at its boundary: one to several replicas on simulated disks, moved by hand.

mod args;
mod crash;
mod damage;
mod draw;
mod script;
mod scripts;
mod stage;
