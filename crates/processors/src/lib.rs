//! First-party plugins: JSON transformer, data validator, PostgreSQL processor.
