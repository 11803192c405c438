//! The system as a whole: what was counted, how far the views follow the log, and what it forgets.

mod log_level;
mod metrics;
mod prune;
mod views;
