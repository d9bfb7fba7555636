//! The flags of `whimbrel prove`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::trouble::Trouble;

/// The flags of `whimbrel prove`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Doubt a cluster: private engines and two processes of each role, and every kind of fault in turn
    #[arg(long, conflicts_with = "kills")]
    pub(super) cluster: bool,
    /// Only these kinds of faults, separated by commas; all of them if left out
    #[arg(long, value_name = "KIND,…", value_enum, value_delimiter = ',', requires = "cluster")]
    pub(super) faults: Vec<Trouble>,
    /// How long clients send; checking comes on top
    #[arg(long, value_name = "MINUTES", default_value_t = 2.0, value_parser = minutes)]
    pub(super) minutes: f64,
    /// Clients: devices of several users, each a whole SDK
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(2..=2000))]
    pub(super) clients: u16,
    /// How often the server is killed with -9 and started again
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(super) kills: u16,
    /// Messages per second, all clients together
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) rate: u32,
    /// Plans the run: who has which devices, who writes to whom, when what is killed; random if left out
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Keep the folder with the server's data, its log and the clients' stores
    #[arg(long)]
    pub(super) keep: bool,
}

const EXAMPLES: &str = "\
Examples:
  whimbrel prove
  whimbrel prove --minutes 10 --clients 100 --kills 60
  whimbrel prove --cluster --minutes 10
  whimbrel prove --cluster --faults kill-transfer,cut --minutes 3
  whimbrel prove --seed 7 --json

With --cluster it starts Redis, RabbitMQ and MySQL or MariaDB for itself, in a folder and on ports of their own: the \
programs redis-server, rabbitmq-server and mariadbd or mysqld have to be installed; servers that run on this machine \
already are left alone. Every round of faults has each kind once, in another order, and takes about two minutes and a half; a \
shorter run does not meet all of them. faults.log, in the folder, says what was done when.

It exits with 0 only if nothing was lost, doubled, reordered or otherwise wrong. The folder is kept after a fault.";

impl Args {
    /// How long clients send.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// The kinds of faults of a cluster, each once.
    pub(super) fn kinds(&self) -> Vec<Trouble> {
        match self.faults.is_empty() {
            true => Trouble::ALL.to_vec(),
            false => self.faults.iter().copied().collect::<BTreeSet<_>>().into_iter().collect(),
        }
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.1..=1440.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes from 0.1 to 1440".to_owned()),
    }
}
