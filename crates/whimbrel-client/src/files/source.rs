//! A file as it is to be uploaded: its own bytes, or those of a picture without its metadata; sealed, or not. Read in
//! parts, again and again the same. Blocking.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use whimbrel_core::limits::FILE_CHUNK;
use whimbrel_wire::file_seal::{self, FileKey};
use whimbrel_wire::seal::TAG_LEN;

use super::{Sending, picture};
use crate::content::{Attachment, AttachmentKind, Thumbnail};
use crate::error::Error;

/// Bytes by which a type is known.
const HEAD: usize = 8 * 1024;
/// The type of what is of none that is known.
pub(super) const UNKNOWN: &str = "application/octet-stream";

/// Plain bytes.
enum Plain {
    File(File),
    /// Of a picture, whose metadata were taken out if they are not to stay.
    Memory(Bytes),
}

/// What is uploaded.
pub(super) struct Source {
    plain: Plain,
    size: u64,
    key: Option<FileKey>,
    chunk_size: u32,
    /// It is a picture, and what cameras write was taken out.
    is_cleaned: bool,
}

/// A source, what it is, and what was found out about it.
pub(super) struct Prepared {
    pub(super) source: Source,
    pub(super) attachment: Attachment,
    /// SHA-256 of what is uploaded.
    pub(super) content_hash: [u8; 32],
}

/// Looks at a file: its type, its size, its hash; at a picture too. `key`: what seals it.
pub(super) fn prepare(what: &Sending, key: Option<FileKey>) -> Result<Prepared, Error> {
    let mut file = File::open(&what.path).map_err(Error::File)?;
    let about = file.metadata().map_err(Error::File)?;
    if !about.is_file() {
        return Err(Error::File(std::io::Error::other("it is not a file")));
    }
    let head = head(&mut file).map_err(Error::File)?;
    let content_type = type_of(&head, &what.path);
    let is_cleaned = !what.keeps_metadata && picture::may_tell(&content_type, &head, &what.path, what.kind);
    let mut kind = what.kind.unwrap_or_else(|| kind_of(&content_type));
    let looks = kind == AttachmentKind::Image;
    let (plain, size) = plain(file, about.len(), is_cleaned, looks)?;
    let (mut dimensions, mut thumbnail) = ((0, 0), what.thumbnail.clone());
    if looks {
        let seen = if let Plain::Memory(bytes) = &plain { whimbrel_media::look(bytes) } else { None };
        match seen {
            Some(seen) => {
                dimensions = seen.dimensions;
                thumbnail = Thumbnail { jpeg: seen.thumbnail.into(), blur_hash: seen.blur_hash };
            }
            None => kind = AttachmentKind::File,
        }
    }
    let chunk_size = FILE_CHUNK as u32;
    let mut source = Source { plain, size, key, chunk_size, is_cleaned };
    let [sha256, content_hash] = source.hashes()?;
    let name = what.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let attachment = Attachment {
        // Given by the caller.
        file: whimbrel_core::FileId::from_bytes([0; 16]),
        kind,
        name,
        content_type,
        size,
        sha256,
        key: source.key.clone(),
        chunk_size: if source.key.is_some() { chunk_size } else { 0 },
        dimensions,
        duration_ms: what.duration_ms,
        waveform: what.waveform.clone(),
        thumbnail,
        caption: what.caption.clone(),
    };
    Ok(Prepared { source, attachment, content_hash })
}

/// The same file again, as it was prepared; an error if it is another one by now.
pub(super) fn again(path: &Path, keeps_metadata: bool, of: &Attachment, hash: [u8; 32]) -> Result<Source, Error> {
    let mut file = File::open(path).map_err(Error::File)?;
    let size = file.metadata().map_err(Error::File)?.len();
    let head = head(&mut file).map_err(Error::File)?;
    let is_cleaned = !keeps_metadata && picture::may_tell(&of.content_type, &head, path, Some(of.kind));
    let (plain, size) = plain(file, size, is_cleaned, of.kind == AttachmentKind::Image)?;
    let chunk_size = if of.chunk_size == 0 { FILE_CHUNK as u32 } else { of.chunk_size };
    let mut source = Source { plain, size, key: of.key.clone(), chunk_size, is_cleaned };
    // Other bytes under the same key would betray both.
    let [plain_hash, content_hash] = source.hashes()?;
    if plain_hash == of.sha256 && content_hash == hash { Ok(source) } else { Err(Error::FileChanged) }
}

