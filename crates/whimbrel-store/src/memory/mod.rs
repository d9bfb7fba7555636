//! Engines that hold everything in the process's memory: what a server that runs alone needs besides its database.
//!
//! Nothing here survives the process. That is right for who is online; and for the log it is why a confirm comes only
//! once a record was acknowledged, which its consumer does after the commit.

mod log;
mod partition;
#[cfg(test)]
mod tests;
mod user_status;

pub use log::{MemoryLog, MemoryLogConfig};
pub use user_status::MemoryUserStatus;
