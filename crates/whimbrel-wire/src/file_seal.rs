//! Sealing files: AES-256-GCM, chunk by chunk, so that neither side ever has a whole file in memory and a part can be
//! opened without the rest.
//!
//! A file has a random key of its own, which stands in the sealed body of its message. The chunks are numbered from 0;
//! each has as many plain bytes as the message says, but the last, which may have fewer (none, if the file is empty). A
//! chunk's nonce is 4 zero bytes and its number, its associated data are `whimbrel file`, its number and whether it is the
//! last; behind its ciphertext stands its tag. So no chunk opens in another's place, and an end that was cut off shows.
//!
//! One key seals one content: sealing other bytes with it would betray both. Nothing here can check that.

use std::fmt;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};

use crate::seal::{NONCE_LEN, OpenError, TAG_LEN};

/// What the associated data begin with.
const LABEL: &[u8; 13] = b"whimbrel file";

/// The key of one file.
#[derive(Clone, PartialEq, Eq)]
pub struct FileKey([u8; 32]);

impl FileKey {
    /// The key with these bytes, as a message has them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new key, from the operating system's generator (through the thread's).
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes);
        Self(bytes)
    }

    /// The bytes, to be put into a sealed body, or stored where a secret may be.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&self.0.into())
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(…)")
    }
}

/// How many chunks a file of this size has; at least one.
pub const fn chunks(size: u64, chunk_size: u32) -> u64 {
    let chunks = size.div_ceil(chunk_size as u64);
    if chunks == 0 { 1 } else { chunks }
}

/// Bytes of a file of this size, sealed.
pub const fn sealed_size(size: u64, chunk_size: u32) -> u64 {
    size + chunks(size, chunk_size) * TAG_LEN as u64
}

fn nonce(number: u64) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}

fn associated_data(number: u64, is_last: bool) -> [u8; 22] {
    let mut data = [0; 22];
    data[..13].copy_from_slice(LABEL);
    data[13..21].copy_from_slice(&number.to_be_bytes());
    data[21] = u8::from(is_last);
    data
}

/// Seals a chunk where it stands; its tag comes behind it.
pub fn seal_chunk(key: &FileKey, number: u64, is_last: bool, chunk: &mut Vec<u8>) {
    let data = associated_data(number, is_last);
    let tag = key
        .cipher()
        .encrypt_inout_detached(&Nonce::from(nonce(number)), &data, chunk.as_mut_slice().into())
        .expect("AES-GCM seals up to 64 GiB");
    chunk.extend_from_slice(&tag);
}

/// Opens a chunk where it stands; its tag is taken away.
///
/// # Errors
/// [`OpenError`] when it does not open, or is shorter than a tag; then nothing of it can be used.
pub fn open_chunk(key: &FileKey, number: u64, is_last: bool, chunk: &mut Vec<u8>) -> Result<(), OpenError> {
    let (_, tag) = chunk.split_last_chunk::<TAG_LEN>().ok_or(OpenError)?;
    let tag = Tag::from(*tag);
    chunk.truncate(chunk.len() - TAG_LEN);
    let data = associated_data(number, is_last);
    key.cipher()
        .decrypt_inout_detached(&Nonce::from(nonce(number)), &data, chunk.as_mut_slice().into(), &tag)
        .map_err(|_| OpenError)
}
