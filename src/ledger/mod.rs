//! Writes: the only module that appends.

pub mod import;
