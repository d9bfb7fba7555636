//! Files: what is known of each, who may read it, how much of a user's room it takes, and when nothing needs it any more.
//! The bytes themselves are [`Blobs`](crate::Blobs)'.
//!
//! | rule | kept by |
//! |---|---|
//! | who may read a file: its owner, and who sees a message that came with it | [`Files::readable`], from the rows that placing wrote |
//! | a message refers only to whole files of its sender | the placing transaction |
//! | a file is collected only while nothing refers to it | the file's row, which placing and collecting both lock |
//! | content is removed only when no file has it, and its name is never used again | a row in the trash, written with the last file's end |
//!
//! Absences: no byte of content; no user's path or name finds anything; encrypted content is never found by its hash.

use async_trait::async_trait;
use whimbrel_core::{ConversationId, FileId, UserId};

use crate::StoreError;

/// SHA-256 of a file as it rests.
pub type ContentHash = [u8; 32];
/// What one proof is made with.
pub type Nonce = [u8; 16];

/// How far a file is. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FileState {
    /// It is being uploaded.
    Uploading = 1,
    /// It is whole: it can be attached and read.
    Whole = 2,
}

impl FileState {
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Uploading),
            2 => Some(Self::Whole),
            _ => None,
        }
    }
}

/// A file to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Chosen by the device that uploads it, so that asking again is harmless.
    pub id: FileId,
    /// Whose.
    pub owner: UserId,
    /// Where it is meant to be said, if that is known.
    pub conversation: Option<ConversationId>,
    /// What people call it; empty for encrypted ones.
    pub name: String,
    /// Its media type, as claimed.
    pub content_type: String,
    /// Bytes.
    pub size: u64,
    /// Of these bytes.
    pub hash: ContentHash,
    /// Its content is sealed: nothing of it is looked at, and it is shared with nobody by its hash.
    pub encrypted: bool,
    /// What a proof of having it is to be made with.
    pub nonce: Option<Nonce>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// What was announced, with the nonce as long as it is unused.
    pub file: NewFile,
    /// How far it is.
    pub state: FileState,
    /// What its content is called where it rests: made here, and never used again.
    pub blob: FileId,
    /// Since when nothing has needed it, milliseconds since 1970; `None` while a message refers to it.
    pub idle_since: Option<u64>,
    /// Milliseconds since 1970.
    pub created_at: u64,
}

/// What one user's files may take up, or do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// All bytes, announced ones too.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// Of these, the ones that are not whole.
    pub uploads: u64,
}

impl Usage {
    /// Whether one more of this size has room, and if not, where.
    pub(crate) fn admit(self, size: u64, uploads: u64, room: Usage) -> Result<(), FileError> {
        if self.bytes.saturating_add(size) > room.bytes {
            Err(FileError::NoRoom("bytes"))
        } else if self.files >= room.files {
            Err(FileError::NoRoom("files"))
        } else if self.uploads + uploads > room.uploads {
            Err(FileError::NoRoom("uploads"))
        } else {
            Ok(())
        }
    }
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such file, or not for this user.
    #[error("there is no such file")]
    NoSuchFile,
    /// Another file was announced under this id.
    #[error("the id is another file's")]
    Taken,
    /// The user's files take up as much as they may: bytes, files or uploads.
    #[error("no more {0}")]
    NoRoom(&'static str),
    /// A message refers to it.
    #[error("a message refers to it")]
    Attached,
    /// The engine's failure.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Files, as far as they are rows.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// Takes room for a file. Asked again with the same words it gives the file as it is by now.
    async fn announce(&self, new: NewFile, room: Usage, now: u64) -> Result<FileRow, FileError>;

    /// A file, whoever asks.
    async fn file(&self, id: FileId) -> Result<Option<FileRow>, StoreError>;

    /// A whole file, if this user may read it: it is theirs, or they see a message that came with it.
    async fn readable(&self, user: UserId, id: FileId) -> Result<Option<FileRow>, StoreError>;

    /// What a user's files take up.
    async fn usage(&self, user: UserId) -> Result<Usage, StoreError>;

    /// An upload goes on: it is not collected for a while.
    async fn touch(&self, id: FileId, now: u64) -> Result<(), StoreError>;

    /// Takes an upload's nonce; `None` when it was taken before.
    async fn take_nonce(&self, id: FileId) -> Result<Option<Nonce>, StoreError>;

    /// Shared content with this hash.
    async fn shared(&self, hash: ContentHash, size: u64) -> Result<Option<FileId>, StoreError>;

    /// An upload is whole: with content of its own, or with other content that is there already. Harmless when it is whole.
    ///
    /// # Errors
    /// [`FileError::NoSuchFile`] when the file or the other content is gone.
    async fn complete(&self, id: FileId, other: Option<FileId>, now: u64) -> Result<FileRow, FileError>;

    /// Another file of the same content, for a user who may read the first: nothing travels. Harmless again.
    async fn copy_file(
        &self,
        user: UserId,
        from: FileId,
        to: FileId,
        room: Usage,
        now: u64,
    ) -> Result<FileRow, FileError>;

    /// Gives up an upload, or a file that no message refers to.
    async fn discard(&self, user: UserId, id: FileId) -> Result<(), FileError>;

    /// Collects up to `limit` files that nothing has needed since before these times; how many these were.
    async fn collect(&self, uploads_before: u64, files_before: u64, limit: usize) -> Result<usize, StoreError>;

    /// Content to be removed where it rests.
    async fn trash(&self, limit: usize) -> Result<Vec<FileId>, StoreError>;

    /// It was removed.
    async fn swept(&self, ids: &[FileId]) -> Result<(), StoreError>;
}

impl FileRow {
    /// The same words again under its id: it as it is; other words: refused.
    pub(crate) fn asked_again(self, new: &NewFile) -> Result<Self, FileError> {
        let of = |file: &NewFile| (file.owner, file.size, file.hash, file.encrypted);
        if of(&self.file) == of(new) { Ok(self) } else { Err(FileError::Taken) }
    }

    /// The same copy again: it as it is; otherwise refused.
    pub(crate) fn copied_again(self, user: UserId, source: &FileRow) -> Result<Self, FileError> {
        let is_it = self.file.owner == user && self.blob == source.blob;
        if is_it { Ok(self) } else { Err(FileError::Taken) }
    }

    /// A file that was just announced.
    pub(crate) fn begin(file: NewFile, now: u64) -> Self {
        let (state, blob) = (FileState::Uploading, FileId::generate());
        Self { file, state, blob, idle_since: Some(now), created_at: now }
    }

    /// The same with all of its content, which is called so.
    pub(crate) fn whole(self, blob: FileId, now: u64) -> Self {
        let file = NewFile { nonce: None, ..self.file };
        Self { file, state: FileState::Whole, blob, idle_since: Some(now), ..self }
    }

    /// Another file of its content.
    pub(crate) fn copy(&self, owner: UserId, id: FileId, now: u64) -> Self {
        let file = NewFile { id, owner, conversation: None, nonce: None, ..self.file.clone() };
        Self { file, state: FileState::Whole, blob: self.blob, idle_since: Some(now), created_at: now }
    }
}
