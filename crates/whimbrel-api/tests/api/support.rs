//! An API on a real store in a temporary folder, a recorder in place of the transfers, and a client that holds every
//! error answer against the OpenAPI document.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use secrecy::SecretSlice;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use whimbrel_api::{ApiRole, Config, DelayPolicy, Hashing, Peer, Stores};
use whimbrel_core::{ConnectorId, CursorMoved, PlacedRow};
use whimbrel_rpc::token::TokenKey;
use whimbrel_rpc::{Announce, PlacedBatch, Revoked, Through, Told};
use whimbrel_store::blobs::FolderBlobs;
use whimbrel_store::memory::MemoryUserStatus;
use whimbrel_store::mysql::MySqlStore;
use whimbrel_store::sqlite::{SqliteConfig, SqliteStore};
use whimbrel_store::testing::{TestBucket, TestDatabase};
use whimbrel_store::{Blobs, Directory, Files, Keeping, Keyring, MasterKey, Timeline};

pub(crate) const ADMIN_KEY: &str = "an administrator's key for tests";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// What was announced, in order.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) rows: Mutex<Vec<PlacedRow>>,
    pub(crate) revoked: Mutex<Vec<Revoked>>,
    /// Every announcement of rows takes this long.
    pub(crate) delay: Mutex<Duration>,
}

impl Recorder {
    pub(crate) fn take_rows(&self) -> Vec<PlacedRow> {
        std::mem::take(&mut self.rows.lock().expect("not poisoned"))
    }

    pub(crate) fn take_revoked(&self) -> Vec<Revoked> {
        std::mem::take(&mut self.revoked.lock().expect("not poisoned"))
    }
}

#[async_trait]
impl Announce for Recorder {
    async fn placed(&self, batches: Vec<PlacedBatch>, _: Through) -> Told {
        let delay = *self.delay.lock().expect("not poisoned");
        tokio::time::sleep(delay).await;
        for batch in batches {
            assert!(batch.batch.is_none() && batch.outcomes.is_empty() && !batch.rows.is_empty());
            self.rows.lock().expect("not poisoned").extend(batch.rows);
        }
        Told::default()
    }

    async fn advanced(&self, _: Vec<CursorMoved>, _: Through) -> Told {
        panic!("the API moves no cursors");
    }

    async fn expel(&self, _: Vec<ConnectorId>) -> bool {
        panic!("the API expels nobody");
    }

    async fn revoked(&self, revoked: Vec<Revoked>) {
        self.revoked.lock().expect("not poisoned").extend(revoked);
    }
}

/// Settings under which a test does not wait.
pub(crate) fn config() -> Config {
    let patient = DelayPolicy {
        free: 10_000,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(1),
        forget: Duration::from_secs(60),
    };
    Config {
        admin_key: Some(ADMIN_KEY.into()),
        hashing: Hashing { memory_kib: 8, passes: 1, concurrency: 2, queue: 64 },
        account_delay: patient,
        address_delay: patient,
        registration_delay: patient,
        ..Config::default()
    }
}

/// On what an API stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// A folder with SQLite and files.
    Folder,
    /// A database of MySQL or MariaDB, and a folder of files.
    Shared,
    /// The same database, and a bucket of files.
    Bucket,
}

/// Each of these facts on one node's folder and on what a cluster has.
macro_rules! on_both {
    ($($name:ident on $cluster:ident),* $(,)?) => {
        mod alone {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::On::Folder).await
            })*
        }

        mod in_a_cluster {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::On::$cluster).await
            })*
        }
    };
}
pub(crate) use on_both;

/// What tests do to a store past the API.
pub(crate) trait Store: Directory + Timeline + Files + Keeping {}

impl<S: Directory + Timeline + Files + Keeping> Store for S {}

pub(crate) struct Api {
    pub(crate) role: ApiRole,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) tokens: Arc<TokenKey>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) status: Arc<MemoryUserStatus>,
    keyring: Arc<Keyring>,
    /// Made once: that takes longer than most requests.
    router: axum::Router,
    /// Kept so that it can be closed.
    sqlite: Option<SqliteStore>,
    ground: Ground,
}

/// Where things rest, also over a restart.
struct Ground {
    folder: TempDir,
    database: Option<TestDatabase>,
    bucket: Option<TestBucket>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    /// As it came.
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("none")
    }

    /// Status and code in one, for comparing.
    pub(crate) fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.code()), (status, code), "{}", self.body);
    }

    /// The body of an answer that went well.
    pub(crate) fn good(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.body);
        self.body
    }

    pub(crate) fn text(&self, key: &str) -> String {
        self.body[key].as_str().unwrap_or_else(|| panic!("{key} in {}", self.body)).to_owned()
    }

    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.headers.get("retry-after")?.to_str().ok()?.parse().ok()
    }
}

/// Somebody with an account.
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) device: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

