//! Files: what is known of each, who may read it, how much of a user's room it takes, and when nothing needs it any more.
//! The bytes themselves are [`Blobs`](crate::Blobs)'.
//!
//! | rule | kept by |
//! |---|---|
//! | who may read a file: its owner, and who sees a message that came with it | [`Files::readable`], from the rows that placing wrote |
//! | a message refers only to whole files of its sender | the placing transaction |
//! | a file is collected only while nothing refers to it | the file's row, which placing and collecting both lock |
//! | content is removed only when no file has it, and its name is never used again | a row in the trash, written with the last file's end |
//! | what an upload left beside what is kept of it is removed too, whenever it was interrupted | [`FileRow::made`]: its name is known beforehand |
//!
//! Absences: no byte of content; no user's path or name finds anything; encrypted content is never found by its hash.

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
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
    /// A readable picture is kept as it comes: nothing of what cameras write is taken out.
    pub keeps_metadata: bool,
    /// What a proof of having it is to be made with.
    pub nonce: Option<Nonce>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// What was announced, with the nonce as long as it is unused; size and hash of what is kept, once it is whole.
    pub file: NewFile,
    /// Size and hash that were announced, where what is kept is something else.
    pub announced: Option<(u64, ContentHash)>,
    /// What it looks like, if it is a picture and whole.
    pub picture: Option<Picture>,
    /// How far it is.
    pub state: FileState,
    /// What its content is called where it rests: made here, and never used again.
    pub blob: FileId,
    /// Since when nothing has needed it, milliseconds since 1970; `None` while a message refers to it.
    pub idle_since: Option<u64>,
    /// Milliseconds since 1970.
    pub created_at: u64,
}

/// What content looks like that is a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels; 0 where not known.
    pub width: u32,
    /// Pixels; 0 where not known.
    pub height: u32,
    /// What to show until there is a picture (BlurHash); empty where there is none.
    pub blur_hash: String,
    /// There is a small one: [`Files::thumbnail`].
    pub has_thumbnail: bool,
}

/// The same with the small one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPicture {
    /// What it looks like.
    pub picture: Picture,
    /// A JPEG, or nothing.
    pub thumbnail: Bytes,
}

/// What the content of a whole file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// What was uploaded.
    Own,
    /// Other content that is there already.
    Shared(FileId),
    /// What was made of the upload; it rests as [`FileRow::made`].
    Made {
        /// Of these bytes.
        hash: ContentHash,
        /// Bytes.
        size: u64,
    },
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

    /// An upload is whole, with this content, which looks so. What else was uploaded or made goes to the trash, and the
    /// owner gets back what the file takes up less than was announced. Harmless when it is whole: then it stays as it is.
    ///
    /// # Errors
    /// [`FileError::NoSuchFile`] when the file or the shared content is gone.
    async fn complete(
        &self,
        id: FileId,
        kept: Kept,
        picture: Option<NewPicture>,
        now: u64,
    ) -> Result<FileRow, FileError>;

    /// The small picture of content; `None` if it has none.
    async fn thumbnail(&self, blob: FileId) -> Result<Option<Bytes>, StoreError>;

    /// A user's files and uploads, the newest first, of those that began before this one: its time, and its id.
    async fn files_of(
        &self,
        owner: UserId,
        before: Option<(u64, FileId)>,
        limit: usize,
    ) -> Result<Vec<FileRow>, StoreError>;

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
        let of = |file: &NewFile, (size, hash)| (file.owner, file.encrypted, file.keeps_metadata, size, hash);
        let said = self.announced.unwrap_or((self.file.size, self.file.hash));
        let is_it = of(&self.file, said) == of(new, (new.size, new.hash));
        if is_it { Ok(self) } else { Err(FileError::Taken) }
    }

    /// The same copy again: it as it is; otherwise refused.
    pub(crate) fn copied_again(self, user: UserId, source: &FileRow) -> Result<Self, FileError> {
        let is_it = self.file.owner == user && self.blob == source.blob;
        if is_it { Ok(self) } else { Err(FileError::Taken) }
    }

    /// A file that was just announced.
    pub(crate) fn begin(file: NewFile, now: u64) -> Self {
        let (state, blob) = (FileState::Uploading, FileId::generate());
        Self { file, announced: None, picture: None, state, blob, idle_since: Some(now), created_at: now }
    }

    /// What content that is made of this upload is called where it rests. It follows from the upload's own name, so that a
    /// process that takes over from one that was killed finds it, and so that it is thrown away with it.
    pub fn made(&self) -> FileId {
        let digest = Sha256::new().chain_update(b"whimbrel made of ").chain_update(self.blob.as_bytes()).finalize();
        FileId::from_bytes(std::array::from_fn(|at| digest[at]))
    }

    /// Under which names something of this upload may rest: its own, and what may have been made of it.
    pub(crate) fn names(&self) -> impl Iterator<Item = FileId> + use<> {
        let is_made = !self.file.encrypted && !self.file.keeps_metadata && self.file.content_type.starts_with("image/");
        std::iter::once(self.blob).chain(is_made.then(|| self.made()))
    }

    /// The same with all of its content, which is called so.
    pub(crate) fn whole(self, blob: FileId, (size, hash): (u64, ContentHash), now: u64) -> Self {
        let said = (self.file.size, self.file.hash);
        let announced = (said != (size, hash)).then_some(said);
        let file = NewFile { nonce: None, size, hash, ..self.file };
        Self { file, announced, state: FileState::Whole, blob, idle_since: Some(now), ..self }
    }

    /// Another file of its content.
    pub(crate) fn copy(&self, owner: UserId, id: FileId, now: u64) -> Self {
        let file = NewFile { id, owner, conversation: None, nonce: None, ..self.file.clone() };
        let (state, blob, picture) = (FileState::Whole, self.blob, self.picture.clone());
        Self { file, announced: None, picture, state, blob, idle_since: Some(now), created_at: now }
    }
}
