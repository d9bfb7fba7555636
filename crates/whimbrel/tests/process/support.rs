//! A server as a child process, on a folder and ports of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// Nothing here takes a tenth of this on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// An administrator's key for tests.
pub(crate) const ADMIN_KEY: &str = "an administrator's key for tests";

/// The program, with none of this machine's configuration.
pub(crate) fn whimbrel(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WHIMBREL_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs the program to its end, which comes soon: one that goes on as a server is killed, and fails the test.
pub(crate) fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = whimbrel(folder);
    let mut child =
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let began = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().expect("a child");
            let output = child.wait_with_output().expect("a child");
            panic!("whimbrel {args:?} does not end:\n{}", stderr(&output));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    child.wait_with_output().expect("a child")
}

/// What it wrote to standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it wrote to standard output, which is one JSON object.
pub(crate) fn stdout_json(output: &Output) -> Json {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    pub(crate) clients: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Server {
    /// Starts one with its data in `folder/data`, and waits until it listens.
    pub(crate) fn start(folder: &TempDir, args: &[&str]) -> Self {
        let folder = folder.path().to_owned();
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let child = whimbrel(&folder)
            .args(["standalone", "--data", "data", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(["--log-format", "json"])
            .args(args)
            .env("WHIMBREL_ADMIN__KEY", ADMIN_KEY)
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, folder, clients: nowhere, http: nowhere };
        server.wait_listening();
        server
    }

    /// The lock file names the process that holds the folder, and where it listens.
    fn wait_listening(&mut self) {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let text = std::fs::read_to_string(self.folder.join("data/lock")).unwrap_or_default();
            let holder: Json = serde_json::from_str(&text).unwrap_or_default();
            let address = |key: &str| holder[key].as_str().and_then(|text| text.parse().ok());
            if let (true, Some(clients), Some(http)) =
                (holder["pid"] == self.pid(), address("clients"), address("http"))
            {
                (self.clients, self.http) = (clients, http);
                return;
            }
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        panic!("the server does not listen:\n{}", self.log());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process id");
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        panic!("the server does not end:\n{}", self.log());
    }

    /// SIGTERM, and a good end.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child");
    }

    /// Asks REST as the administrator; a status that is no success ends the test.
    pub(crate) async fn admin(&self, path: &str, body: Json) -> Json {
        let url = format!("http://{}/v1/admin/{path}", self.http);
        post(&reqwest::Client::new(), &url, ADMIN_KEY, body).await
    }

    /// Makes two users who are friends; their numbers.
    pub(crate) async fn two_friends(&self) -> (u64, u64) {
        let made = self.admin("users", json!({"users": [{"handle": "anna"}, {"handle": "bert"}]})).await;
        let id = |at: usize| made["users"][at]["user"]["id"].as_u64().expect("a user");
        let befriended = self.admin("relations", json!({"pairs": [[id(0), id(1)]]})).await;
        assert!(befriended["pairs"][0]["conversation_id"].is_string(), "{befriended}");
        (id(0), id(1))
    }

    /// A token for a device of this user.
    pub(crate) async fn token(&self, user: u64) -> Json {
        let issued = self.admin("tokens", json!({"tokens": [{"user": user}]})).await;
        issued["tokens"][0].clone()
    }

    /// What GET answers to the bearer of this token.
    pub(crate) async fn get(&self, path: &str, token: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.http);
        let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails when it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// POSTs JSON.
pub(crate) async fn post(client: &reqwest::Client, url: &str, token: &str, body: Json) -> Json {
    let answer = client.post(url).bearer_auth(token).json(&body).send().await.expect("an answer");
    let (status, text) = (answer.status(), answer.text().await.expect("a text"));
    assert!(status.is_success(), "{url}: {status} {text}");
    serde_json::from_str(&text).expect("JSON")
}

/// For REST clients, which take the process's provider.
pub(crate) fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
