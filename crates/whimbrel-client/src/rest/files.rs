//! The REST calls of files.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, header};
use secrecy::ExposeSecret;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use whimbrel_core::FileId;

use super::{Rest, read, refused, words};
use crate::account::Credentials;
use crate::error::Error;

/// A piece that takes longer has failed; what came of it is kept.
const PIECE_TIMEOUT: Duration = Duration::from_secs(120);
/// The check of a whole file takes as long as a disk needs to read it.
const CHECK_TIMEOUT: Duration = Duration::from_secs(600);

/// What announces a file.
#[derive(Debug, Clone, Serialize)]
pub struct FileForm {
    /// Chosen by the device, so that asking again is harmless.
    pub id: String,
    /// What it is called; empty for encrypted ones.
    pub name: String,
    /// Its media type; `application/octet-stream` for encrypted ones.
    #[serde(rename = "type")]
    pub content_type: String,
    /// Bytes.
    pub size: u64,
    /// Of these bytes, hexadecimal.
    pub sha256: String,
    /// Its content is sealed.
    pub encrypted: bool,
    /// A readable picture is kept as it is; otherwise the server takes out what cameras write, and what it keeps has
    /// another hash.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keeps_metadata: bool,
}

/// A file as the server has it.
#[derive(Debug, Clone, Deserialize)]
pub struct FileState {
    /// `uploading` or `whole`.
    pub state: String,
    /// Bytes that are there.
    pub received: u64,
    /// Bytes of one piece, at most.
    pub piece_max: u64,
    /// What would show that one has the content.
    pub proof: Option<FileProof>,
}

impl FileState {
    /// Whether all of it is there, and checked.
    pub fn is_whole(&self) -> bool {
        self.state == "whole"
    }
}

/// One's own files, a page of them, and what all of them take up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OwnFiles {
    /// The newest first.
    pub files: Vec<OwnFile>,
    /// What the next page is asked for with; `None`: it is the last.
    pub next: Option<String>,
    /// Those on other pages too.
    pub usage: FileUsage,
}

/// One of one's own files, or an upload that is to become one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OwnFile {
    /// Which: [`Rest::discard_file`] gives it up, unless a message came with it.
    #[serde(deserialize_with = "file_id")]
    pub id: FileId,
    /// `uploading` or `whole`.
    pub state: String,
    /// As it was called; empty for sealed ones, whose message names them.
    pub name: String,
    /// Its media type.
    #[serde(rename = "type")]
    pub content_type: String,
    /// Bytes that it takes up.
    pub size: u64,
    /// Of these, the ones that are there.
    pub received: u64,
    /// Its content is sealed.
    pub encrypted: bool,
    /// A message came with it.
    pub attached: bool,
    /// Milliseconds since 1970.
    pub created_at: u64,
}

/// What one's files take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct FileUsage {
    /// All bytes, announced ones too.
    pub bytes: u64,
    /// Files, uploads among them.
    pub files: u64,
    /// Uploads that are not whole.
    pub uploads: u64,
}

fn file_id<'a, D: Deserializer<'a>>(from: D) -> Result<FileId, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| D::Error::custom("it is no file's id"))
}

/// What is to be proved.
#[derive(Debug, Clone, Deserialize)]
pub struct FileProof {
    /// The key of the HMAC, hexadecimal.
    pub nonce: String,
    /// Parts of the file, in this order.
    pub ranges: Vec<FileRange>,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct FileRange {
    /// Where it begins.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

#[derive(Deserialize)]
struct Progress {
    received: u64,
}

#[derive(Serialize)]
struct Mac<'a> {
    mac: &'a str,
}

impl Rest {
    /// Announces a file: takes room for it. With the same words it can be asked again.
    ///
    /// # Errors
    /// [`Error::Api`] naming the limit that it would break.
    pub async fn announce_file(&self, credentials: &Credentials, form: &FileForm) -> Result<FileState, Error> {
        self.call(Method::POST, "/v1/files", Some(credentials), Some(form)).await
    }

    /// A page of one's own files, at most 500: those behind `before`, which an earlier page gave as next.
    ///
    /// # Errors
    /// As every call.
    pub async fn files(
        &self,
        credentials: &Credentials,
        before: Option<&str>,
        limit: usize,
    ) -> Result<OwnFiles, Error> {
        let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
        self.get(&format!("/v1/files?limit={limit}{before}"), credentials).await
    }

