//! Where drafts go that the database refuses for good: kept for the operator, answered `Refused(Unplaceable)`.
//!
//! A draft is parked before its refusal is told. It was never SENT, so no promise is about it; but its bytes may tell
//! why the engine would not have them.

use std::collections::VecDeque;

use crate::StoreError;
use async_trait::async_trait;
use parking_lot::Mutex;
use whimbrel_core::{ConversationId, DeviceId, Draft, UserId};

/// Drafts that a [`MemoryPark`] holds; the oldest gives way.
pub const DEAD_LETTERS_MAX: usize = 128;

/// A draft that could not be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where to.
    pub conversation: ConversationId,
    /// By whom.
    pub sender: UserId,
    /// On which device.
    pub device: DeviceId,
    /// What.
    pub draft: Draft,
    /// The engine's words.
    pub reason: String,
}

/// Keeps dead letters.
#[async_trait]
pub trait Park: Send + Sync + 'static {
    /// Takes one. It has been kept when this returns; on an error the draft is placed again later.
    async fn park(&self, letter: DeadLetter) -> Result<(), StoreError>;
}

/// The last [`DEAD_LETTERS_MAX`] dead letters, for as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryPark {
    letters: Mutex<VecDeque<DeadLetter>>,
}

impl MemoryPark {
    /// What is there, oldest first.
    pub fn letters(&self) -> Vec<DeadLetter> {
        self.letters.lock().iter().cloned().collect()
    }
}

#[async_trait]
impl Park for MemoryPark {
    async fn park(&self, letter: DeadLetter) -> Result<(), StoreError> {
        let mut letters = self.letters.lock();
        if letters.len() == DEAD_LETTERS_MAX {
            letters.pop_front();
        }
        letters.push_back(letter);
        Ok(())
    }
}