enum Engine {
    Sqlite(SqliteStore),
    MySql(MySqlStore),
}

fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::new(MasterKey::generate(), Vec::new()).expect("one key"))
}

fn open(ground: &Ground, keyring: &Arc<Keyring>) -> SqliteStore {
    SqliteStore::open(ground.folder.path(), keyring.clone(), SqliteConfig::default()).expect("a store")
}

impl Api {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (ground, keyring) = (Ground { folder, database: None, bucket: None }, keyring());
        let sqlite = open(&ground, &keyring);
        Self::standing(ground, keyring, Engine::Sqlite(sqlite), config)
    }

    /// The same on this.
    pub(crate) async fn on(on: On, config: Config) -> Self {
        if on == On::Folder {
            return Self::with(config);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let database = Some(TestDatabase::migrated().await);
        let bucket = if on == On::Bucket { Some(TestBucket::new().await) } else { None };
        Self::again(Ground { folder, database, bucket }, keyring(), config).await
    }

    /// Closes what rests in the folder.
    pub(crate) async fn close(&self) {
        if let Some(sqlite) = &self.sqlite {
            sqlite.close().await.expect("in order");
        }
    }

    /// The same server after a restart: what rests, and nothing of its memory.
    pub(crate) async fn restarted(self, config: Config) -> Self {
        self.close().await;
        Self::again(self.ground, self.keyring, config).await
    }

    async fn again(ground: Ground, keyring: Arc<Keyring>, config: Config) -> Self {
        let engine = match &ground.database {
            Some(database) => Engine::MySql(database.open_with(keyring.clone()).await),
            None => Engine::Sqlite(open(&ground, &keyring)),
        };
        Self::standing(ground, keyring, engine, config)
    }

    fn standing(ground: Ground, keyring: Arc<Keyring>, engine: Engine, config: Config) -> Self {
        let blobs: Arc<dyn Blobs> = match &ground.bucket {
            Some(bucket) => Arc::new(bucket.blobs()),
            None => Arc::new(FolderBlobs::open(&ground.folder.path().join("files")).expect("a folder")),
        };
        let recorder = Arc::new(Recorder::default());
        let status = Arc::new(MemoryUserStatus::new());
        let secret: SecretSlice<u8> = vec![7; 32].into();
        let tokens = Arc::new(TokenKey::new(&secret));
        let (stores, store, sqlite): (Stores, Arc<dyn Store>, _) = match engine {
            Engine::Sqlite(store) => {
                let shared = Arc::new(store.clone());
                (Stores::one(shared.clone(), status.clone(), blobs.clone()), shared, Some(store))
            }
            Engine::MySql(store) => {
                let shared = Arc::new(store);
                (Stores::one(shared.clone(), status.clone(), blobs.clone()), shared, None)
            }
        };
        let ready = Arc::new(|| Ok(()));
        let metrics = Arc::new(|| "whimbrel_up 1\n".to_owned());
        let role = ApiRole::new(config, stores, recorder.clone(), tokens.clone(), secret, ready, metrics);
        let role = role.expect("good settings");
        let router = role.router();
        Self { role, recorder, tokens, store, blobs, status, keyring, router, sqlite, ground }
    }

    /// The content of files that rests, uploads too, by the names under which it does.
    pub(crate) async fn resting(&self) -> BTreeMap<String, Vec<u8>> {
        if let Some(bucket) = &self.ground.bucket {
            return bucket.contents().await;
        }
        let name = |path: &Path| path.file_name().expect("a file").to_str().expect("text").to_owned();
        let files = crate::files::walk(&self.folder().join("files")).into_iter();
        files.map(|path| (name(&path), std::fs::read(&path).expect("there"))).collect()
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.ground.folder.path()
    }

    /// Sends a request through all layers, as if from `peer`.
    pub(crate) async fn send_from(&self, peer: &str, mut request: Request<Body>) -> Answer {
        let peer: SocketAddr = format!("{peer}:1234").parse().expect("an address");
        request.extensions_mut().insert(Peer(peer));
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.expect("routers do not fail");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 4 << 20).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let answer = Answer { status: parts.status, headers: parts.headers, body, bytes };
        check_error(&answer, &method.to_lowercase(), &path);
        answer
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        self.send_from("127.0.0.1", request).await
    }

    /// `GET /v1/me`, `Some(token)`, and a body unless it is null.
    pub(crate) async fn call(&self, what: &str, token: Option<&str>, body: Value) -> Answer {
        self.send(request(what, token, body)).await
    }

    pub(crate) async fn admin(&self, what: &str, body: Value) -> Answer {
        self.call(what, Some(ADMIN_KEY), body).await
    }

    pub(crate) async fn register(&self, handle: &str) -> Person {
        let answer = self.call("POST /v1/register", None, json!({"handle": handle, "password": PASSWORD})).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        person(&answer)
    }

    pub(crate) async fn login(&self, handle: &str, password: &str) -> Answer {
        self.call("POST /v1/login", None, json!({"handle": handle, "password": password})).await
    }

    /// Somebody's call.
    pub(crate) async fn by(&self, who: &Person, what: &str, body: Value) -> Answer {
        self.call(what, Some(&who.access), body).await
    }

    /// As many people, made by the administrator, with tokens.
    pub(crate) async fn people(&self, prefix: &str, count: usize) -> Vec<Person> {
        let mut people = Vec::with_capacity(count);
        for from in (0..count).step_by(1000) {
            let names = from..count.min(from + 1000);
            let users: Vec<_> = names.map(|n| json!({"handle": format!("{prefix}{n}")})).collect();
            let users = self.admin("POST /v1/admin/users", json!({"users": users})).await.good();
            let ids = users["users"].as_array().expect("a list").iter().map(|user| user["user"]["id"].clone());
            let asked: Vec<_> = ids.map(|id| json!({"user": id})).collect();
            let tokens = self.admin("POST /v1/admin/tokens", json!({"tokens": asked})).await.good();
            let text = |token: &Value, key: &str| token[key].as_str().expect("a text").to_owned();
            people.extend(tokens["tokens"].as_array().expect("a list").iter().map(|token| Person {
                id: token["user"].as_u64().expect("a number"),
                device: text(token, "device_id"),
                access: text(token, "access_token"),
                refresh: String::new(),
            }));
        }
        people
    }

    pub(crate) async fn befriend(&self, a: &Person, b: &Person) -> String {
        let pairs = json!({"pairs": [[a.id, b.id]]});
        let answer = self.admin("POST /v1/admin/relations", pairs).await.good();
        answer["pairs"][0]["conversation_id"].as_str().expect("a conversation").to_owned()
    }

    /// A group that this person creates; its id.
    pub(crate) async fn group(&self, owner: &Person, form: Value) -> String {
        let answer = self.by(owner, "POST /v1/groups", form).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("id")
    }

    /// Adds members to a group, as the administrator does.
    pub(crate) async fn add(&self, group: &str, people: &[&Person]) {
        let users: Vec<_> = people.iter().map(|person| person.id).collect();
        self.admin(&format!("POST /v1/admin/groups/{group}/members"), json!({"users": users})).await.good();
    }

    /// Does something in a group.
    pub(crate) async fn act(&self, who: &Person, group: &str, action: &str, body: Value) -> Answer {
        self.by(who, &format!("POST /v1/groups/{group}/{action}"), body).await
    }

    /// What somebody sees of a group.
    pub(crate) async fn see(&self, who: &Person, group: &str) -> Answer {
        self.by(who, &format!("GET /v1/groups/{group}"), Value::Null).await
    }

    pub(crate) async fn relate(&self, who: &Person, action: &str, peer: &Person) -> Answer {
        self.call(&format!("POST /v1/relations/{}/{action}", peer.id), Some(&who.access), Value::Null).await
    }
}

