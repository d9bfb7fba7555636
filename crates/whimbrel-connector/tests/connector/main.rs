//! A connector with real sockets, in front of a transfer that records what it is told.

mod limits;
mod login;
mod pushes;
mod rules;
mod secured;
mod support;
mod times;
