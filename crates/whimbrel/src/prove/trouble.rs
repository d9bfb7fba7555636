//! What is done to a cluster while clients go on: one fault at a time, in an order that follows from the seed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

use super::dice::Dice;

/// How long a frozen process stands still: longer than every lease, heartbeat and lock.
pub(super) const FROZEN: Duration = Duration::from_secs(15);
/// How long a connector is cut off from one transfer.
pub(super) const CUT: Duration = Duration::from_secs(8);
/// Between two faults.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));
/// Some pauses are longer than messages go to everybody after Redis lost something: what is wrong with routes shows then.
const LONG_PAUSE: (Duration, Duration) = (Duration::from_secs(9), Duration::from_secs(12));
/// How many, out of a hundred.
const LONG_PERCENT: usize = 20;
/// A process that was killed is away for so long.
const DOWN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(2500));

/// A kind of fault. Its comment is what `--help` says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Trouble {
    /// kill -9 of a connector; it is started again, as all that follow
    KillConnector,
    /// kill -9 of a transfer
    KillTransfer,
    /// kill -9 of an archiver
    KillArchiver,
    /// kill -9 of an API
    KillApi,
    /// kill -9 of Redis, which forgets everything since its last snapshot
    KillRedis,
    /// kill -9 of RabbitMQ
    KillRabbitmq,
    /// kill -9 of the database
    KillDatabase,
    /// Redis is emptied (FLUSHALL)
    FlushRedis,
    /// Redis goes back to a snapshot that is some seconds old
    RestoreRedis,
    /// A transfer stands still for 15 s (SIGSTOP)
    FreezeTransfer,
    /// An archiver stands still for 15 s, in the middle of a transaction
    FreezeArchiver,
    /// A connector and a transfer do not reach each other for 8 s
    Cut,
}

impl Trouble {
    /// Every kind.
    pub(super) const ALL: [Self; 12] = [
        Self::KillConnector,
        Self::KillTransfer,
        Self::KillArchiver,
        Self::KillApi,
        Self::KillRedis,
        Self::KillRabbitmq,
        Self::KillDatabase,
        Self::FlushRedis,
        Self::RestoreRedis,
        Self::FreezeTransfer,
        Self::FreezeArchiver,
        Self::Cut,
    ];

    /// Whether it may make what is known of who is here wrong for a time.
    pub(super) fn shakes_presence(self) -> bool {
        !matches!(
            self,
            Self::KillArchiver | Self::KillApi | Self::KillRabbitmq | Self::KillDatabase | Self::FreezeArchiver
        )
    }

    /// Its word on the command line and in JSON.
    pub(super) fn word(self) -> String {
        let value = self.to_possible_value().expect("no kind is hidden");
        value.get_name().to_owned()
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::KillConnector => "kill -9 connector",
            Self::KillTransfer => "kill -9 transfer",
            Self::KillArchiver => "kill -9 archiver",
            Self::KillApi => "kill -9 api",
            Self::KillRedis => "kill -9 Redis",
            Self::KillRabbitmq => "kill -9 RabbitMQ",
            Self::KillDatabase => "kill -9 database",
            Self::FlushRedis => "FLUSHALL",
            Self::RestoreRedis => "older Redis snapshot",
            Self::FreezeTransfer => "freeze transfer 15 s",
            Self::FreezeArchiver => "freeze archiver 15 s",
            Self::Cut => "cut connector/transfer 8 s",
        })
    }
}

/// One fault of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) trouble: Trouble,
    /// How long after the one before has passed.
    pub(super) pause: Duration,
    /// How long something that was killed stays away.
    pub(super) down: Duration,
    /// Which of several, whatever their number.
    pub(super) which: usize,
}

/// Faults in rounds: each round has every kind of `kinds` once, in another order.
pub(super) fn plan(dice: &mut Dice, kinds: &[Trouble], rounds: usize) -> Vec<Planned> {
    let mut all = Vec::new();
    for _ in 0..rounds {
        let mut round = kinds.to_vec();
        while !round.is_empty() {
            let trouble = round.swap_remove(dice.below(round.len()));
            // A third comes back at once, as under a supervisor.
            let down = if dice.percent(33) { DOWN.0 } else { dice.between(DOWN.0, DOWN.1) };
            let (shortest, longest) = if dice.percent(LONG_PERCENT) { LONG_PAUSE } else { PAUSE };
            all.push(Planned { trouble, pause: dice.between(shortest, longest), down, which: dice.below(1000) });
        }
    }
    all
}

/// What became of the faults of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// How often it was caused.
    pub(super) count: usize,
    /// How long it lasted at most, until what was down had been started again and was ready.
    pub(super) lasted: Duration,
    /// The longest time in which nobody was answered SENT, from its beginning until the next fault.
    pub(super) silence: Duration,
    /// The longest time from a draft to its SENT, while its device was online.
    pub(super) slowest: Duration,
}

/// By kind.
pub(super) type History = BTreeMap<Trouble, Passed>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = Trouble::ALL.iter().map(|trouble| trouble.word()).collect();
        assert_eq!(words.len(), Trouble::value_variants().len());
        assert!(words.contains("kill-rabbitmq") && words.contains("cut"), "{words:?}");
    }

    #[test]
    fn every_round_has_every_kind_and_a_seed_is_an_order() {
        let planned = plan(&mut Dice::new(3, 4), &Trouble::ALL, 5);
        assert_eq!(planned.len(), 60);
        for round in planned.chunks(12) {
            let mut kinds: Vec<_> = round.iter().map(|planned| planned.trouble).collect();
            kinds.sort();
            assert_eq!(kinds, Trouble::ALL);
        }
        assert_eq!(planned, plan(&mut Dice::new(3, 4), &Trouble::ALL, 5));
        assert_ne!(planned, plan(&mut Dice::new(4, 4), &Trouble::ALL, 5));
    }
}
