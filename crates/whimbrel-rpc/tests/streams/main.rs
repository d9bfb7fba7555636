//! The streams between roles, on real sockets in one process.

mod announcer;
mod connector;
mod doors;
mod faults;
mod groups;
mod presence;
mod support;
