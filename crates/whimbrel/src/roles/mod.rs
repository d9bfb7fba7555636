//! What a process can be.

pub(crate) mod standalone;
