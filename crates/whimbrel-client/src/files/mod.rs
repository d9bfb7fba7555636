//! Files: sent and fetched in the background, with progress; paused, cancelled, and gone on with after the process was
//! killed.
//!
//! Where bodies are sealed the device seals files too, each with a key of its own, in chunks (`whimbrel_wire::file_seal`);
//! the server sees random bytes. Pictures lose what cameras write into them about the place, and get a small picture of
//! themselves, before anything leaves the device.
//!
//! | room | does |
//! |---|---|
//! | `source` | a file as it is to be uploaded, read in parts |
//! | `picture` | what is a picture, and takes out of it what cameras write |
//! | `upload`, `download` | the two ways |
//! | `transfer` | progress, pause, cancel |

mod download;
mod picture;
mod source;
mod transfer;
mod upload;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use whimbrel_core::{ConversationId, FileId, MessageId};

pub use transfer::{FileTransfer, Progress, Stage};

use crate::client::Client;
use crate::content::{Attachment, AttachmentKind, Thumbnail};
use crate::error::Error;
use crate::store::UploadRow;

/// A file that is to be sent, and what is said with it.
#[derive(Debug, Clone)]
pub struct Sending {
    /// Where it is.
    pub path: PathBuf,
    /// What it is shown as; `None`: what its content says. A picture loses what the camera wrote whatever it is shown as.
    pub kind: Option<AttachmentKind>,
    /// What is said with it.
    pub caption: String,
    /// A picture keeps what the camera wrote into it, the place among it. Out of JPEG, PNG, WebP and GIF it is taken if this
    /// is not set; a picture of another kind (HEIC, TIFF, raw), a damaged one or one above 64 MiB is not sent then
    /// ([`Error::MetadataStays`]).
    pub keeps_metadata: bool,
    /// Of what is spoken and of films, milliseconds.
    pub duration_ms: u32,
    /// Of what is spoken: how loud it is over its time, at most 128 heights.
    pub waveform: Bytes,
    /// Of films: a small picture, made by the application. Those of pictures are made here.
    pub thumbnail: Thumbnail,
}

impl Sending {
    /// The file at `path`, as what it is.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().into(),
            kind: None,
            caption: String::new(),
            keeps_metadata: false,
            duration_ms: 0,
            waveform: Bytes::new(),
            thumbnail: Thumbnail::default(),
        }
    }

    /// Something spoken, so long and so loud.
    pub fn voice(path: impl AsRef<Path>, duration_ms: u32, waveform: impl Into<Bytes>) -> Self {
        let kind = Some(AttachmentKind::Voice);
        Self { kind, duration_ms, waveform: waveform.into(), ..Self::new(path) }
    }
}

impl Client {
    /// Sends a file: uploads it, and then a message that comes with it. When this returns it is known to the store, so
    /// that a later client on the same store can go on ([`Client::resume_files`]); the file must stay where it is.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, [`Error::MetadataStays`] when it is a picture that cannot lose what the camera
    /// wrote into it ([`Sending::keeps_metadata`]); nothing has left the device then. [`Error::NoKey`] when nothing can be sealed for the conversation,
    /// [`Error::Store`], [`Error::Closed`].
    pub async fn send_file(
        &self,
        conversation: ConversationId,
        what: Sending,
    ) -> Result<FileTransfer<MessageId>, Error> {
        upload::begin(self, conversation, what).await
    }

    /// Files that were on their way when the last client on this store ended.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn unfinished_files(&self) -> Result<Vec<UploadRow>, Error> {
        Ok(self.store().uploads().await?)
    }

    /// Goes on with those of them that are not on their way already.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn resume_files(&self) -> Result<Vec<FileTransfer<MessageId>>, Error> {
        let rows = self.unfinished_files().await?;
        let rows = rows.into_iter().filter(|row| self.takes_up(row.file));
        Ok(rows.map(|row| upload::go_on(self, row)).collect())
    }

    /// Gives up a file that was on its way.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Closed`].
    pub async fn forget_file(&self, file: FileId) -> Result<(), Error> {
        upload::forget(self, file).await
    }

    /// Fetches a file that came with a message, opens and checks it, and puts it at `to`, where nothing may be. What was
    /// fetched of it before (beside `to`, with the file's id and `.part` behind it) is not fetched again.
    pub fn fetch_file(&self, attachment: &Attachment, to: impl AsRef<Path>) -> FileTransfer<PathBuf> {
        download::begin(self, attachment.clone(), to.as_ref().into())
    }

    /// Sends on a file that came with a message: nothing travels.
    ///
    /// # Errors
    /// [`Error::Api`] when one may not read it any more, or has no room; otherwise as [`Client::send`].
    pub async fn forward_file(&self, conversation: ConversationId, from: &Attachment) -> Result<MessageId, Error> {
        let file = FileId::generate();
        self.rest().copy_file(from.file, file).await?;
        let attachment = Attachment { file, ..from.clone() };
        self.send(conversation, crate::content::Content::Attachment(Box::new(attachment))).await
    }
}

/// Runs what blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::File(std::io::Error::other(error))))
}
