//! The command line: what there is to ask for, and the examples that `--help` ends with.

use clap::{Parser, Subcommand};

use crate::config::flags::ConfigFlags;
use crate::tools::{admin_key, backup, config, copy, health, keys, log, migrate};
use crate::{bench, chat, demo, prove};

/// An instant-messaging server for your own product.
#[derive(Debug, Parser)]
#[command(name = "whimbrel", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  whimbrel demo                 a server with sample people and bots
  whimbrel standalone           the server; its data is in ./whimbrel-data
  whimbrel chat                 talk to it from a terminal
  whimbrel prove --minutes 2    check on this machine that nothing sent is lost
  whimbrel config default       the configuration's manual";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server, all of it in this process, with nothing else to install
    #[command(after_help = STANDALONE)]
    Standalone(RoleArgs),
    /// A cluster's role: hold the clients' connections
    #[command(after_help = ROLE)]
    Connector(RoleArgs),
    /// A cluster's role: decide what happens to messages
    #[command(after_help = ROLE)]
    Transfer(RoleArgs),
    /// A cluster's role: serve REST
    #[command(after_help = ROLE)]
    Api(RoleArgs),
    /// A cluster's role: give messages their places in the database
    #[command(after_help = ROLE)]
    Archiver(RoleArgs),
    /// Make or update the tables of a cluster's database
    #[command(after_help = MIGRATE)]
    Migrate(migrate::Args),
    /// Move a standalone server's data into a cluster's database
    #[command(after_help = COPY)]
    Copy(copy::Args),
    /// Look at a cluster's log: what could not be placed
    #[command(after_help = LOG)]
    Log(log::Args),
    /// Run a server on a temporary folder, with sample people and bots that chat and count
    Demo(demo::Args),
    /// Chat in the terminal
    Chat(chat::Args),
    /// Kill a private server again and again under load, and compare what was promised with what arrived
    Prove(prove::Args),
    /// Measure a server
    Bench(bench::Args),
    /// Print or check the configuration
    #[command(after_help = CONFIG)]
    Config(config::Args),
    /// Copy a data folder while its server runs
    #[command(after_help = BACKUP)]
    Backup(backup::Args),
    /// Ask a server whether it is ready; exits with 0 or 1
    #[command(after_help = HEALTH)]
    Health(health::Args),
    /// Manage the master key
    #[command(after_help = KEYS)]
    Keys(keys::Args),
    /// Print a fresh administrator's key, and how to set it
    #[command(after_help = ADMIN_KEY)]
    AdminKey(admin_key::Args),
}

/// The flags of everything that serves.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    /// End when standard input closes: for a server that must not outlive the process that started it
    #[arg(long, hide = true)]
    pub(crate) exit_with_stdin: bool,
}

impl RoleArgs {
    /// Ties the process to its standard input, if that was asked for.
    pub(crate) fn begin(&self) -> &ConfigFlags {
        if self.exit_with_stdin {
            crate::local::process::exit_with_stdin();
        }
        &self.config
    }
}

const STANDALONE: &str = "\
Examples:
  whimbrel standalone
  whimbrel standalone --data /var/lib/whimbrel --config /etc/whimbrel.toml
  whimbrel standalone --listen 0.0.0.0:7100 \\
    --set tls.certificate=cert.pem --set tls.private_key=key.pem
  WHIMBREL_AUTH__REGISTRATION=closed whimbrel standalone

It stops with Ctrl-C or SIGTERM and exits with 0; a second Ctrl-C ends it at once.
Wrong configuration exits with 2, before anything is opened.";

const ROLE: &str = "\
Examples (the same three settings for every role; deploy/whimbrel.toml explains them):
  export WHIMBREL_CLUSTER__SECRET=… WHIMBREL_MASTER_KEY__KEYS=… WHIMBREL_MYSQL__URL=mysql://…
  whimbrel migrate
  whimbrel transfer
  whimbrel archiver
  whimbrel connector --listen 0.0.0.0:7100 --set clients.allow_plaintext=true
  whimbrel api

Roles find each other through Redis; start as many of each as you like.";

const MIGRATE: &str = "\
Examples:
  whimbrel migrate
  WHIMBREL_MYSQL__URL=mysql://whimbrel:…@db:3306/whimbrel whimbrel migrate

It can be run at any time, and from several machines at once.";

const COPY: &str = "\
Example:
  whimbrel copy --from sqlite:whimbrel-data --to mysql://whimbrel:…@db:3306/whimbrel

The standalone server must be stopped. It can be run again after an interruption, and goes on where it was.
The cluster needs the same master key.";

const LOG: &str = "\
Examples:
  whimbrel log dead list
  whimbrel log dead list --json
  whimbrel log dead replay --all
  whimbrel log dead drop 0190f2b4-…";

const CONFIG: &str = "\
Examples:
  whimbrel config default > whimbrel.toml    begin with the manual
  whimbrel config check                      say what is wrong, or nothing
  whimbrel config print --json               what counts, and who set it";

const BACKUP: &str = "\
Examples:
  whimbrel backup --data whimbrel-data --to /backups/2026-11-20
  whimbrel backup --to /backups/2026-11-21 --without-master-key

To restore, stop the server and start it with --data on a copy of the backup.";

const HEALTH: &str = "\
Examples:
  whimbrel health
  whimbrel health --role transfer
  whimbrel health --url http://127.0.0.1:7180 --json";

const KEYS: &str = "\
Example:
  whimbrel keys rotate --data whimbrel-data

The server must be stopped meanwhile.";

const ADMIN_KEY: &str = "\
Example:
  whimbrel admin-key --to admin.key
  whimbrel standalone --set admin.key_file=admin.key";
