//! What the demo prints: how to join in, then the counters, and in the end a verdict.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::bots::Doors;
use super::counters::Figures;
use super::people::{Everybody, PEOPLE};

/// How the counters are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// One line that is written over.
    Terminal,
    /// A line now and then.
    Lines,
    /// An object a line.
    Json,
}

impl Style {
    pub(super) fn of(json: bool) -> Self {
        match (json, io::stdout().is_terminal()) {
            (true, _) => Style::Json,
            (false, true) => Style::Terminal,
            (false, false) => Style::Lines,
        }
    }

    /// Between two looks at the counters.
    pub(super) fn pause(self) -> Duration {
        match self {
            Style::Terminal | Style::Json => Duration::from_secs(1),
            Style::Lines => Duration::from_secs(5),
        }
    }
}

/// Says what runs where and how to join in.
///
/// # Errors
/// As every function here: nobody reads the standard output any more.
pub(super) fn welcome(
    style: Style,
    doors: &Doors,
    password: &str,
    all: &Everybody,
    folder: Option<&std::path::Path>,
) -> io::Result<()> {
    let Doors { clients, api } = doors;
    let bots: Vec<_> = all.bots.iter().map(|bot| bot.name.as_str()).collect();
    let group = &all.group_name;
    if style == Style::Json {
        let line = serde_json::json!({ "clients": clients, "api": api, "people": PEOPLE, "password": password,
            "bots": bots, "group": group, "folder": folder });
        return print(&format!("{line}\n"));
    }
    let usual = clients == "127.0.0.1:7100" && api == "http://127.0.0.1:7180";
    let place = if usual { String::new() } else { format!(" --server {clients} --api {api}") };
    let (people, bots, program) = (PEOPLE.join(", "), bots.join(", "), program());
    let [alice, bob, _] = PEOPLE.map(|person| format!("{program} chat --handle {person}{place}"));
    let head = row(
        ["time", "sent", "SENT", "DELIVERED", "READ", "lost", "doubled", "reordered", "slowest"].map(str::to_owned)
    );
    let what = match folder {
        Some(_) => "the whole server in this process. Its folder goes with it.",
        None => "on a server that runs already. (People who were there before keep their passwords.)",
    };
    print(&format!(
        "Whimbrel demo: {what}

  clients   {clients}
  REST      {api}   (/healthz, /openapi.json)
  people    {people}   password: {password}
  bots      {bots}   (they answer whoever writes to them)
  group     {group}   (all of them are in it)

Talk, in other terminals:

  WHIMBREL_PASSWORD={password} {alice}
  WHIMBREL_PASSWORD={password} {bob}

The bots write to each other and in the group, and check every message. Ctrl-C ends the demo.

{head}
"
    ))
}

/// Unlike `print!`, no panic when the reader is gone.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// How this program was started: by cargo, or by its name.
fn program() -> String {
    if std::env::var_os("CARGO").is_some() {
        let release = if cfg!(debug_assertions) { "" } else { " --release" };
        return format!("cargo run{release} --");
    }
    std::env::args().next().unwrap_or_else(|| "whimbrel".to_owned())
}

/// Shows the counters.
pub(super) fn counters(style: Style, figures: Figures, elapsed: Duration) -> io::Result<()> {
    print(&match style {
        Style::Terminal => format!("\r{}\x1b[K", line(figures, elapsed)),
        Style::Lines => format!("{}\n", line(figures, elapsed)),
        Style::Json => format!("{}\n", object(figures, elapsed)),
    })
}

/// The last word.
pub(super) fn verdict(style: Style, figures: Figures, under_way: usize, elapsed: Duration) -> io::Result<()> {
    if style == Style::Json {
        let mut object = object(figures, elapsed);
        object["under_way"] = under_way.into();
        return print(&format!("{object}\n"));
    }
    let last = match style {
        Style::Terminal => format!("\r{}\x1b[K\n\n", line(figures, elapsed)),
        _ => format!("{}\n\n", line(figures, elapsed)),
    };
    let Figures { lost, doubled, reordered, refused, .. } = figures;
    let mut rest = String::new();
    for (value, name) in [(refused, "refused"), (under_way as u64, "still under way")] {
        if value > 0 {
            rest += &format!(", {value} {name}");
        }
    }
    print(&format!("{last}{lost} lost, {doubled} doubled, {reordered} reordered{rest} in {} s\n", elapsed.as_secs()))
}

fn line(figures: Figures, elapsed: Duration) -> String {
    let Figures { sent, confirmed, delivered, read, lost, doubled, reordered, refused: _, slowest_ms } = figures;
    let [time, rest @ ..] = [elapsed.as_secs(), sent, confirmed, delivered, read, lost, doubled, reordered];
    let [a, b, c, d, e, f, g] = rest.map(|figure| figure.to_string());
    row([format!("{time} s"), a, b, c, d, e, f, g, format!("{slowest_ms} ms")])
}

/// Fits into 80 columns with figures of eight digits.
fn row([time, sent, confirmed, delivered, read, lost, doubled, reordered, slowest]: [String; 9]) -> String {
    format!(
        "{time:>8} {sent:>8} {confirmed:>8} {delivered:>9} {read:>8} {lost:>4} {doubled:>7} {reordered:>9} {slowest:>8}"
    )
}

fn object(figures: Figures, elapsed: Duration) -> serde_json::Value {
    let mut object = serde_json::to_value(figures).unwrap_or_default();
    object["seconds"] = elapsed.as_secs().into();
    object
}
