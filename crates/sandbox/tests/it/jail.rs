//! Attempts to get out of the jail, in every tier that this machine offers.

mod cage;
mod containment;
mod files;
mod network;
mod ownership;
mod processes;
mod reports;
mod resources;
mod secrets;
mod verified;
