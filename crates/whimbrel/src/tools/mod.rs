//! Small commands that do one thing and end.

pub(crate) mod admin_key;
pub(crate) mod backup;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod migrate;
