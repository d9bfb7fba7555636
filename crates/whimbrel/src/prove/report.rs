//! The outcome of a run, for people and for machines.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use whimbrel_client::MessageKind;

use super::couriers::Brought;
use super::ledger::Book;
use super::plan::Plan;
use super::trouble::{History, Passed, Trouble};
use super::verdict::{Faults, Kind, Notes, Reference};

/// Faults that are printed; the others are counted.
const FAULTS_SHOWN: usize = 50;

/// What was done to the server.
pub(super) enum Done {
    /// Kills, and the slowest recovery: from starting the server again to the first SENT.
    Kills(Duration),
    /// Faults of a cluster.
    Troubles(History),
}

/// What there is to say about groups, and about what was done to messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grouped {
    pub(super) notes: Notes,
    /// Changes of groups that had to be asked for again.
    pub(super) repeated: u64,
    /// Messages as a person sees them that were compared.
    pub(super) compared: usize,
}

/// Everything there is to say about a run.
pub(super) struct Outcome {
    pub(super) seed: u64,
    pub(super) plan: Plan,
    pub(super) books: Vec<Book>,
    pub(super) reference: Reference,
    pub(super) groups: Grouped,
    /// Receipts that were told to anybody.
    pub(super) receipts: u64,
    /// What somebody was shown of a friend when it had to be the truth, and was.
    pub(super) presences: u64,
    /// Files that were sent, fetched and compared twice.
    pub(super) files: Brought,
    /// What was done to the server.
    pub(super) done: Done,
    /// What could not be done to it, and why.
    pub(super) left_out: Vec<(Trouble, &'static str)>,
    /// From the end of the load until everything had arrived and was compared.
    pub(super) settled: Duration,
    /// The longest time from a SENT until a device that was online was shown the message.
    pub(super) slowest_shown: Duration,
    pub(super) seconds: Duration,
    pub(super) faults: Faults,
}

impl Outcome {
    /// Whether nothing at all was wrong.
    pub(super) fn is_good(&self) -> bool {
        self.faults.all().is_empty()
    }

    /// Prints a table and the verdict, or one object.
    pub(super) fn print(&self, as_json: bool) {
        if as_json {
            println!("{}", self.json());
            return;
        }
        for (name, value) in self.table() {
            println!("  {name:<28} {value:>12}");
        }
        if let Done::Troubles(history) = &self.done {
            print!("{}", troubles_table(history));
        }
        for (trouble, why) in &self.left_out {
            println!("  left out: {trouble}: {why}");
        }
        let all = self.faults.all();
        for fault in all.iter().take(FAULTS_SHOWN) {
            println!("{fault}");
        }
        if all.len() > FAULTS_SHOWN {
            println!("… and {} more", all.len() - FAULTS_SHOWN);
        }
        println!("{} ghosts", self.faults.count(Kind::Ghost));
        let [lost, doubled, reordered, wrong] = self.counts();
        let wrong = if wrong > 0 { format!(", {wrong} otherwise wrong") } else { String::new() };
        println!("{lost} lost, {doubled} doubled, {reordered} reordered{wrong}");
    }

    fn counts(&self) -> [usize; 4] {
        [Kind::Lost, Kind::Doubled, Kind::Reordered, Kind::Wrong].map(|kind| self.faults.count(kind))
    }

    fn drafted(&self) -> usize {
        self.books.iter().map(|book| book.drafted.len()).sum()
    }

    fn sent(&self) -> usize {
        self.books.iter().map(|book| book.told.len()).sum()
    }

    fn shown(&self) -> usize {
        self.books.iter().flat_map(|book| book.seen.values()).map(Vec::len).sum()
    }

    /// Rows of these kinds in all timelines.
    fn placed(&self, kinds: &[MessageKind]) -> usize {
        let rows = self.reference.timelines.values().flat_map(|timeline| timeline.rows());
        rows.filter(|row| kinds.contains(&row.kind)).count()
    }

    /// Members of all groups in the end, those who came meanwhile, and those who went.
    fn members(&self) -> [usize; 3] {
        let chronicles = self.reference.chronicles.values();
        let size = chronicles.clone().map(|chronicle| chronicle.size()).sum();
        let went = chronicles.clone().flat_map(|chronicle| &chronicle.changes).filter(|(came, _)| !came).count();
        let all: usize = chronicles.map(|chronicle| chronicle.changes.len()).sum();
        let start = self.plan.groups.iter().map(|group| group.members.len() + group.silent - 1).sum();
        [size, (all - went).saturating_sub(start), went]
    }

    fn group_lines(&self) -> Vec<(&'static str, String)> {
        let Grouped { notes, repeated, compared } = self.groups;
        let [members, came, went] = self.members();
        let count = |kind: MessageKind| self.placed(&[kind]).to_string();
        vec![
            ("groups", self.plan.groups.len().to_string()),
            ("  members in them", members.to_string()),
            ("  joins", came.to_string()),
            ("  leaves and removals", went.to_string()),
            ("  changes asked for again", repeated.to_string()),
            ("edits", count(MessageKind::EDIT)),
            ("reactions", count(MessageKind::REACTION)),
            ("recalls", count(MessageKind::RECALL)),
            ("streams", count(MessageKind::STREAM)),
            ("  parts of them", self.placed(&[MessageKind::APPEND, MessageKind::FINISH]).to_string()),
            ("refused, as it has to be", notes.refused.to_string()),
            ("passed over by coming back", notes.passed_over.to_string()),
            ("sealed to newcomers", notes.sealed.to_string()),
            ("compared as seen in the end", compared.to_string()),
        ]
    }

