//! The flags of `whimbrel prove`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::compose;
use super::trouble::Trouble;
use crate::config::Wrong;

/// The flags of `whimbrel prove`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Doubt a cluster: private engines and two processes of each role, and every kind of fault in turn
    #[arg(long, conflicts_with = "kills")]
    pub(super) cluster: bool,
    /// With --cluster: doubt the containers of this Compose project, which runs already [without a name: whimbrel]
    #[arg(long, value_name = "PROJECT", requires = "cluster", num_args = 0..=1, default_missing_value = PROJECT)]
    pub(super) compose: Option<String>,
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

/// The name that Whimbrel's own compose file gives its project.
const PROJECT: &str = "whimbrel";

const EXAMPLES: &str = "\
Examples:
  whimbrel prove
  whimbrel prove --minutes 10 --clients 100 --kills 60
  whimbrel prove --cluster --minutes 10
  whimbrel prove --cluster --faults kill-transfer,cut --minutes 3
  docker compose up --build --wait && whimbrel prove --cluster --compose --minutes 10
  whimbrel prove --cluster --compose staging --faults kill-transfer,freeze-archiver
  whimbrel prove --seed 7 --json

With --cluster it starts Redis, RabbitMQ and MySQL or MariaDB for itself, in a folder and on ports of their own: the \
programs redis-server, rabbitmq-server and mariadbd or mysqld have to be installed; servers that run on this machine \
already are left alone. Every round of faults has each kind once, in another order, and takes about two minutes and a half; a \
shorter run does not meet all of them. faults.log, in the folder, says what was done when.

With --compose it starts nothing: it finds the project's containers by Docker's labels, connects through its load \
balancer's ports, and kills, starts and pauses its containers by the docker command line, one at a time. Other containers \
are left alone. Every container runs again when it ends, however it ends. An older Redis snapshot and a cut \
between two containers are left out, since Docker cannot do them, and an archiver is paused at any moment. Its people, \
called load-…, and their messages stay in the project.

It exits with 0 only if nothing was lost, doubled, reordered or otherwise wrong. The folder is kept after a fault.";

impl Args {
    /// How long clients send.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// The kinds of faults of a cluster, each once.
    pub(super) fn kinds(&self) -> Vec<Trouble> {
        let possible = |trouble: &Trouble| self.compose.is_none() || compose::left_out(*trouble).is_none();
        match self.faults.is_empty() {
            true => Trouble::ALL.into_iter().filter(possible).collect(),
            false => self.faults.iter().copied().collect::<BTreeSet<_>>().into_iter().collect(),
        }
    }

    /// The kinds that nobody did without and that cannot be, with the reasons.
    pub(super) fn left_out(&self) -> Vec<(Trouble, &'static str)> {
        if self.compose.is_none() || !self.faults.is_empty() {
            return Vec::new();
        }
        Trouble::ALL.into_iter().filter_map(|trouble| Some((trouble, compose::left_out(trouble)?))).collect()
    }

    /// Refuses what was asked for and cannot be.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let asked = self.faults.iter().filter(|_| self.compose.is_some());
        let cannot = asked.filter_map(|trouble| Some((trouble, compose::left_out(*trouble)?)));
        let sentences: Vec<_> =
            cannot.map(|(trouble, why)| format!("--faults {} and --compose: {why}.", trouble.word())).collect();
        if sentences.is_empty() { Ok(()) } else { Err(Wrong(sentences)) }
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.1..=1440.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes from 0.1 to 1440".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(line.split_whitespace()).map(|line| line.args)
    }

    fn args(line: &str) -> Args {
        parsed(line).expect("a good line")
    }

    #[test]
    fn a_compose_project_has_a_name_even_if_none_is_given() {
        assert_eq!(args("prove --cluster --compose --minutes 3").compose.as_deref(), Some("whimbrel"));
        assert_eq!(args("prove --cluster --compose staging").compose.as_deref(), Some("staging"));
        assert_eq!(args("prove --cluster").compose, None);
        assert!(parsed("prove --compose").is_err(), "containers are a cluster's");
    }

    #[test]
    fn faults_that_containers_do_not_permit_are_left_out_and_said() {
        let left_out = |args: &Args| args.left_out().into_iter().map(|(trouble, _)| trouble).collect::<Vec<_>>();
        let compose = args("prove --cluster --compose");
        assert_eq!(left_out(&compose), [Trouble::RestoreRedis, Trouble::Cut]);
        assert!(left_out(&compose).iter().all(|trouble| !compose.kinds().contains(trouble)));
        assert_eq!(compose.kinds().len(), 10);
        let private = args("prove --cluster");
        assert_eq!((private.kinds().len(), left_out(&private)), (12, Vec::new()));
    }

    #[test]
    fn a_fault_that_was_asked_for_is_refused_and_not_left_out() {
        let Wrong(sentences) = args("prove --cluster --compose --faults kill-api,cut").check().expect_err("a cut");
        assert!(sentences.len() == 1 && sentences[0].starts_with("--faults cut and --compose: "), "{sentences:?}");
        let some = args("prove --cluster --compose --faults kill-api,flush-redis");
        assert!(some.check().is_ok() && some.left_out().is_empty());
        assert!(args("prove --cluster --faults cut").check().is_ok());
    }
}
