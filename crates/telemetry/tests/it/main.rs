//! What goes out of a program: spans to a collector, metrics as text.

mod metrics;
mod traces;
