//! Content in a bucket of a store that speaks S3. An upload is a row of objects, `<prefix><two digits>/<id>/<number>`, each
//! of 1 MiB but the last, and is kept for good once `…/whole` stands beside them. Nothing of them is moved or copied:
//! what was uploaded is what is read.
//!
//! A piece may end anywhere. What it leaves of a chunk is the upload's tail: `…/<number>-<bytes>`, the chunk from its
//! beginning, until there is a longer one, or the chunk. So a piece costs one object of at most 1 MiB more than it fills,
//! however small it is, and there is one tail at a time (more only where somebody was killed, or several write at once; they
//! go when the upload is whole).
//!
//! Objects are written only where none is (`If-None-Match: *`), so what was checked does not change. Any number of processes
//! may do everything at once.
//!
//! TLS is this workspace's: rustls with the ring provider, named explicitly, like everywhere else.

mod upload;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig};
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use whimbrel_core::FileId;

use super::{BlobError, Blobs, ByteStream};
use crate::filing::ContentHash;
use upload::Upload;

/// Bytes of an object, and what one transfer has in memory.
const CHUNK: u64 = 1024 * 1024;
/// What stands beside the chunks of what is kept.
const WHOLE: &str = "whole";
/// A request that takes longer has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// What failed is tried again for so long.
const RETRY_FOR: Duration = Duration::from_secs(20);

/// Where a bucket is.
#[derive(Debug, Clone)]
pub struct BucketConfig {
    /// Its name.
    pub bucket: String,
    /// `https://host[:port]` of the store; `None`: the region's own.
    pub endpoint: Option<String>,
    /// Such as `us-east-1`.
    pub region: String,
    /// Who one is there.
    pub access_key: String,
    /// And its secret.
    pub secret_key: SecretString,
    /// What all objects' names begin with.
    pub prefix: String,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct BucketBlobs {
    pub(crate) store: Arc<AmazonS3>,
    prefix: Arc<str>,
}

impl BucketBlobs {
    /// Content in this bucket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// What is wrong with the configuration, in a sentence.
    pub fn new(config: &BucketConfig) -> Result<Self, String> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_access_key_id(&config.access_key)
            .with_secret_access_key(config.secret_key.expose_secret())
            .with_retry(RetryConfig { retry_timeout: RETRY_FOR, ..RetryConfig::default() })
            .with_http_connector(OwnTls);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let store = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { store: Arc::new(store), prefix: config.prefix.as_str().into() })
    }

    /// Asks whether the bucket can be reached and read.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`] with the store's words.
    pub async fn check(&self) -> Result<(), BlobError> {
        self.is_kept(FileId::from_bytes([0; 16])).await.map(drop)
    }

    fn folder(&self, id: FileId) -> String {
        let name: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}{}/{name}", self.prefix, &name[30..])
    }

    fn whole(&self, id: FileId) -> Path {
        Path::from(format!("{}/{WHOLE}", self.folder(id)))
    }

    fn chunk(&self, id: FileId, number: u64) -> Path {
        Path::from(format!("{}/{number:08}", self.folder(id)))
    }

    async fn is_kept(&self, id: FileId) -> Result<bool, BlobError> {
        match self.store.head(&self.whole(id)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(away(error)),
        }
    }

    fn tail(&self, id: FileId, number: u64, len: u64) -> Path {
        Path::from(format!("{}/{number:08}-{len}", self.folder(id)))
    }

    async fn delete(&self, path: &Path) -> Result<(), BlobError> {
        match self.store.delete(path).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(away(error)),
        }
    }

    /// Writes a chunk where none is.
    async fn put(&self, path: &Path, bytes: Bytes) -> Result<(), BlobError> {
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(path, PutPayload::from(bytes), options).await {
            Ok(_) | Err(Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(away(error)),
        }
    }
}

fn away(error: Error) -> BlobError {
    BlobError::Unavailable(error.to_string())
}

#[async_trait]
impl Blobs for BucketBlobs {
    async fn received(&self, id: FileId, size: u64) -> Result<u64, BlobError> {
        if self.is_kept(id).await? { Ok(size) } else { Ok(self.look(id, size).await?.received()) }
    }

