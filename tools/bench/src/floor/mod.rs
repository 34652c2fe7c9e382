//! The least the machine could do: bare loops over bare files and tables, nothing decided and nothing explained.

pub mod append;
pub mod fold;
pub mod frames;
pub mod policy;
pub mod postings;
