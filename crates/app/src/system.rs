//! The system as a whole: what was counted, and how far the views follow the log.

mod metrics;
mod views;