    async fn append(&self, id: FileId, offset: u64, size: u64, mut piece: ByteStream) -> Result<u64, BlobError> {
        let upload = if self.is_kept(id).await? { Upload::whole(size) } else { self.look(id, size).await? };
        let received = upload.received();
        if offset > received {
            return Err(BlobError::Offset { received });
        }
        let mut open = self.open(id, &upload).await?;
        // What is there already comes again, and is passed over.
        let mut came = offset;
        while let Some(bytes) = piece.next().await {
            let mut bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.leave(id, open).await?;
                    return Err(BlobError::Body(error));
                }
            };
            if came + bytes.len() as u64 > size {
                return Err(BlobError::TooLong);
            }
            let known = received.saturating_sub(came).min(bytes.len() as u64);
            came += bytes.len() as u64;
            bytes = bytes.split_off(usize::try_from(known).unwrap_or(bytes.len()));
            while !bytes.is_empty() {
                let room = CHUNK as usize - open.bytes.len();
                let part = bytes.split_to(room.min(bytes.len()));
                open.bytes.extend_from_slice(&part);
                if open.bytes.len() as u64 == CHUNK.min(size - open.at) {
                    self.put(&self.chunk(id, open.at / CHUNK), open.bytes.split().freeze()).await?;
                    self.close(id, &mut open).await?;
                    open.at = (open.at + CHUNK).min(size);
                }
            }
        }
        self.leave(id, open).await
    }

    async fn finish(&self, id: FileId, size: u64, hash: ContentHash) -> Result<(), BlobError> {
        if self.is_kept(id).await? {
            return Ok(());
        }
        let upload = self.look(id, size).await?;
        if upload.filled != size {
            return Err(BlobError::Offset { received: upload.received() });
        }
        let mut hasher = Sha256::new();
        for number in 0..size.div_ceil(CHUNK) {
            let chunk = self.store.get(&self.chunk(id, number)).await.map_err(away)?.bytes().await.map_err(away)?;
            let hashed = spawn_blocking(move || {
                hasher.update(&chunk);
                hasher
            });
            hasher = hashed.await.map_err(|error| BlobError::Unavailable(error.to_string()))?;
        }
        if ContentHash::from(hasher.finalize()) != hash {
            return Err(BlobError::OtherHash);
        }
        for (number, len) in upload.tails {
            self.delete(&self.tail(id, number, len)).await?;
        }
        self.put(&self.whole(id), Bytes::new()).await
    }

    async fn read(&self, id: FileId, range: Range<u64>) -> Result<ByteStream, BlobError> {
        if !self.is_kept(id).await? {
            return Err(BlobError::Gone);
        }
        let parts = stream::try_unfold((self.clone(), range), move |(blobs, range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let (number, from) = (range.start / CHUNK, range.start % CHUNK);
            let len = (CHUNK - from).min(range.end - range.start);
            let bytes = blobs.store.get_range(&blobs.chunk(id, number), from..from + len).await;
            let bytes = bytes.map_err(std::io::Error::other)?;
            let next = (blobs, range.start + len..range.end);
            Ok(Some((bytes, next)))
        });
        Ok(Box::pin(parts))
    }

    async fn remove(&self, id: FileId) -> Result<(), BlobError> {
        // First what says that it is whole, so that nothing is ever taken for it that is not.
        let chunks: Vec<Path> = self
            .store
            .list(Some(&Path::from(self.folder(id))))
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .map_err(away)?;
        for path in std::iter::once(self.whole(id)).chain(chunks) {
            self.delete(&path).await?;
        }
        Ok(())
    }
}

/// Makes HTTP clients with this workspace's TLS.
#[derive(Debug)]
struct OwnTls;

impl HttpConnector for OwnTls {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        client().map(HttpClient::new).map_err(|error| Error::Generic { store: "S3", source: error })
    }
}

/// An HTTP client that trusts the operating system's roots.
pub(crate) fn client() -> Result<reqwest::Client, Box<dyn std::error::Error + Send + Sync>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(REQUEST_TIMEOUT);
    Ok(client.build()?)
}
