//! Contents that nobody has had: random bytes, of which each file has its own first ones.

use std::ops::Range;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use whimbrel_core::limits::FILE_PIECE_MAX;

/// Bytes of which each file has its own.
const OWN: usize = 32;
/// Bytes of one request.
const PIECE: usize = FILE_PIECE_MAX as usize;

/// What a file consists of. Most of it is shared with the other files of its measurement.
#[derive(Debug, Clone)]
pub(super) struct Content {
    own: Bytes,
    rest: Bytes,
    /// Of all of it, hexadecimal.
    pub(super) sha256: String,
}

impl Content {
    /// So many of this size.
    ///
    /// # Errors
    /// When the thread that makes them ends early.
    pub(super) async fn make(count: usize, size: usize) -> anyhow::Result<Vec<Self>> {
        let make = move || {
            let mut random = vec![0; size];
            rand::fill(&mut random[..]);
            let random = Bytes::from(random);
            (0..count).map(|_| Self::new(&random)).collect()
        };
        Ok(tokio::task::spawn_blocking(make).await?)
    }

    fn new(random: &Bytes) -> Self {
        let at = OWN.min(random.len());
        let mut own = vec![0; at];
        rand::fill(&mut own[..]);
        let rest = random.slice(at..);
        let hash = Sha256::new().chain_update(&own).chain_update(&rest).finalize();
        let sha256 = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { own: own.into(), rest, sha256 }
    }

    pub(super) fn size(&self) -> usize {
        self.own.len() + self.rest.len()
    }

    /// Where its pieces lie.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        let size = self.size();
        (0..size).step_by(PIECE).map(move |at| at..(at + PIECE).min(size))
    }

    /// A piece. Only the first is copied.
    pub(super) fn piece(&self, range: Range<usize>) -> Bytes {
        let own = self.own.len();
        if range.start >= own {
            return self.rest.slice(range.start - own..range.end - own);
        }
        [&self.own[range.start..], &self.rest[..range.end - own]].concat().into()
    }

    /// Whether these are its bytes at this place.
    pub(super) fn is(&self, range: Range<usize>, bytes: &[u8]) -> bool {
        let own = self.own.get(range.start..).unwrap_or_default();
        let (first, rest) = bytes.split_at(own.len().min(bytes.len()));
        let at = range.start.max(self.own.len()) - self.own.len();
        bytes.len() == range.len() && first == own && self.rest[at..].starts_with(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_differ_and_their_pieces_are_all_of_them() {
        let random = Bytes::from(vec![7; PIECE + 100]);
        let [one, two] = [Content::new(&random), Content::new(&random)];
        assert_ne!(one.sha256, two.sha256);
        let pieces: Vec<Bytes> = one.pieces().map(|range| one.piece(range)).collect();
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE, 100]);
        for (range, piece) in one.pieces().zip(&pieces) {
            assert!(one.is(range.clone(), piece));
            assert_eq!(two.is(range.clone(), piece), range.start > 0, "only the first bytes are one's own");
            assert!(!one.is(range, &piece[1..]));
        }
        let tiny = Content::new(&Bytes::from_static(b"tiny"));
        assert_eq!((tiny.size(), tiny.pieces().count()), (4, 1));
        assert!(tiny.is(0..4, &tiny.piece(0..4)));
    }
}
