//! Whole-system tests: the real program as a process, real sockets, real files, real kills.
//!
//! This library is what those tests share. `standalone/` holds the tests of a single node, one file for each promise; `cluster/` those of roles in processes of their
//! own, on private engines.

pub mod cluster;
pub mod erasing;
pub mod files;
pub mod gate;
pub mod groups;
pub mod history;
pub mod people;
pub mod presence;
pub mod raw;
pub mod returns;
pub mod search;
pub mod server;
pub mod streams;
pub mod wait;
