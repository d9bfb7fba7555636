//! One master key: 32 bytes with a name, and its place in a file.
//!
//! As text it is `id:hex` (64 hexadecimal digits), or the digits alone; then its id is a fingerprint of the bytes.

use std::fmt;
use std::io::Write;
use std::path::Path;

use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};

use super::KeyError;
use crate::files;

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Longest id of a master key, bytes.
const ID_MAX: usize = 64;

const FILE_HEAD: &str = "# Whimbrel's master key. It wraps every conversation key in the database: without it nobody \
can read them, and whoever has both can.\n# One key a line; the first wraps, the others only unwrap.\n";

/// 32 secret bytes with an id.
pub struct MasterKey {
    id: String,
    secret: SecretBox<[u8; KEY_LEN]>,
}

impl MasterKey {
    /// A new random key, named by its fingerprint.
    pub fn generate() -> Self {
        let mut secret = Box::new([0; KEY_LEN]);
        rand::fill(&mut secret[..]);
        Self { id: fingerprint(&secret), secret: SecretBox::new(secret) }
    }

    /// The key in a text: the only line that is neither empty nor begins with `#`.
    ///
    /// # Errors
    /// [`KeyError::Text`].
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let line = lines.next().ok_or(KeyError::Text("there is no key in it"))?;
        if lines.next().is_some() {
            return Err(KeyError::Text("there is more than one key in it"));
        }
        Self::from_line(line)
    }

    /// The key in a file with such a text.
    ///
    /// # Errors
    /// [`KeyError::File`], [`KeyError::Text`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::from_text(&read(path)?)
    }

    /// A new random key, written to a new file that only its owner may read (0600), and on disk when this returns.
    ///
    /// # Errors
    /// [`KeyError::File`], also if there is such a file already: a master key is never overwritten.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let key = Self::generate();
        let write = || {
            let mut file = files::create_private(path)?;
            file.write_all(FILE_HEAD.as_bytes())?;
            file.write_all(key.to_line().as_bytes())?;
            file.sync_all()?;
            files::sync_name(path)
        };
        write().map_err(|source| KeyError::File { path: path.display().to_string(), source })?;
        Ok(key)
    }

    /// The key as a configuration takes it: `id:hex`. A secret.
    pub fn to_text(&self) -> String {
        self.to_line().trim_end().to_owned()
    }

    /// Its name: it stands beside everything that the key wrapped.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `id:hex` or `hex`.
    pub(super) fn from_line(line: &str) -> Result<Self, KeyError> {
        let (id, digits) = match line.split_once(':') {
            Some((id, digits)) => (Some(id.trim()), digits.trim()),
            None => (None, line),
        };
        let secret = Box::new(from_hex(digits).ok_or(KeyError::Text("expected 64 hexadecimal digits"))?);
        let id = id.map_or_else(|| fingerprint(&secret), str::to_owned);
        if id.is_empty() || id.len() > ID_MAX || !id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(KeyError::Text("an id has 1 to 64 visible ASCII characters"));
        }
        Ok(Self { id, secret: SecretBox::new(secret) })
    }

    pub(super) fn expose(&self) -> &[u8; KEY_LEN] {
        self.secret.expose_secret()
    }

    /// The layout's number, the id's length, the id.
    pub(super) fn tagged_id(&self, layout: u8) -> Vec<u8> {
        let mut tagged = vec![layout, u8::try_from(self.id.len()).expect("an id has at most 64 bytes")];
        tagged.extend_from_slice(self.id.as_bytes());
        tagged
    }

    fn to_line(&self) -> String {
        let digits: String = self.expose().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}:{digits}\n", self.id)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, …)", self.id)
    }
}

pub(super) fn read(path: &Path) -> Result<String, KeyError> {
    std::fs::read_to_string(path).map_err(|source| KeyError::File { path: path.display().to_string(), source })
}

/// Eight bytes of a hash tell keys apart and tell nothing about them.
fn fingerprint(secret: &[u8; KEY_LEN]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"whimbrel/master key id");
    hash.update(secret);
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(digits: &str) -> Option<[u8; KEY_LEN]> {
    if digits.len() != 2 * KEY_LEN || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; KEY_LEN];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
