//! For authors: a process plugin for FlexCore in Rust.
