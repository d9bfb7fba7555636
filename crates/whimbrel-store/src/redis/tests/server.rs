//! Private servers, killed when they are dropped, and the shared one.

use std::cell::RefCell;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{Cmd, FromRedisValue};
use tempfile::TempDir;
use uuid::Uuid;
use whimbrel_engines::Kind;

use crate::redis::RedisConfig;
use crate::testing;

/// A server of one test's own.
pub(super) struct Server {
    pub(super) port: u16,
    child: Child,
    arguments: Vec<String>,
    folder: PathBuf,
}

/// A port that was free a moment ago, and its Redis Cluster bus port too.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a socket").port();
        let Some(bus) = port.checked_add(10_000) else { continue };
        if TcpListener::bind(("127.0.0.1", bus)).is_ok() {
            return port;
        }
    }
}

impl Server {
    /// Answers when this returns.
    pub(super) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        // Another process may take the port before the server does.
        (0..20)
            .find_map(|_| {
                let port = free_port();
                let child = spawn(port, folder, &arguments);
                let mut server = Self { port, child, arguments: arguments.clone(), folder: folder.to_owned() };
                server.answers().then_some(server)
            })
            .expect("redis-server starts (is it installed?)")
    }

    fn answers(&mut self) -> bool {
        while self.child.try_wait().expect("a child").is_none() {
            if self.try_ask::<String>(&redis::cmd("PING")).is_ok_and(|pong| pong == "PONG") {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
        command.query(&mut connection)
    }

    /// Commands come as they are built: by value, or from `Cmd::arg` by reference.
    pub(super) fn ask<T: FromRedisValue>(&self, command: impl std::borrow::Borrow<Cmd>) -> T {
        self.try_ask(command.borrow()).expect("answers")
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// With leases and unsureness as deployments have them.
    pub(super) fn config(&self) -> RedisConfig {
        RedisConfig::new(self.url())
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().expect("kill -9");
        self.child.wait().expect("dies");
    }

    pub(super) fn start_again(&mut self) {
        self.child = spawn(self.port, &self.folder, &self.arguments);
        assert!(self.answers(), "starts again");
    }

    /// SIGSTOP, SIGCONT.
    pub(super) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, folder: &Path, arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(folder);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server is installed")
}

/// Three masters.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Server>,
    _folders: Vec<TempDir>,
}

impl Cluster {
    pub(super) fn start() -> Self {
        let folders: Vec<TempDir> = (0..3).map(|_| tempfile::tempdir().expect("a folder")).collect();
        let nodes: Vec<Server> = folders.iter().map(|folder| Self::node(folder.path())).collect();
        let places = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(places).args(["--cluster-yes", "--cluster-replicas", "0"]);
        let output = create.output().expect("redis-cli is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let is_whole =
            |node: &Server| node.ask::<String>(redis::cmd("CLUSTER").arg("INFO")).contains("cluster_state:ok");
        while !nodes.iter().all(is_whole) {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { nodes, _folders: folders }
    }

    fn node(folder: &Path) -> Server {
        Server::start(folder, &["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"])
    }

    pub(super) fn config(&self) -> RedisConfig {
        let places: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        RedisConfig::new(format!("redis+cluster://{}", places.join(",")))
    }
}

/// The server that tests share, with keys of this test's own, which go when its thread ends, and sure from the beginning.
pub(super) fn shared() -> RedisConfig {
    let config = quick(RedisConfig::new(testing::url(Kind::Redis)));
    KEYS.with_borrow_mut(|keys| keys.0.push(config.prefix.clone()));
    config
}

thread_local! {
    static KEYS: RefCell<Keys> = const { RefCell::new(Keys(Vec::new())) };
}

/// Prefixes of keys in the shared server.
struct Keys(Vec<String>);

impl Drop for Keys {
    /// Not its failure decides the test.
    fn drop(&mut self) {
        let remove = |prefix: &String| {
            let client = redis::Client::open(testing::url(Kind::Redis))?;
            let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
            let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg(format!("*{prefix}*")).query(&mut connection)?;
            match keys.is_empty() {
                true => Ok(()),
                false => redis::cmd("DEL").arg(keys).query::<()>(&mut connection),
            }
        };
        self.0.iter().for_each(|prefix| drop(remove(prefix)));
    }
}

/// The same with a prefix that nobody else has, and nobody is waited for.
pub(super) fn quick(config: RedisConfig) -> RedisConfig {
    let prefix = format!("test.{}", Uuid::new_v4().simple());
    RedisConfig { prefix, routes_unsure: Duration::ZERO, timeout: Duration::from_secs(10), ..config }
}

/// Waits until it holds; a minute is for ever.
pub(super) async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it comes to hold");
}