/// What is sent of a file, and how long that is: a picture that is cleaned or looked at is in memory.
fn plain(mut file: File, size: u64, is_cleaned: bool, looks: bool) -> Result<(Plain, u64), Error> {
    let bytes = if is_cleaned || looks { picture::bytes(&mut file, size, is_cleaned)? } else { None };
    Ok(match bytes {
        Some(bytes) => {
            let size = bytes.len() as u64;
            (Plain::Memory(bytes), size)
        }
        None => (Plain::File(file), size),
    })
}

/// The bytes by which its type is known.
fn head(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(head)
}

fn type_of(head: &[u8], path: &Path) -> String {
    if let Some(found) = infer::get(head) {
        return found.mime_type().to_owned();
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    let known = match extension.as_str() {
        "txt" | "log" | "rs" | "toml" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "json" => "application/json",
        _ => UNKNOWN,
    };
    known.to_owned()
}

fn kind_of(content_type: &str) -> AttachmentKind {
    match content_type.split_once('/') {
        Some(("image", _)) => AttachmentKind::Image,
        Some(("video", _)) => AttachmentKind::Video,
        _ => AttachmentKind::File,
    }
}

impl Source {
    /// Bytes that are uploaded.
    pub(super) fn content_size(&self) -> u64 {
        match self.key {
            Some(_) => file_seal::sealed_size(self.size, self.chunk_size),
            None => self.size,
        }
    }

    /// Whether what cameras write was taken out of it.
    pub(super) fn is_cleaned(&self) -> bool {
        self.is_cleaned
    }

    /// Of the file itself, and of what is uploaded.
    fn hashes(&mut self) -> Result<[[u8; 32]; 2], Error> {
        let (mut plain, mut sealed) = (Sha256::new(), Sha256::new());
        for number in 0..file_seal::chunks(self.size, self.chunk_size) {
            let mut chunk = self.plain_chunk(number)?;
            plain.update(&chunk);
            self.seal(number, &mut chunk);
            sealed.update(&chunk);
        }
        Ok([plain.finalize().into(), sealed.finalize().into()])
    }

    fn seal(&self, number: u64, chunk: &mut Vec<u8>) {
        if let Some(key) = &self.key {
            let is_last = number + 1 == file_seal::chunks(self.size, self.chunk_size);
            file_seal::seal_chunk(key, number, is_last, chunk);
        }
    }

    fn plain_chunk(&mut self, number: u64) -> Result<Vec<u8>, Error> {
        let start = number * u64::from(self.chunk_size);
        let len = u64::from(self.chunk_size).min(self.size.saturating_sub(start)) as usize;
        let mut chunk = vec![0; len];
        match &mut self.plain {
            Plain::Memory(bytes) => chunk.copy_from_slice(&bytes[start as usize..start as usize + len]),
            Plain::File(file) => {
                file.seek(SeekFrom::Start(start)).map_err(Error::File)?;
                // Shorter than it was: it is another file by now.
                file.read_exact(&mut chunk).map_err(|_| Error::FileChanged)?;
            }
        }
        Ok(chunk)
    }

    /// About `len` bytes of what is uploaded from `offset` on: whole chunks, but the first may begin in its middle.
    pub(super) fn read(&mut self, offset: u64, len: usize) -> Result<Bytes, Error> {
        let whole = u64::from(self.chunk_size) + if self.key.is_some() { TAG_LEN as u64 } else { 0 };
        let (mut number, mut skip) = (offset / whole, (offset % whole) as usize);
        let mut part = Vec::with_capacity(len + whole as usize);
        while part.len() < len && number < file_seal::chunks(self.size, self.chunk_size) {
            let mut chunk = self.plain_chunk(number)?;
            self.seal(number, &mut chunk);
            part.extend_from_slice(chunk.get(skip..).unwrap_or_default());
            (number, skip) = (number + 1, 0);
        }
        Ok(part.into())
    }

    /// Exactly these bytes of what is uploaded.
    pub(super) fn read_exact(&mut self, offset: u64, len: u64) -> Result<Bytes, Error> {
        let mut part = Vec::new();
        while (part.len() as u64) < len {
            let more = self.read(offset + part.len() as u64, (len as usize) - part.len())?;
            if more.is_empty() {
                return Err(Error::FileChanged);
            }
            part.extend_from_slice(&more);
        }
        part.truncate(len as usize);
        Ok(part.into())
    }
}
