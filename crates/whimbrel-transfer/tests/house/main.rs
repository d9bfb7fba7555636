//! Transfer and archiver together, over SQLite, the log in memory and a connector that writes down what it takes.

#![allow(clippy::unwrap_used, unreachable_pub)]

mod cluster;
mod crowd;
mod cursors;
mod faults;
mod groups;
mod people;
mod presence;
mod sending;
mod signals;
mod simulation;
mod support;
