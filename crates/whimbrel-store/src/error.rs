//! Why a store could not do what was asked.

/// An engine's failure; the caller's mistakes have types of their own.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine is away or out of room: the same call may succeed later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What the engine holds is not what this program wrote.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
}
