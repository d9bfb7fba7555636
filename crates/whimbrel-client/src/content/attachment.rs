//! A file that came with a message: what is known of it without having it.

use bytes::Bytes;
use whimbrel_core::limits::{THUMBNAIL_MAX, WAVEFORM_MAX};
use whimbrel_core::{FileId, MessageKind};
use whimbrel_wire::file_seal::FileKey;
use whimbrel_wire::proto;

/// What a file is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachmentKind {
    /// Any file.
    File,
    /// A picture.
    Image,
    /// Something spoken.
    Voice,
    /// A film.
    Video,
}

impl AttachmentKind {
    /// The kind of a message that comes with it.
    pub const fn message_kind(self) -> MessageKind {
        match self {
            Self::File => MessageKind::ATTACHMENT,
            Self::Image => MessageKind::IMAGE,
            Self::Voice => MessageKind::VOICE,
            Self::Video => MessageKind::VIDEO,
        }
    }

    /// Kinds of later versions are any file.
    pub(crate) const fn of(kind: MessageKind) -> Self {
        match kind {
            MessageKind::IMAGE => Self::Image,
            MessageKind::VOICE => Self::Voice,
            MessageKind::VIDEO => Self::Video,
            _ => Self::File,
        }
    }
}

/// A small picture of something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Thumbnail {
    /// A JPEG of at most [`THUMBNAIL_MAX`] bytes, or nothing.
    pub jpeg: Bytes,
    /// What to show until there is a picture (BlurHash), or nothing.
    pub blur_hash: String,
}

impl Thumbnail {
    /// Rows of pixels, red, green and blue, of at most this size; `None` if there is no picture, or none that can be shown.
    pub fn pixels(&self, width: u32, height: u32) -> Option<Vec<Vec<[u8; 3]>>> {
        whimbrel_media::pixels(&self.jpeg, width, height)
    }
}

/// A file that came with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Where the server keeps it.
    pub file: FileId,
    /// What it is shown as.
    pub kind: AttachmentKind,
    /// What it is called. A name and no more: whoever saves it chooses the folder.
    pub name: String,
    /// Its media type, as its sender says.
    pub content_type: String,
    /// Bytes of the file itself.
    pub size: u64,
    /// SHA-256 of the file itself.
    pub sha256: [u8; 32],
    /// What opens its content; `None` where that rests readable.
    pub key: Option<FileKey>,
    /// Bytes of the file in one sealed chunk.
    pub chunk_size: u32,
    /// Of pictures and films: width and height in pixels; 0 where not known.
    pub dimensions: (u32, u32),
    /// Of what is spoken and of films, milliseconds; 0 where not known.
    pub duration_ms: u32,
    /// Of what is spoken: how loud it is over its time, at most [`WAVEFORM_MAX`] heights.
    pub waveform: Bytes,
    /// Of pictures and films.
    pub thumbnail: Thumbnail,
    /// What is said with it, or nothing.
    pub caption: String,
}

impl Attachment {
    /// One line for a list or a quote.
    pub(super) fn line(&self) -> &str {
        if self.caption.is_empty() { &self.name } else { &self.caption }
    }

    pub(crate) fn to_wire(&self) -> proto::Attachment {
        proto::Attachment {
            name: self.name.clone(),
            content_type: self.content_type.clone(),
            size: self.size,
            sha256: Bytes::copy_from_slice(&self.sha256),
            key: self.key.as_ref().map_or_else(Bytes::new, |key| Bytes::copy_from_slice(key.expose())),
            chunk_size: self.chunk_size,
            width: self.dimensions.0,
            height: self.dimensions.1,
            duration_ms: self.duration_ms,
            waveform: self.waveform.slice(..self.waveform.len().min(WAVEFORM_MAX)),
            thumbnail: if self.thumbnail.jpeg.len() <= THUMBNAIL_MAX {
                self.thumbnail.jpeg.clone()
            } else {
                Bytes::new()
            },
            blur_hash: self.thumbnail.blur_hash.clone(),
            caption: self.caption.clone(),
        }
    }

    /// `None` for one that cannot be fetched and checked: without a hash, or with a key of another length.
    pub(crate) fn from_wire(kind: MessageKind, file: FileId, from: proto::Attachment) -> Option<Self> {
        let key = match from.key.len() {
            0 => None,
            _ => Some(FileKey::from_bytes(from.key.as_ref().try_into().ok()?)),
        };
        if key.is_some() && from.chunk_size == 0 {
            return None;
        }
        let jpeg = if from.thumbnail.len() <= THUMBNAIL_MAX { from.thumbnail } else { Bytes::new() };
        Some(Self {
            file,
            kind: AttachmentKind::of(kind),
            name: from.name,
            content_type: from.content_type,
            size: from.size,
            sha256: from.sha256.as_ref().try_into().ok()?,
            key,
            chunk_size: from.chunk_size,
            dimensions: (from.width, from.height),
            duration_ms: from.duration_ms,
            waveform: from.waveform.slice(..from.waveform.len().min(WAVEFORM_MAX)),
            thumbnail: Thumbnail { jpeg, blur_hash: from.blur_hash },
            caption: from.caption,
        })
    }
}
