//! What load consists of: bodies that say who sent them, as which message and when, and whose every byte is checked.
//!
//! They look like sealed bodies to the server, which cannot open those either; nothing is encrypted, since that would
//! be measured with the clients and not with the server.

use bytes::{BufMut, Bytes, BytesMut};

/// Shortest body: sender, number, time, check.
pub(super) const BYTES_MIN: usize = 32;

/// What a body says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    /// Which client of this run.
    pub(super) sender: u64,
    /// Which of its messages: 1, 2, 3, …
    pub(super) number: u64,
    /// When it was sent or should have been, microseconds of the run's clock.
    pub(super) due_us: u64,
}

/// A body of `bytes` bytes (at least [`BYTES_MIN`]).
pub(super) fn write(label: Label, seed: u64, bytes: usize) -> Bytes {
    let mut body = BytesMut::with_capacity(bytes.max(BYTES_MIN));
    body.put_u64(label.sender);
    body.put_u64(label.number);
    body.put_u64(label.due_us);
    let mut filler = Filler::new(label, seed);
    while body.len() < bytes.max(BYTES_MIN) {
        let some = filler.next();
        let room = bytes.max(BYTES_MIN) - body.len();
        body.put_slice(&some[..room.min(some.len())]);
    }
    body.freeze()
}

/// What a body says; `None` when one byte of it is not as it was written.
pub(super) fn read(body: &[u8], seed: u64, bytes: usize) -> Option<Label> {
    if body.len() != bytes.max(BYTES_MIN) {
        return None;
    }
    let number = |at: usize| Some(u64::from_be_bytes(*body.get(at..at + 8)?.first_chunk()?));
    let label = Label { sender: number(0)?, number: number(8)?, due_us: number(16)? };
    let mut filler = Filler::new(label, seed);
    let good = body[24..].chunks(8).all(|chunk| filler.next().starts_with(chunk));
    good.then_some(label)
}

/// Bytes that follow from a label and a seed: SplitMix64.
struct Filler(u64);

impl Filler {
    fn new(label: Label, seed: u64) -> Self {
        let Label { sender, number, due_us } = label;
        Self(mix(mix(mix(seed ^ sender) ^ number) ^ due_us))
    }

    fn next(&mut self) -> [u8; 8] {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0).to_be_bytes()
    }
}

/// Spreads a number over all bits.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every single changed byte is noticed, for lengths on and off the filler's step, and so is another seed.
    #[test]
    fn a_body_reads_back_and_no_byte_of_it_may_change() {
        let label = Label { sender: 7, number: 3, due_us: 1_000_001 };
        for bytes in [BYTES_MIN, 33, 39, 100] {
            let body = write(label, 5, bytes);
            assert_eq!(body.len(), bytes);
            assert_eq!(read(&body, 5, bytes), Some(label));
            assert_eq!(read(&body, 6, bytes), None);
            assert_eq!(read(&body[1..], 5, bytes), None);
            for at in 0..bytes {
                let mut changed = body.to_vec();
                changed[at] ^= 1;
                assert_eq!(read(&changed, 5, bytes), None, "byte {at} of {bytes}");
            }
        }
    }
}
