//! A broker of one test's own, to be killed and frozen: private ports, folder, cookie and port mapper.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// It starts within seconds, on a busy machine within more.
const START_WITHIN: Duration = Duration::from_secs(120);

pub(super) struct Broker {
    folder: TempDir,
    port: u16,
    distribution: u16,
    mapper_port: u16,
    mapper: Child,
    server: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port()
}

impl Broker {
    /// Starts one; blocking.
    pub(super) fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let mapper_port = free_port();
        let mapper = Command::new("epmd")
            .args(["-port", &mapper_port.to_string(), "-address", "127.0.0.1"])
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .spawn()
            .expect("epmd is installed");
        fs::write(folder.path().join("env"), "").expect("written");
        fs::write(folder.path().join("plugins"), "[].").expect("written");
        fs::write(folder.path().join("rabbitmq.conf"), "disk_free_limit.absolute = 1MB\n").expect("written");
        let (port, distribution) = (free_port(), free_port());
        let mut broker = Self { folder, port, distribution, mapper_port, mapper, server: None };
        broker.run();
        broker
    }

    pub(super) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.port)
    }

    /// Starts it, again or for the first time, and waits until it listens.
    pub(super) fn run(&mut self) {
        let at = |name: &str| self.folder.path().join(name);
        let _ = fs::remove_file(at("pid"));
        let log = fs::File::options().create(true).append(true).open(at("output")).expect("a file");
        let server = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("ERL_EPMD_PORT", self.mapper_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("whimbrel{}@localhost", self.port))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", at("env"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins"))
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"))
            .env("RABBITMQ_MNESIA_BASE", at("data"))
            .env("RABBITMQ_LOG_BASE", at("logs"))
            .env("RABBITMQ_PID_FILE", at("pid"))
            .env("RABBITMQ_LOGS", "-")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("rabbitmq-server is installed");
        self.server = Some(server);
        let late = Instant::now() + START_WITHIN;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < late, "no broker: {}", fs::read_to_string(at("output")).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The virtual machine's process.
    fn pid(&self) -> Option<String> {
        let pid = fs::read_to_string(self.folder.path().join("pid")).ok()?;
        Some(pid.trim().to_owned()).filter(|pid| !pid.is_empty())
    }

    fn signal(&self, signal: &str) {
        if let Some(pid) = self.pid() {
            let sent = Command::new("kill").args([signal, &pid]).status();
            assert!(sent.is_ok_and(|sent| sent.success()), "{signal} {pid}");
        }
    }

    /// kill -9, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        self.signal("-KILL");
        if let Some(mut server) = self.server.take() {
            server.wait().expect("it ended");
        }
    }

    pub(super) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(super) fn thaw(&self) {
        self.signal("-CONT");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.kill();
        }
        let _ = self.mapper.kill();
        let _ = self.mapper.wait();
    }
}
