//! The program as an operator meets it: started as a process, asked by its sockets, stopped by signals.

mod backup;
mod figures;
mod lifecycle;
mod master_key;
mod session;
mod support;
mod tls;
mod wrong;