    fn table(&self) -> Vec<(&'static str, String)> {
        let plan = &self.plan;
        let files = plan.devices.iter().filter(|device| device.file).count();
        let mut table = vec![
            ("seed", self.seed.to_string()),
            ("users", plan.users.to_string()),
            ("devices", plan.devices.len().to_string()),
            ("  with their store in a file", files.to_string()),
            ("conversations", plan.pairs.len().to_string()),
            ("messages written", self.drafted().to_string()),
            ("answered SENT", self.sent().to_string()),
            ("shown to applications", self.shown().to_string()),
            (
                "in timelines",
                self.reference.timelines.values().map(|timeline| timeline.rows().count()).sum::<usize>().to_string(),
            ),
            ("receipts", self.receipts.to_string()),
            ("presences compared", self.presences.to_string()),
            ("files compared", self.files.files.to_string()),
            ("  bytes of them", self.files.bytes.to_string()),
            ("  sent by two clients in turn", self.files.closed.to_string()),
        ];
        table.extend(self.group_lines());
        table.extend([("offline spells", plan.offline_spells().to_string())]);
        match &self.done {
            Done::Kills(slowest) => table.extend([
                ("kills (-9)", plan.kills.len().to_string()),
                ("slowest recovery", format!("{} ms", slowest.as_millis())),
            ]),
            Done::Troubles(history) => {
                table.push(("faults", history.values().map(|passed| passed.count).sum::<usize>().to_string()));
            }
        }
        table.push(("slowest from SENT to shown", format!("{} ms", self.slowest_shown.as_millis())));
        table.push(("settled after", format!("{} ms", self.settled.as_millis())));
        table.push(("time", format!("{:.1} s", self.seconds.as_secs_f64())));
        table
    }

    fn troubles(&self) -> serde_json::Value {
        let Done::Troubles(history) = &self.done else { return serde_json::Value::Null };
        let passed = |passed: &Passed| {
            json!({
                "times": passed.count,
                "lasted_ms": passed.lasted.as_millis() as u64,
                "silence_ms": passed.silence.as_millis() as u64,
                "slowest_sent_ms": passed.slowest.as_millis() as u64,
            })
        };
        history.iter().map(|(trouble, done)| (trouble.word(), passed(done))).collect::<serde_json::Map<_, _>>().into()
    }

    fn json(&self) -> serde_json::Value {
        let plan = &self.plan;
        let [lost, doubled, reordered, wrong] = self.counts();
        let [members, came, went] = self.members();
        let slowest = if let Done::Kills(slowest) = &self.done { Some(slowest.as_millis() as u64) } else { None };
        let faults: Vec<_> = self.faults.all().iter().take(FAULTS_SHOWN).map(ToString::to_string).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "seed": self.seed,
            "users": plan.users,
            "devices": plan.devices.len(),
            "conversations": plan.pairs.len(),
            "messages": self.drafted(),
            "sent": self.sent(),
            "shown": self.shown(),
            "receipts": self.receipts,
            "presences": self.presences,
            "files": self.files.files,
            "file_bytes": self.files.bytes,
            "file_senders_closed": self.files.closed,
            "groups": plan.groups.len(),
            "members": members,
            "joins": came,
            "leaves": went,
            "changes_repeated": self.groups.repeated,
            "edits": self.placed(&[MessageKind::EDIT]),
            "reactions": self.placed(&[MessageKind::REACTION]),
            "recalls": self.placed(&[MessageKind::RECALL]),
            "streams": self.placed(&[MessageKind::STREAM]),
            "stream_parts": self.placed(&[MessageKind::APPEND, MessageKind::FINISH]),
            "refused": self.groups.notes.refused,
            "passed_over": self.groups.notes.passed_over,
            "sealed": self.groups.notes.sealed,
            "compared": self.groups.compared,
            "kills": plan.kills.len(),
            "offline_spells": plan.offline_spells(),
            "slowest_recovery_ms": slowest,
            "troubles": self.troubles(),
            "left_out": self.left_out.iter().map(|(trouble, why)| (trouble.word(), *why)).collect::<BTreeMap<_, _>>(),
            "slowest_shown_ms": self.slowest_shown.as_millis() as u64,
            "settled_ms": self.settled.as_millis() as u64,
            "seconds": self.seconds.as_secs_f64().round(),
            "lost": lost,
            "doubled": doubled,
            "reordered": reordered,
            "wrong": wrong,
            "ghosts": self.faults.count(Kind::Ghost),
            "faults": faults,
        })
    }
}

/// What was done, how often, how long it lasted at most, and how long nobody was answered at most.
fn troubles_table(history: &History) -> String {
    let mut table = format!(
        "\n  {:<26} {:>5} {:>13} {:>23} {:>13}\n",
        "fault", "times", "lasted up to", "longest without a SENT", "slowest SENT"
    );
    for (trouble, Passed { count, lasted, silence, slowest }) in history {
        let seconds = |time: &Duration| format!("{:.2} s", time.as_secs_f64());
        table += &format!(
            "  {trouble:<26} {count:>5} {:>13} {:>23} {:>13}\n",
            seconds(lasted),
            seconds(silence),
            seconds(slowest)
        );
    }
    table + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_printed_in_columns() {
        let passed = |count, times: [u64; 3]| {
            let [lasted, silence, slowest] = times.map(Duration::from_millis);
            Passed { count, lasted, silence, slowest }
        };
        let history = History::from([
            (Trouble::KillTransfer, passed(2, [1512, 340, 420])),
            (Trouble::KillRabbitmq, passed(11, [12_004, 12_950, 13_100])),
        ]);
        let expected = "
  fault                      times  lasted up to  longest without a SENT  slowest SENT
  kill -9 transfer               2        1.51 s                  0.34 s        0.42 s
  kill -9 RabbitMQ              11       12.00 s                 12.95 s       13.10 s

";
        assert_eq!(troubles_table(&history), expected);
    }
}
