//! Whimbrel: an instant-messaging server in one binary. This file is a table of contents.
//!
//! | room | what is in it |
//! |---|---|
//! | `cli` | the commands and their flags |
//! | `config` | defaults, file, environment, flags; all checked before anything is opened |
//! | `roles` | one `run()` for each role; `standalone` is all of them in one process |
//! | `house` | what every role lives in: signals, logs and figures, TLS, the data folder and its lock |
//! | `tools` | small commands: backup, health, config, keys |
//! | `local` | servers of one's own on this machine, for `prove` and `bench` |
//! | `chat`, `demo`, `bench`, `prove` | to use it, to see it, to measure it, to doubt it |

mod bench;
mod chat;
mod cli;
mod config;
mod demo;
mod house;
mod local;
mod prove;
mod roles;
mod tools;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

/// Many small, short-lived buffers on several threads; without these lines it is the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    house::tls::install_provider();
    house::exit::report(house::runtime().and_then(|runtime| runtime.block_on(run(cli.command))))
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Standalone(args) => roles::standalone::run(args.begin()).await,
        Command::Connector(args) => roles::connector::run(args.begin()).await,
        Command::Transfer(args) => roles::transfer::run(args.begin()).await,
        Command::Api(args) => roles::api::run(args.begin()).await,
        Command::Archiver(args) => roles::archiver::run(args.begin()).await,
        Command::Migrate(args) => tools::migrate::run(args).await,
        Command::Copy(args) => tools::copy::run(args).await,
        Command::Log(args) => tools::log::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Chat(args) => chat::run(args).await,
        Command::Prove(args) => prove::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Config(args) => tools::config::run(&args),
        Command::Backup(args) => tools::backup::run(args).await,
        Command::Health(args) => tools::health::run(args).await,
        Command::Keys(args) => tools::keys::run(args).await,
        Command::AdminKey(args) => tools::admin_key::run(&args),
    }
}