pub(crate) fn person(answer: &Answer) -> Person {
    Person {
        id: answer.body["user"]["id"].as_u64().expect("a number"),
        device: answer.text("device_id"),
        access: answer.text("access_token"),
        refresh: answer.text("refresh_token"),
    }
}

pub(crate) fn request(what: &str, token: Option<&str>, body: Value) -> Request<Body> {
    let (method, path) = what.split_once(' ').expect("method and path");
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = match body {
        Value::Null => request.body(Body::empty()),
        body => request.header("content-type", "application/json").body(Body::from(body.to_string())),
    };
    request.expect("a request")
}

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(whimbrel_api::document()).expect("plain data"));

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len() && pattern.iter().zip(&path).all(|(a, b)| a == b || a.starts_with('{'))
}

/// Every error has the one shape, and the document says that this operation may answer it.
fn check_error(answer: &Answer, method: &str, path: &str) {
    if answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED {
        return;
    }
    let body = answer.body.as_object().unwrap_or_else(|| panic!("no error shape: {}", answer.body));
    assert!(body.keys().all(|key| ["code", "message", "field"].contains(&&**key)), "{}", answer.body);
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", answer.body);
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let fits = |pattern: &&String| matches(pattern, path) && !paths[*pattern][method].is_null();
    // Paths without parameters come first in doubt, as they do in the router.
    let Some(pattern) = paths.keys().filter(fits).min_by_key(|pattern| pattern.matches('{').count()) else {
        assert!(["not_found", "method_not_allowed"].contains(&answer.code()), "{method} {path}: {}", answer.body);
        return;
    };
    let documented = &paths[pattern][method]["responses"][answer.status.as_str()]["content"]["application/json"];
    assert!(!documented["examples"][answer.code()].is_null(), "{method} {pattern}: {} is not documented", answer.body);
}
