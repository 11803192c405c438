//! The embedded store, tested on real files.

mod contract;
mod crash;
mod disk;
mod model;
mod opening;
mod support;
mod verify;
mod views;
