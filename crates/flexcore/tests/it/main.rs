//! Whole runs: the built binary on real files, with real processes, kills, full disks and
//! read-only mounts.
//!
//! `project` is the stage: a project folder of its own for each test and the binary that runs in
//! it. Tests know FlexCore by its command line, its files and `--output json`, as users do.

#![expect(clippy::panic, reason = "helpers of tests fail by panicking")]

mod access;
mod bad_disks;
mod bad_files;
mod bad_stores;
mod bad_streams;
mod bookmarks;
mod deploy;
mod interrupts;
mod kill;
mod log;
mod mounts;
mod observe;
mod ordinary_user;
mod pipelines;
mod plugin_install;
mod plugin_new;
mod plugin_state;
mod plugins;
mod plugins_example;
mod postgres;
mod project;
mod random;
mod reading;
mod registered_taps;
mod remote;
mod retention;
mod running;
mod sandbox;
mod secrets;
mod serve;
mod steps;
mod third_party;
