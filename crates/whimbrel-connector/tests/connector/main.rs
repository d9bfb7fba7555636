//! A connector with real sockets, in front of a transfer that records what it is told.

mod lease;
mod limits;
mod login;
mod proxied;
mod pushes;
mod rules;
mod secured;
mod support;
mod times;
mod watching;
