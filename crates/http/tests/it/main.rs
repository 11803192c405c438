//! The interface over a real store: in the process where the answer matters, over connections where
//! the connection does.

mod connections;
mod encrypted;
mod limits;
mod live;
mod reads;
mod routes;
mod stage;