    /// How far a file is.
    ///
    /// # Errors
    /// [`Error::Api`] when there is none, or not for this user.
    pub async fn file(&self, credentials: &Credentials, file: FileId) -> Result<FileState, Error> {
        self.get(&format!("/v1/files/{file}"), credentials).await
    }

    /// Sends a piece; how far the file is then.
    ///
    /// # Errors
    /// [`Error::Api`] with `wrong_offset` or `upload_busy`: ask how far it is, and go on from there.
    pub async fn upload_piece(
        &self,
        credentials: &Credentials,
        file: FileId,
        offset: u64,
        piece: Bytes,
    ) -> Result<u64, Error> {
        let path = format!("{}/v1/files/{file}/content?offset={offset}", self.base);
        let request = self.http.patch(path).bearer_auth(credentials.access_token.expose_secret());
        let request = request.header(header::CONTENT_TYPE, "application/octet-stream").timeout(PIECE_TIMEOUT);
        let answer = self.finish(request.body(piece)).await?;
        Ok(read::<Progress>(&answer)?.received)
    }

    /// Has a file checked whose pieces are all there.
    ///
    /// # Errors
    /// [`Error::Api`] when it is not what was announced.
    pub async fn complete_file(&self, credentials: &Credentials, file: FileId) -> Result<FileState, Error> {
        let request = self.http.post(format!("{}/v1/files/{file}/complete", self.base));
        let request = request.bearer_auth(credentials.access_token.expose_secret()).timeout(CHECK_TIMEOUT);
        read(&self.finish(request).await?)
    }

    /// Proves that one has a file's content.
    ///
    /// # Errors
    /// [`Error::Api`] with `proof_not_accepted`: send it.
    pub async fn prove_file(&self, credentials: &Credentials, file: FileId, mac: &str) -> Result<FileState, Error> {
        let path = format!("/v1/files/{file}/proof");
        self.call(Method::POST, &path, Some(credentials), Some(&Mac { mac })).await
    }

    /// A part of a file: at most `length` bytes from `offset` on.
    ///
    /// # Errors
    /// [`Error::Api`] when there is no such file for this user.
    pub async fn download_range(
        &self,
        credentials: &Credentials,
        file: FileId,
        offset: u64,
        length: u64,
    ) -> Result<Bytes, Error> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let response = self.open_range(credentials, file, offset, length).await?;
        self.body(response).await.map(Bytes::from)
    }

    /// A part of a file that is not empty, to be read as it comes.
    pub(super) async fn open_range(
        &self,
        credentials: &Credentials,
        file: FileId,
        offset: u64,
        length: u64,
    ) -> Result<reqwest::Response, Error> {
        let request = self.http.get(format!("{}/v1/files/{file}/content", self.base)).timeout(PIECE_TIMEOUT);
        let request = request.bearer_auth(credentials.access_token.expose_secret());
        let request = request.header(header::RANGE, format!("bytes={offset}-{}", offset + length - 1));
        let response = request.send().await.map_err(Error::http)?;
        let (status, retry_after) = (response.status(), words::retry_after(response.headers()));
        if status.is_success() {
            return Ok(response);
        }
        Err(refused(status, retry_after, &self.body(response).await?).into())
    }

    /// Gives up an upload, or a file that no message refers to.
    ///
    /// # Errors
    /// [`Error::Api`] when there is none, or a message came with it.
    pub async fn discard_file(&self, credentials: &Credentials, file: FileId) -> Result<(), Error> {
        let path = format!("/v1/files/{file}");
        self.exchange(Method::DELETE, &path, Some(&credentials.access_token), None::<&()>).await.map(drop)
    }

    /// Makes another file of the same content, which is one's own and can be sent on.
    ///
    /// # Errors
    /// [`Error::Api`] when one may not read it, or has no room.
    pub async fn copy_file(&self, credentials: &Credentials, from: FileId, to: FileId) -> Result<FileState, Error> {
        #[derive(Serialize)]
        struct Wanted {
            id: String,
        }
        let path = format!("/v1/files/{from}/copy");
        self.call(Method::POST, &path, Some(credentials), Some(&Wanted { id: to.to_string() })).await
    }

    /// Sends a request of another form than JSON; its answer's body.
    async fn finish(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, Error> {
        let response = request.send().await.map_err(Error::http)?;
        let status = response.status();
        let retry_after = words::retry_after(response.headers());
        let answer = self.body(response).await?;
        if status.is_success() { Ok(answer) } else { Err(refused(status, retry_after, &answer).into()) }
    }
}
