//! Whole-system tests: the real program as a process, real sockets, real files, real kills.
//!
//! This library is what those tests share. `standalone/` holds the tests of a single node, one file for each promise; `cluster/` those of roles in processes of their
//! own, on private engines.

pub mod cluster;
pub mod files;
pub mod gate;
pub mod groups;
pub mod people;
pub mod raw;
pub mod server;
pub mod wait;
