//! What a process can be: everything at once, or one role of a cluster.
//!
//! Each role has one `run`, which is its table of contents: what it opens, in which order it begins, in which order it
//! stops. `base` is what the roles of a cluster begin with.

pub(crate) mod api;
pub(crate) mod archiver;
pub(crate) mod base;
pub(crate) mod connector;
pub(crate) mod standalone;
pub(crate) mod transfer;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};
use whimbrel_store::Blobs;
use whimbrel_store::blobs::{BucketBlobs, BucketConfig, FolderBlobs};
use whimbrel_store::rabbit::RabbitConfig;

use crate::config::Config;
use crate::config::files::Bucket;
use crate::house::secret_file;

/// What access tokens are signed with, among what is derived from the master key. Never changes.
const TOKENS: &str = "access tokens";
/// What refresh tokens are made with.
const REFRESH: &str = "refresh tokens";
/// In a transfer's entry in the roster: how many partitions of the log it uses.
const PARTITIONS: &str = "partitions";

/// The API's settings with the administrator's key, wherever that is.
fn api_config(config: &Config) -> anyhow::Result<whimbrel_api::Config> {
    let mut api = config.api.clone();
    api.admin_key = config.admin.key.clone();
    if let Some(file) = &config.admin.key_file {
        let key = secret_file::read_first_line(file).context("admin.key_file")?;
        api.admin_key = Some(key.into());
    }
    api.check().map_err(|error| anyhow::anyhow!("the administrator's key cannot be used: {}", error.reason))?;
    Ok(api)
}

/// Where the content of files rests.
async fn blobs(config: &Config) -> anyhow::Result<Arc<dyn Blobs>> {
    if let Some(bucket) = &config.files.bucket {
        return Ok(Arc::new(bucket_blobs(bucket)?));
    }
    let folder = config.files.folder(&config.data.folder);
    let open = tokio::task::spawn_blocking({
        let folder = folder.clone();
        move || FolderBlobs::open(&folder)
    });
    let blobs = open.await?.with_context(|| format!("files.folder: {} cannot be used", folder.display()))?;
    Ok(Arc::new(blobs))
}

/// A bucket; whether it can be reached shows with the first file.
fn bucket_blobs(bucket: &Bucket) -> anyhow::Result<BucketBlobs> {
    let secret_key = match (&bucket.secret_key, &bucket.secret_key_file) {
        (Some(key), _) => key.clone(),
        (None, Some(file)) => secret_file::read_first_line(file).context("files.s3_secret_key_file")?.into(),
        (None, None) => anyhow::bail!("files.s3_secret_key is not set"),
    };
    let config = BucketConfig {
        bucket: bucket.name.clone(),
        endpoint: bucket.endpoint.clone(),
        region: bucket.region.clone(),
        access_key: bucket.access_key.clone().unwrap_or_default(),
        secret_key,
        prefix: bucket.prefix.clone(),
    };
    BucketBlobs::new(&config).map_err(|error| anyhow::anyhow!("files.s3_bucket cannot be used: {error}"))
}

/// Where RabbitMQ is; `who` stands in the connections' names there.
pub(crate) fn rabbit(config: &Config, who: &str) -> RabbitConfig {
    let engines = &config.engines;
    RabbitConfig {
        prefix: engines.rabbit_prefix.clone(),
        partitions: engines.rabbit_partitions,
        records_in_flight: engines.rabbit_in_flight,
        management_url: engines.rabbit_management_url.clone(),
        ..RabbitConfig::new(engines.rabbit_url.clone(), format!("whimbrel {who}"))
    }
}

/// Listens there. `key`: the configuration's name for the address.
fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    whimbrel_connector::bind(address)
        .with_context(|| format!("{key}: {address} cannot be listened on; choose another, or stop what uses it"))
}

/// Waits for a step of a stop, but not beyond the deadline; whether it was in time.
async fn in_time<F: Future>(what: &str, deadline: Instant, work: F) -> bool {
    let done = timeout_at(deadline, work).await.is_ok();
    if !done {
        tracing::warn!(what, "the stop did not wait any longer for this");
    }
    done
}
