//! A private RabbitMQ server, one node of its own name, with an epmd (Erlang's register of node names) of its own.
//!
//! The node would start an epmd that stays for ever, as a daemon. So one is started before it, in the foreground and on a
//! leash, on a port of its own; the node finds it and starts none. Told that systemd runs it, rabbitmq-server becomes the
//! Erlang machine instead of waiting beside it, so the child's process id is that of the node. What the node starts
//! (erl_child_setup, inet_gethost, a shell that looks at the disk) has sessions of its own, and ends when the node's pipes do.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::instance::{Instance, Parts, Recipe, make_folder};
use crate::leash::Leashed;
use crate::ports::{Port, random_hex};
use crate::speak::amqp;
use crate::{leash, programs};

/// Where rabbitmq-server may be; before PATH, see [`programs`].
const PLACES: [&str; 6] = [
    "/usr/lib/rabbitmq/bin",
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "/opt/rabbitmq/sbin",
    "/usr/local/sbin",
    "/opt/homebrew/sbin",
    "/usr/sbin",
];
const EPMD_PLACES: [&str; 4] =
    ["/usr/bin", "/usr/local/bin", "/usr/lib/erlang/erts-*/bin", "/opt/homebrew/opt/erlang/lib/erlang/erts-*/bin"];
/// No plugins: nobody asks for the management pages of a server that lives for minutes.
const PLUGINS: &str = "[].\n";

/// A private RabbitMQ server.
pub type Rabbit = Instance<RabbitRecipe>;

/// How a private RabbitMQ is started.
#[derive(Debug)]
pub struct RabbitRecipe {
    program: PathBuf,
    epmd_program: PathBuf,
    folder: PathBuf,
    /// Clients', the node's own, and epmd's.
    ports: [Port; 3],
    node: String,
    wipe: bool,
    epmd: Option<Leashed>,
}

/// The server program, if it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    programs::locate(&["rabbitmq-server"], &PLACES)
}

impl RabbitRecipe {
    fn new(folder: &Path, wipe: bool) -> anyhow::Result<Self> {
        let folder = make_folder(folder)?;
        let ports = [Port::reserve()?, Port::reserve()?, Port::reserve()?];
        for name in ["data", "log"] {
            make_folder(&folder.join(name))?;
        }
        let files = [
            ("rabbitmq.conf", configuration(ports[0].number())),
            ("plugins", PLUGINS.to_owned()),
            // Stands for the machine's own /etc/rabbitmq/rabbitmq-env.conf, which would come first otherwise.
            ("env.conf", String::new()),
        ];
        for (name, text) in files {
            std::fs::write(folder.join(name), text).with_context(|| format!("The file {name}"))?;
        }
        Ok(Self {
            program: program().context("rabbitmq-server is not installed")?,
            epmd_program: programs::locate(&["epmd"], &EPMD_PLACES).context("epmd, a part of Erlang, was not found")?,
            node: node(&folder)?,
            folder,
            ports,
            wipe,
            epmd: None,
        })
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0].number())
    }
}

/// Small machines must not block publishers: hardly any memory or disk is too little.
fn configuration(port: u16) -> String {
    format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\n\
         vm_memory_high_watermark.relative = 0.9\n\
         disk_free_limit.absolute = 1MB\n\
         num_acceptors.tcp = 4\n"
    )
}

/// The node's name. The data are the node's, so a folder that was used before keeps its name.
fn node(folder: &Path) -> anyhow::Result<String> {
    let file = folder.join("node");
    if let Ok(name) = std::fs::read_to_string(&file) {
        return Ok(name);
    }
    let name = format!("private-{}@localhost", random_hex::<6>()?);
    std::fs::write(&file, &name).context("The node's name cannot be kept")?;
    Ok(name)
}

impl Recipe for RabbitRecipe {
    const NAME: &'static str = "RabbitMQ";

    fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address())
    }

    fn parts(&self) -> Parts<'_> {
        Parts { folder: &self.folder, ports: &self.ports, wipe: self.wipe }
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        if let Some(epmd) = &mut self.epmd
            && epmd.try_wait()?.is_none()
        {
            return Ok(());
        }
        let mut command = leash::command(&self.epmd_program);
        command.args(["-address", "127.0.0.1", "-port", &self.ports[2].number().to_string()]).current_dir(&self.folder);
        self.epmd = Some(Leashed::spawn(command, &self.folder.join("epmd.log"), None)?);
        Ok(())
    }

    fn tidy(&mut self) {
        self.epmd = None;
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut command = leash::command(&self.program);
        command.current_dir(&self.folder);
        // Whatever is configured on this machine is for its own server.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["RABBITMQ_", "ERL_", "XDG_"].iter().any(|start| text.starts_with(start)) {
                command.env_remove(&name);
            }
        }
        let [_, node, epmd] = &self.ports;
        let files = [
            ("HOME", ""), // the cookie's place
            ("RABBITMQ_CONF_ENV_FILE", "env.conf"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", "advanced.config"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
            ("RABBITMQ_MNESIA_BASE", "data"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_PID_FILE", "pid"),
        ];
        command
            .envs(files.map(|(name, file)| (name, self.folder.join(file))))
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_DIST_PORT", node.number().to_string())
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("ERL_EPMD_PORT", epmd.number().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env_remove("NOTIFY_SOCKET")
            .env("RUNNING_UNDER_SYSTEMD", "true");
        Ok(command)
    }

    async fn probe(&self) -> anyhow::Result<()> {
        amqp::probe(&self.address(), "guest", "guest", "/").await.map(drop)
    }
}

impl Instance<RabbitRecipe> {
    /// Starts one with its files in `folder`, and waits until a client can log in.
    ///
    /// # Errors
    /// When it is not installed or does not become ready; the end of its log is part of the error.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        Self::begin(|| RabbitRecipe::new(folder, false)).await
    }

    /// As [`Rabbit::start`]; the folder is removed when this process ends.
    pub(crate) async fn start_wiped(folder: &Path) -> anyhow::Result<Self> {
        Self::begin(|| RabbitRecipe::new(folder, true)).await
    }
}
