//! Sealing bodies: AES-256-GCM as client.proto says under SEALING, and the hash by which a server tells a retry.
//!
//! No key is stored here, none is printed, and nothing about a body that does not open is told besides that it does
//! not.

use std::fmt;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use whimbrel_core::{BodyHash, ConversationId, FileId, MessageId, MessageKind, Seq, UserId};

/// Bytes of the nonce, which stands before the ciphertext.
pub const NONCE_LEN: usize = 12;
/// Bytes of the tag, which stands behind it.
pub const TAG_LEN: usize = 16;
/// Bytes of the seq before what is said about a message.
pub const TARGET_LEN: usize = 8;
/// Bytes of the id before what comes with a file.
pub const FILE_LEN: usize = 16;
/// Bytes that a sealed body has more than the plain one.
pub const OVERHEAD: usize = NONCE_LEN + TAG_LEN;

/// Bytes of the associated data.
const AAD_LEN: usize = 16 + 8 + 16 + 4 + 4;

/// One version of a conversation's key.
#[derive(Clone)]
pub struct ConversationKey([u8; 32]);

impl ConversationKey {
    /// The key with these bytes, as REST gives them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be stored where a secret may be.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConversationKey(…)")
    }
}

/// What a body is bound to: it opens as this message and as no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealContext {
    /// Where it is said.
    pub conversation: ConversationId,
    /// Who says it.
    pub sender: UserId,
    /// Under which name.
    pub message_id: MessageId,
    /// As what.
    pub kind: MessageKind,
    /// Under which version of the key.
    pub key_version: u32,
}

impl SealContext {
    /// The associated data.
    pub fn associated_data(&self) -> [u8; AAD_LEN] {
        let mut data = [0; AAD_LEN];
        data[..16].copy_from_slice(self.conversation.as_bytes());
        data[16..24].copy_from_slice(&self.sender.0.to_be_bytes());
        data[24..40].copy_from_slice(self.message_id.as_bytes());
        data[40..44].copy_from_slice(&self.kind.0.to_be_bytes());
        data[44..].copy_from_slice(&self.key_version.to_be_bytes());
        data
    }
}

/// The body does not open: another key, another context, or changed bytes. Which of these cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body does not open with this key as this message")]
pub struct OpenError;

/// Seals with a nonce of 12 random bytes from the operating system's generator (through the thread's).
pub fn seal(key: &ConversationKey, context: &SealContext, plain: &[u8]) -> Bytes {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce);
    seal_with_nonce(key, context, nonce, plain)
}

/// Seals with a given nonce: for vectors. Two bodies under one key and nonce betray each other; use [`seal`].
pub fn seal_with_nonce(key: &ConversationKey, context: &SealContext, nonce: [u8; NONCE_LEN], plain: &[u8]) -> Bytes {
    let mut body = Vec::with_capacity(plain.len() + OVERHEAD);
    body.extend_from_slice(&nonce);
    body.extend_from_slice(plain);
    let tag = cipher(key)
        .encrypt_inout_detached(&Nonce::from(nonce), &context.associated_data(), (&mut body[NONCE_LEN..]).into())
        .expect("AES-GCM seals up to 64 GiB");
    body.extend_from_slice(&tag);
    Bytes::from(body)
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`OpenError`] when it does not open, or is shorter than [`OVERHEAD`].
pub fn open(key: &ConversationKey, context: &SealContext, body: &[u8]) -> Result<Bytes, OpenError> {
    let (nonce, rest) = body.split_first_chunk::<NONCE_LEN>().ok_or(OpenError)?;
    let (sealed, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(OpenError)?;
    let mut plain = sealed.to_vec();
    let (nonce, tag) = (Nonce::from(*nonce), Tag::from(*tag));
    cipher(key)
        .decrypt_inout_detached(&nonce, &context.associated_data(), plain.as_mut_slice().into(), &tag)
        .map_err(|_| OpenError)?;
    Ok(Bytes::from(plain))
}

/// Seals what is said about an earlier message: its seq, readable, then the sealed rest.
pub fn seal_about(key: &ConversationKey, context: &SealContext, target: Seq, plain: &[u8]) -> Bytes {
    about(target, &seal(key, context, plain))
}

/// The body of a follow-up: the seq of the message that it is about, then what is said of it, sealed or (where bodies
/// are readable) not; nothing in those that take back.
pub fn about(target: Seq, rest: &[u8]) -> Bytes {
    let mut body = Vec::with_capacity(TARGET_LEN + rest.len());
    body.extend_from_slice(&target.0.to_be_bytes());
    body.extend_from_slice(rest);
    Bytes::from(body)
}

/// The body of a message that comes with a file: the file's id, readable, then what is said of it, sealed or not.
pub fn with_file(file: FileId, rest: &[u8]) -> Bytes {
    let mut body = Vec::with_capacity(FILE_LEN + rest.len());
    body.extend_from_slice(file.as_bytes());
    body.extend_from_slice(rest);
    Bytes::from(body)
}

/// Opens what [`seal_about`] made: what is said, and about which message.
///
/// # Errors
/// [`OpenError`] when it does not open, or is shorter than a seq and [`OVERHEAD`].
pub fn open_about(key: &ConversationKey, context: &SealContext, body: &[u8]) -> Result<(Seq, Bytes), OpenError> {
    let (target, rest) = body.split_first_chunk::<TARGET_LEN>().ok_or(OpenError)?;
    Ok((Seq(u64::from_be_bytes(*target)), open(key, context, rest)?))
}

/// SHA-256 of a body as it is stored.
pub fn hash(body: &[u8]) -> BodyHash {
    Sha256::digest(body).into()
}

fn cipher(key: &ConversationKey) -> Aes256Gcm {
    Aes256Gcm::new(&key.0.into())
}
