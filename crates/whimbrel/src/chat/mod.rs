//! `whimbrel chat`: the terminal client.
//!
//! | file | what is in it |
//! |---|---|
//! | `app/` | what the screen shows and how it changes; pure |
//! | `command`, `editor`, `keys` | what is typed |
//! | `view/` | the screen, drawn from the state; pure |
//! | `deeds/` | what the state asks for, done through the SDK |
//! | `login` | who, with which password |
//! | `device` | the device's file, and whether it is of the server that answers now |
//! | `screen`, `plain` | the two ways to run: a full screen, or lines for pipes and scripts |

mod app;
mod command;
mod deeds;
mod device;
mod editor;
mod keys;
mod login;
mod plain;
mod screen;
#[cfg(test)]
mod tests;
mod view;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap_or_default()
}

/// The flags of `whimbrel chat`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Who you are; asked for when left out
    #[arg(long)]
    handle: Option<String>,
    /// Create the account first
    #[arg(long)]
    register: bool,
    /// Read the password from this file (otherwise WHIMBREL_PASSWORD, otherwise you are asked)
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Where the server takes clients
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7100")]
    server: String,
    /// Where the server answers REST
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7180")]
    api: String,
    /// Trust this certificate authority (PEM) besides the public ones
    #[arg(long, value_name = "FILE")]
    root_certificate: Option<PathBuf>,
    /// Keep messages, keys and the outbox in this file (default: one for each server and handle below
    /// ~/.local/share/whimbrel)
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Print lines instead of a screen: `handle: text` comes out, lines typed go to the last `@handle` or `@group`
    #[arg(long)]
    plain: bool,
}

const EXAMPLES: &str = "\
Examples:
  whimbrel chat --handle alice                       with a demo running in another terminal
  whimbrel chat --handle dora --register
  whimbrel chat --api https://chat.example --server chat.example:7100
  printf '@bob hello\\n' | whimbrel chat --handle alice --plain
  printf '/group Birds @bob\\nhello all\\n' | whimbrel chat --handle alice --plain

Ctrl-Q quits; ? shows all keys.";

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let person = login::ask(&args)?;
    let plain = args.plain || !std::io::stdout().is_terminal();
    let (client, events) = login::connect(&args, &person).await?;
    let result = if plain {
        plain::run(&client, events, person.handle).await
    } else {
        screen::run(&client, events, person.handle).await
    };
    client.close().await;
    result.map(|()| ExitCode::SUCCESS)
}
