//! What this process knows of Redis's lives.
//!
//! Each group of keys has a life: an id, a number that grows from life to life (when
//! it began), and a beat for each process that writes,
//! which only that process raises, after the writes that it stands for. The rules are in `lua/life.lua`; here is what
//! a process remembers. Invariant: (number, beat) only grow.

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use whimbrel_core::Incarnation;

use super::script::Unreadable;

/// One group's life, as this process last heard of it; number 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Life {
    pub(super) id: [u8; 16],
    pub(super) number: u64,
    /// This process's own.
    pub(super) beat: u64,
}

/// The lives of all groups.
pub(super) struct Lives {
    /// This process among those that raise beats.
    pub(super) writer: String,
    known: Mutex<Vec<Life>>,
}

impl Lives {
    pub(super) fn new(groups: usize) -> Self {
        Self { writer: Uuid::new_v4().simple().to_string(), known: Mutex::new(vec![Life::default(); groups]) }
    }

    pub(super) fn known(&self, group: usize) -> Life {
        self.known.lock()[group]
    }

    /// Answers are noted in any order: an older one changes nothing.
    pub(super) fn note(&self, group: usize, life: Life) {
        let known = &mut self.known.lock()[group];
        if life.number > known.number || (life.id == known.id && life.beat > known.beat) {
            *known = life;
        }
    }
}

impl Life {
    pub(super) fn read(values: (&[u8], i64, i64)) -> Result<Self, Unreadable> {
        let (id, number, beat) = values;
        let id = id.try_into().map_err(|_| Unreadable("a life"))?;
        Ok(Self { id, number: number.unsigned_abs(), beat: beat.unsigned_abs() })
    }
}

/// One incarnation for all groups: another one as soon as any of them lives another life.
pub(super) fn incarnation(lives: &[Life]) -> Incarnation {
    let mut all = Sha256::new();
    lives.iter().for_each(|life| all.update(life.id));
    let mut id = [0; 16];
    id.copy_from_slice(&all.finalize()[..16]);
    Incarnation::from_bytes(id)
}
