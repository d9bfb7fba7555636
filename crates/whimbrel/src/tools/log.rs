//! `whimbrel log dead`: what could not be placed, for its operator.

use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::{DateTime, Local, Utc};
use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;
use whimbrel_store::rabbit::{DeadEntry, DeadLetters, DeadWhat, Which};

use crate::config::{self, flags::ConfigFlags};
use crate::roles::rabbit;

/// The flags of `whimbrel log`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What could not be placed: dead letters
    Dead {
        #[command(subcommand)]
        deed: Deed,
    },
}

#[derive(Debug, Subcommand)]
enum Deed {
    /// Show the oldest ones; nothing is taken away
    List {
        #[command(flatten)]
        config: ConfigFlags,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Print one JSON object a line: id, at, kind, reason, and what is known of it
        #[arg(long)]
        json: bool,
    },
    /// Send them again, under their message ids
    Replay(Chosen),
    /// Forget them for good
    Drop(Chosen),
}

#[derive(Debug, clap::Args)]
struct Chosen {
    #[command(flatten)]
    config: ConfigFlags,
    /// Which one, as `list` names it
    #[arg(required_unless_present = "all")]
    id: Option<Uuid>,
    /// All of them
    #[arg(long, conflicts_with = "id")]
    all: bool,
    /// Print one JSON object: done
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let What::Dead { deed } = args.what;
    match deed {
        Deed::List { config, limit, json } => list(&open(&config).await?, limit, json).await,
        Deed::Replay(chosen) => {
            let done = open(&chosen.config).await?.replay(chosen.which()).await.context("Not all were sent again")?;
            chosen.say(done, "sent again")
        }
        Deed::Drop(chosen) => {
            let done = open(&chosen.config).await?.drop(chosen.which()).await.context("Not all were dropped")?;
            chosen.say(done, "dropped")
        }
    }
}

async fn open(flags: &ConfigFlags) -> anyhow::Result<DeadLetters> {
    let config = config::load(flags)?.config;
    DeadLetters::open(rabbit(&config, "operator")).await.context("RabbitMQ cannot be asked (rabbitmq.url)")
}

async fn list(letters: &DeadLetters, limit: usize, as_json: bool) -> anyhow::Result<ExitCode> {
    let (all, count) = (letters.list(limit).await?, letters.count().await?);
    for entry in &all {
        match as_json {
            true => println!("{}", object(entry)),
            false => println!("{}", line(entry)),
        }
    }
    if !as_json {
        match count {
            0 => println!("There are no dead letters."),
            _ if (count as usize) > all.len() => println!("{} of {count} dead letters.", all.len()),
            _ => println!("{count} dead letters."),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(entry: &DeadEntry) -> String {
    let at = i64::try_from(entry.at).ok().and_then(|at| DateTime::<Utc>::from_timestamp(at, 0));
    let at = at.map_or_else(String::new, |at| at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string());
    let what = match &entry.what {
        DeadWhat::Draft(letter) => format!(
            "message {} of user {} for {}: {}",
            letter.draft.message_id, letter.sender, letter.conversation, letter.reason
        ),
        DeadWhat::Record { partition, reason, body } => {
            format!("a record of partition {partition}, {} bytes: {reason}", body.len())
        }
        DeadWhat::Unknown { body } => format!("something else, {} bytes", body.len()),
    };
    format!("{}  {at}  {what}", entry.id)
}

fn object(entry: &DeadEntry) -> Value {
    let mut object = json!({ "id": entry.id, "at": entry.at });
    let what = match &entry.what {
        DeadWhat::Draft(letter) => json!({
            "kind": "message", "reason": letter.reason, "conversation": letter.conversation.to_string(),
            "sender": letter.sender.0, "device": letter.device.to_string(),
            "message_id": letter.draft.message_id.to_string(), "bytes": letter.draft.body.len(),
        }),
        DeadWhat::Record { partition, reason, body } => {
            json!({ "kind": "record", "reason": reason, "partition": partition, "bytes": body.len() })
        }
        DeadWhat::Unknown { body } => json!({ "kind": "other", "bytes": body.len() }),
    };
    if let (Some(object), Value::Object(what)) = (object.as_object_mut(), what) {
        object.extend(what);
    }
    object
}

impl Chosen {
    fn which(&self) -> Which {
        self.id.map_or(Which::All, Which::One)
    }

    fn say(&self, done: usize, what: &str) -> anyhow::Result<ExitCode> {
        match (self.json, self.id, done) {
            (true, ..) => println!("{}", json!({ "done": done })),
            (false, Some(id), 0) => bail!("There is no dead letter {id}; `whimbrel log dead list` names them"),
            (false, ..) => println!("{done} {what}."),
        }
        Ok(ExitCode::SUCCESS)
    }
}
