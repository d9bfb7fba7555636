//! Servers of one's own on this machine, for doubting and for measuring: child processes of this same program, on
//! folders and ports that nobody else uses.
//!
//! | module | owns |
//! |---|---|
//! | `process` | one child: started, killed, frozen and stopped by its process id and by nothing broader |
//! | `standalone` | a server that is one process |
//! | `cluster` | engines, and as many processes of each role as one likes |
//! | `front` | what stands before a cluster: a listener that spreads connections over those who answer |
//! | `look` | what a private database is doing |
//! | `relay` | the way from other roles to a transfer, which can be cut for one of them |
//!
//! Children end with this process, however that ends: their standard input is a pipe from here, and they were told to
//! stop when that closes.

pub(crate) mod cluster;
pub(crate) mod front;
pub(crate) mod look;
pub(crate) mod process;
pub(crate) mod relay;
pub(crate) mod standalone;
