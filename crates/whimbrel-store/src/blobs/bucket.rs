//! Content in a bucket of a store that speaks S3. An upload is a row of objects, `<prefix><two digits>/<id>/<number>`, each
//! of 1 MiB but the last, and is kept for good once `…/whole` stands beside them. Nothing is moved or copied:
//! what was uploaded is what is read.
//!
//! Objects are written only where none is (`If-None-Match: *`), so what was checked does not change. A piece that was cut
//! off is kept to its last whole chunk. Any number of processes may do everything at once.
//!
//! TLS is this workspace's: rustls with the ring provider, named explicitly, like everywhere else.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
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
    store: Arc<AmazonS3>,
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

    /// How far an upload's chunks reach without a gap.
    async fn reaches(&self, id: FileId, size: u64) -> Result<u64, BlobError> {
        let folder = Path::from(self.folder(id));
        let mut found: Vec<(u64, u64)> = self
            .store
            .list(Some(&folder))
            .try_filter_map(async |object| {
                let number = object.location.filename().and_then(|name| name.parse().ok());
                Ok(number.map(|number| (number, object.size)))
            })
            .try_collect()
            .await
            .map_err(away)?;
        found.sort_unstable();
        let mut received = 0;
        for (number, len) in found {
            if number * CHUNK != received || len != CHUNK.min(size - received) {
                break;
            }
            received += len;
        }
        Ok(received)
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
        if self.is_kept(id).await? { Ok(size) } else { self.reaches(id, size).await }
    }

    async fn append(&self, id: FileId, offset: u64, size: u64, mut piece: ByteStream) -> Result<u64, BlobError> {
        let received = self.received(id, size).await?;
        if offset > received {
            return Err(BlobError::Offset { received });
        }
        // What is there already comes again, and is passed over.
        let (mut came, mut at, mut chunk) = (offset, received, BytesMut::new());
        while let Some(bytes) = piece.next().await {
            let mut bytes = bytes.map_err(BlobError::Body)?;
            if came + bytes.len() as u64 > size {
                return Err(BlobError::TooLong);
            }
            let known = received.saturating_sub(came).min(bytes.len() as u64);
            came += bytes.len() as u64;
            bytes = bytes.split_off(usize::try_from(known).unwrap_or(bytes.len()));
            while !bytes.is_empty() {
                let room = CHUNK as usize - chunk.len();
                let part = bytes.split_to(room.min(bytes.len()));
                chunk.extend_from_slice(&part);
                if chunk.len() as u64 == CHUNK.min(size - at) {
                    self.put(&self.chunk(id, at / CHUNK), chunk.split().freeze()).await?;
                    at = (at + CHUNK).min(size);
                }
            }
        }
        Ok(at)
    }

    async fn finish(&self, id: FileId, size: u64, hash: ContentHash) -> Result<(), BlobError> {
        if self.is_kept(id).await? {
            return Ok(());
        }
        let received = self.reaches(id, size).await?;
        if received != size {
            return Err(BlobError::Offset { received });
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
            match self.store.delete(&path).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(away(error)),
            }
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
pub(super) fn client() -> Result<reqwest::Client, Box<dyn std::error::Error + Send + Sync>> {
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
