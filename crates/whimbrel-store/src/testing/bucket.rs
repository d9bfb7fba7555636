//! A bucket of a test's own.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::blobs::bucket::client;
use crate::blobs::{BucketBlobs, BucketConfig};

/// An empty bucket at a server that speaks S3: the one that `WHIMBREL_TEST_S3` names (`http://host:port`), or one that ends
/// with this.
pub struct TestBucket {
    config: BucketConfig,
    server: Option<Child>,
}

impl TestBucket {
    /// Waits for the server.
    ///
    /// # Panics
    /// Without one.
    pub async fn new() -> Self {
        let (url, server) = match std::env::var("WHIMBREL_TEST_S3") {
            Ok(url) => (url, None),
            Err(_) => started().await,
        };
        let bucket = format!("whimbrel-{}", uuid::Uuid::new_v4());
        let made = client().expect("a client").put(format!("{url}/{bucket}")).send().await.expect("it answers");
        assert!(made.status().is_success(), "{made:?}");
        let config = BucketConfig {
            bucket,
            endpoint: Some(url),
            region: "us-east-1".into(),
            access_key: "test".into(),
            secret_key: "test".into(),
            prefix: "files/".into(),
        };
        Self { config, server }
    }

    /// What keeps content in it.
    pub fn blobs(&self) -> BucketBlobs {
        BucketBlobs::new(&self.config).expect("good settings")
    }

    /// The bytes that rest under each name, uploads too.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let store = self.blobs().store;
        let objects: Vec<_> =
            store.list(None).map_ok(|object| object.location).try_collect().await.expect("it answers");
        // `<prefix><two digits>/<id>/<number>`, in the order of their names.
        let mut objects: Vec<String> = objects.into_iter().map(String::from).collect();
        objects.sort_unstable();
        let mut contents = BTreeMap::<String, Vec<u8>>::new();
        for path in objects {
            let id = path.rsplit('/').nth(1).expect("an id");
            let object = store.get(&path.as_str().into()).await.expect("it answers").bytes().await.expect("a body");
            contents.entry(id.to_owned()).or_default().extend(object);
        }
        contents
    }
}

impl Drop for TestBucket {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            drop(server.kill());
            drop(server.wait());
        }
    }
}

async fn started() -> (String, Option<Child>) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|any| any.local_addr()).expect("a port").port();
    let server = Command::new("moto_server")
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("an S3 server: set WHIMBREL_TEST_S3, or install one (pip install 'moto[server]')");
    let address = format!("127.0.0.1:{port}");
    while tokio::net::TcpStream::connect(&address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (format!("http://{address}"), Some(server))
}
