//! Pictures, from bytes to bytes: what they look like, and the removal of what cameras write into them. The SDK needs it
//! for what it seals, the API for what is uploaded readable; both do the same.
//!
//! No I/O, no task, no thread: everything here computes, some of it for a second, so callers run it where that may be.
//! Bytes are anybody's: nothing panics, and memory is bounded before anything is decoded.

pub mod metadata;
pub mod picture;

pub use picture::{Looks, look, pixels};
