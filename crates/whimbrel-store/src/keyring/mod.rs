//! The keyring: master keys, and what is wrapped by or derived from them.
//!
//! A conversation's key never rests in plain text: it is wrapped by the *current* master key, with AES-256-GCM, bound
//! to the master key's id and to its owner. Older master keys stay on the ring to unwrap what they wrapped until
//! everything has been wrapped again. No key material is ever printed, and none leaves this module but by
//! [`Keyring::unwrap`] and [`Keyring::derive`].

mod master_key;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hkdf::Hkdf;
use secrecy::SecretSlice;
use sha2::Sha256;

pub use master_key::{KEY_LEN, MasterKey};

/// The first byte of everything wrapped: the layout's version.
const LAYOUT: u8 = 1;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// Why a master key cannot be had, or something does not unwrap.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the master key file {path} cannot be used")]
    File {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is no master key.
    #[error("not a master key: {0}")]
    Text(&'static str),
    /// Two keys of one ring have the same id.
    #[error("two master keys are called {0}")]
    SameId(String),
    /// What is to be unwrapped was wrapped by a master key that is not on the ring.
    #[error("the master key {0} is not on the keyring")]
    UnknownKey(String),
    /// Another owner, other bytes, or another key under the same id: which of these cannot be told.
    #[error("a wrapped key does not unwrap")]
    DoesNotUnwrap,
}

/// Several master keys: the current one wraps, all unwrap.
pub struct Keyring {
    /// The current one first.
    keys: Vec<MasterKey>,
}

impl Keyring {
    /// A ring with this current key, and others that only unwrap.
    ///
    /// # Errors
    /// [`KeyError::SameId`] if two have one id.
    pub fn new(current: MasterKey, others: Vec<MasterKey>) -> Result<Self, KeyError> {
        let mut keys = vec![current];
        for key in others {
            if keys.iter().any(|k| k.id() == key.id()) {
                return Err(KeyError::SameId(key.id().to_owned()));
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }

    /// A ring from text: one master key a line, the first is the current one; empty lines and lines that begin with
    /// `#` are passed over.
    ///
    /// # Errors
    /// [`KeyError::Text`] if a line is no key or there is none; [`KeyError::SameId`].
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut keys = lines.map(MasterKey::from_line).collect::<Result<Vec<_>, _>>()?.into_iter();
        let current = keys.next().ok_or(KeyError::Text("there is no key in it"))?;
        Self::new(current, keys.collect())
    }

    /// A ring from a file with such a text.
    ///
    /// # Errors
    /// [`KeyError::File`] if it cannot be read, and those of [`Keyring::from_text`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::from_text(&master_key::read(path)?)
    }

    /// The ring in this file; if there is no such file, it is made with one new key (readable by its owner only).
    ///
    /// # Errors
    /// Those of [`Keyring::load`] and [`MasterKey::create`].
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        if path.exists() { Self::load(path) } else { Self::new(MasterKey::create(path)?, Vec::new()) }
    }

    /// The id of the key that wraps.
    pub fn current_id(&self) -> &str {
        self.current().id()
    }

    /// Wraps a key that belongs to `owner`: layout ‖ length of the key id ‖ key id ‖ nonce ‖ ciphertext ‖ tag.
    pub fn wrap(&self, owner: &[u8], plain: &[u8; KEY_LEN]) -> Vec<u8> {
        let key = self.current();
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce);
        let mut wrapped = Vec::with_capacity(2 + key.id().len() + NONCE_LEN + KEY_LEN + TAG_LEN);
        wrapped.extend_from_slice(&key.tagged_id(LAYOUT));
        wrapped.extend_from_slice(&nonce);
        let start = wrapped.len();
        wrapped.extend_from_slice(plain);
        let tag = cipher(key)
            .encrypt_inout_detached(
                &Nonce::from(nonce),
                &associated_data(key.id(), owner),
                (&mut wrapped[start..]).into(),
            )
            .expect("AES-GCM seals 32 bytes");
        wrapped.extend_from_slice(&tag);
        wrapped
    }

    /// Unwraps what [`Keyring::wrap`] made for the same owner.
    ///
    /// # Errors
    /// [`KeyError::UnknownKey`], or [`KeyError::DoesNotUnwrap`].
    pub fn unwrap(&self, owner: &[u8], wrapped: &[u8]) -> Result<[u8; KEY_LEN], KeyError> {
        let (id, sealed) = split_id(wrapped).ok_or(KeyError::DoesNotUnwrap)?;
        let key = self.keys.iter().find(|key| key.id() == id).ok_or_else(|| KeyError::UnknownKey(id.to_owned()))?;
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(KeyError::DoesNotUnwrap)?;
        let (sealed, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(KeyError::DoesNotUnwrap)?;
        let mut plain: [u8; KEY_LEN] = sealed.try_into().map_err(|_| KeyError::DoesNotUnwrap)?;
        cipher(key)
            .decrypt_inout_detached(
                &Nonce::from(*nonce),
                &associated_data(id, owner),
                plain.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| KeyError::DoesNotUnwrap)?;
        Ok(plain)
    }

    /// Whether this was wrapped by the current master key.
    pub fn is_current(&self, wrapped: &[u8]) -> bool {
        split_id(wrapped).is_some_and(|(id, _)| id == self.current_id())
    }

    /// 32 bytes for one purpose, such as "access tokens": HKDF-SHA256 from the current master key. The same purpose
    /// gives the same bytes until another master key becomes current.
    pub fn derive(&self, purpose: &str) -> SecretSlice<u8> {
        let mut derived = vec![0; 32];
        Hkdf::<Sha256>::new(None, self.current().expose())
            .expand_multi_info(&[b"whimbrel/", purpose.as_bytes()], &mut derived)
            .expect("HKDF-SHA256 gives up to 8,160 bytes");
        derived.into()
    }

    fn current(&self) -> &MasterKey {
        &self.keys[0]
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(MasterKey::id)).finish()
    }
}

fn cipher(key: &MasterKey) -> Aes256Gcm {
    Aes256Gcm::new(key.expose().into())
}

/// The key id with its length before it, so that no id and owner can be read as another id and owner.
fn associated_data(id: &str, owner: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(1 + id.len() + owner.len());
    data.push(u8::try_from(id.len()).expect("a key id has at most 64 bytes"));
    data.extend_from_slice(id.as_bytes());
    data.extend_from_slice(owner);
    data
}

/// The key id, and what follows it.
fn split_id(wrapped: &[u8]) -> Option<(&str, &[u8])> {
    let [LAYOUT, len, rest @ ..] = wrapped else { return None };
    let (id, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((std::str::from_utf8(id).ok()?, rest))
}
