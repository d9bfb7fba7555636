//! `[files]`: what may be sent with messages, and where it rests.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::kind::{Integer, ListOf, OptionalFile, OptionalSecret, OptionalText, Size, Text, Time};
use super::reader::Reader;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const DAY: u64 = 24 * 3600;

/// Where the content of files rests.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    /// A folder; `None`: `files` in the data folder, unless there is a bucket.
    folder: Option<PathBuf>,
    /// A bucket of a store that speaks S3.
    pub(crate) bucket: Option<Bucket>,
}

/// Where the bucket is.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    pub(crate) prefix: String,
    pub(crate) access_key: Option<String>,
    pub(crate) secret_key: Option<SecretString>,
    /// A file whose first line is the secret.
    pub(crate) secret_key_file: Option<PathBuf>,
}

const NAME: OptionalText = OptionalText("the name of a bucket", |name| {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
});
const ENDPOINT: OptionalText = OptionalText("a URL that begins with https:// or http://", |url| {
    url.split_once("://").is_some_and(|(scheme, host)| ["https", "http"].contains(&scheme) && !host.is_empty())
});
const REGION: Text = Text("the name of a region, such as \"us-east-1\"", |name| !name.is_empty());
const PREFIX: Text = Text("a text of letters, digits, \".\", \"-\", \"_\" and \"/\"", |text| {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_/".contains(&byte))
});
const KEY: OptionalText = OptionalText("a text", |_| true);

impl Bucket {
    fn read(r: &mut Reader) -> Option<Self> {
        let name = r.get("files.s3_bucket", None, NAME);
        let rest = Self {
            name: String::new(),
            endpoint: r.get("files.s3_endpoint", None, ENDPOINT),
            region: r.get("files.s3_region", "us-east-1".into(), REGION),
            prefix: r.get("files.s3_prefix", String::new(), PREFIX),
            access_key: r.get("files.s3_access_key", None, KEY),
            secret_key: r.get("files.s3_secret_key", None, OptionalSecret(1)),
            secret_key_file: r.get("files.s3_secret_key_file", None, OptionalFile),
        };
        name.map(|name| Self { name, ..rest })
    }
}

impl Shelf {
    pub(super) fn read(r: &mut Reader, api: &mut whimbrel_api::Config, readable: bool) -> Self {
        let folder = r.get("files.folder", None, OptionalFile);
        let bucket = Bucket::read(r);
        let c = &mut api.files;
        c.readable = readable;
        c.size_max = r.get("files.size_max", c.size_max, Size(KIB, 1024 * GIB));
        let types = ListOf::<String>("media types, such as \"image/png\" or \"image/*\"", PhantomData);
        c.types = r.get("files.types", c.types.clone(), types);
        c.pixels_max = r.get("files.pixels_max", c.pixels_max, Integer(1, 10_000_000_000));
        c.picture_max = r.get("files.picture_max", c.picture_max, Size(KIB, 256 * MIB));
        c.room.bytes = r.get("files.bytes_per_user", c.room.bytes, Size(KIB, 1024 * 1024 * GIB));
        c.room.files = r.get("files.files_per_user", c.room.files, Integer(1, 1_000_000_000));
        c.room.uploads = r.get("files.uploads_per_user", c.room.uploads, Integer(1, 100_000));
        c.transfers_max = r.get("files.transfers", c.transfers_max, Integer(1, 100_000));
        c.transfers_per_user = r.get("files.transfers_per_user", c.transfers_per_user, Integer(1, 100_000));
        c.idle_timeout = r.get("files.idle_timeout", c.idle_timeout, Time::ms(100, 600_000));
        c.transfer_timeout = r.get("files.transfer_timeout", c.transfer_timeout, Time::s(1, DAY));
        c.keep_unfinished = r.get("files.keep_unfinished", c.keep_unfinished, Time::s(60, 365 * DAY));
        c.keep_unattached = r.get("files.keep_unattached", c.keep_unattached, Time::s(60, 365 * DAY));
        c.collect_every = r.get("files.collect_every", c.collect_every, Time::ms(100, 24 * 3_600_000));
        Self { folder, bucket }
    }

    /// Notes what does not fit.
    pub(super) fn check(&self, r: &mut Reader) {
        let Some(bucket) = &self.bucket else { return };
        if self.folder.is_some() {
            r.problem(format!(
                "files.folder ({}) and files.s3_bucket ({}) are both set; only one of them can count.",
                r.origin("files.folder"),
                r.origin("files.s3_bucket")
            ));
        }
        let secrets = [bucket.secret_key.is_some(), bucket.secret_key_file.is_some()];
        if bucket.access_key.is_none() || !secrets.contains(&true) {
            r.problem(format!(
                "files.s3_bucket ({}) needs files.s3_access_key, and files.s3_secret_key or files.s3_secret_key_file.",
                r.origin("files.s3_bucket")
            ));
        }
        if !secrets.contains(&false) {
            r.problem(format!(
                "files.s3_secret_key ({}) and files.s3_secret_key_file ({}) are both set; only one of them can count.",
                r.origin("files.s3_secret_key"),
                r.origin("files.s3_secret_key_file")
            ));
        }
    }

    /// The folder of a server whose data is in this one.
    pub(crate) fn folder(&self, data: &Path) -> PathBuf {
        self.folder.clone().unwrap_or_else(|| data.join("files"))
    }
}
