//! Calls plugins that are services at an address.
