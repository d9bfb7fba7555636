//! One message on the screen: what it answers, what it says now, how far it got, and reactions below it.
//!
//! The marks: `…` in the outbox · `✓` sent · `✓✓` delivered · `✓✓ read` · `!` refused, with the reason. In groups nobody is
//! told how far others are: there it stays with `✓`.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;
use whimbrel_client::{
    Attachment, AttachmentKind, Content, ConversationKind, ConversationSummary, Cursors, GroupNews, MessageKind,
    Pictured, Quote, Reacted, Seq,
};

use super::messages::named;
use super::text::{clean, clock, fit, one_line, wrap};
use super::{Look, news};
use crate::chat::app::{App, Draft};

/// Columns that marks take at the right, with a space before them; so they stand below each other.
const MARK_COLUMNS: usize = 8;
/// Behind a message that says something else than at first.
const EDITED: &str = "(edited)";
/// Behind one that still grows.
const GROWS: &str = "▌";
/// Before what it answers.
const ANSWERS: &str = "┃";
/// Reactions that are listed; the rest is counted.
const REACTIONS: usize = 8;

/// Where items are shown.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) app: &'a App,
    pub(super) row: &'a ConversationSummary,
    pub(super) width: usize,
    pub(super) look: Look,
    /// Numbers stand where the time does, since a command wants one.
    pub(super) numbered: bool,
}

/// The lines of a message, or of a change of the group; none for what is not shown.
pub(super) fn item(Around { app, row, width, look, numbered }: Around<'_>, item: &Pictured) -> Vec<Line<'static>> {
    let (time, _) = clock(item.at, look.offset);
    if let Content::System { kind, json } = &item.content {
        let news = GroupNews::read(json).filter(|_| *kind == MessageKind::GROUP);
        return news.map(|news| told(&time, &news::sentence(app, &news, look), width)).unwrap_or_default();
    }
    let mine = item.sender == app.me;
    let gone = item.gone.map(|gone| match (gone.vanished, gone.by) {
        (true, _) => "(its time is over)".to_owned(),
        (false, Some(by)) if by != item.sender => format!("(taken back by {})", one_line(&app.name(by))),
        (false, _) => "(taken back)".to_owned(),
    });
    let mark = mine.then(|| Mark::of(item.seq, row.peer_cursors)).filter(|_| gone.is_none());
    let is_group = row.kind == ConversationKind::Group;
    let name = if is_group { app.name(item.sender) } else { row.peer_name.clone() };
    let said = Said {
        time: if numbered && gone.is_none() { format!("{:>5}", named(item.seq)) } else { time },
        name: if mine { "you".to_owned() } else { one_line(&name) },
        mine,
        quote: item.quote.as_ref().map(|quote| quoted(app, quote)),
        is_gone: gone.is_some(),
        text: gone.unwrap_or_else(|| words(&item.content).unwrap_or_default()),
        tail: if item.grows { Some(GROWS) } else { (!item.edits.is_empty()).then_some(EDITED) },
        mark,
        calls: item.sender != app.me && (item.kind == MessageKind::CALL || item.mentions.contains(&app.me)),
        reactions: reactions(app, &item.reactions),
    };
    said.lines(width, look)
}

/// What a message is in words; `None` for rows that are not shown.
pub(in crate::chat) fn words(content: &Content) -> Option<String> {
    Some(match content {
        Content::Unknown { kind, .. } => format!("[a message of kind {}, which this version does not know]", kind.0),
        Content::Sealed => "[sealed: its key is not on this device]".to_owned(),
        Content::Location(place) if !place.name.is_empty() => {
            clean(&format!("[place] {} ({:.5}, {:.5})", place.name, place.latitude, place.longitude))
        }
        Content::Location(_) => clean(&format!("[place] {}", content.line())),
        Content::Link { url, title, .. } if !title.is_empty() => clean(&format!("{title} {url}")),
        Content::Attachment(file) => attached(file),
        Content::File { name, size, .. } => clean(&format!("[file] {name}, {size} bytes")),
        Content::Card { name, .. } => clean(&format!("[card] {name}")),
        Content::Merged { title, messages } => clean(&format!("[{} messages] {title}", messages.len())),
        Content::Fleeting { content, .. } => return words(content),
        Content::FollowUp { .. } | Content::System { .. } => return None,
        content => clean(&content.line()),
    })
}

/// `[picture] sea.png, 640×480, 1.2 MiB: The sea`
fn attached(file: &Attachment) -> String {
    let what = match file.kind {
        AttachmentKind::Image => "picture",
        AttachmentKind::Voice => "voice",
        AttachmentKind::Video => "film",
        AttachmentKind::File => "file",
    };
    let mut text = format!("[{what}] {}", file.name);
    if file.dimensions != (0, 0) {
        text.push_str(&format!(", {}×{}", file.dimensions.0, file.dimensions.1));
    }
    if file.duration_ms > 0 {
        let seconds = file.duration_ms.div_ceil(1000);
        text.push_str(&format!(", {}:{:02}", seconds / 60, seconds % 60));
    }
    text.push_str(&format!(", {}", size(file.size)));
    if !file.caption.is_empty() {
        text.push_str(&format!(": {}", file.caption));
    }
    clean(&text)
}

/// `1.2 MiB`
pub(in crate::chat) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < units.len() {
        (scaled, unit) = (scaled / 1024.0, unit + 1);
    }
    format!("{scaled:.1} {}", units[unit])
}

fn quoted(app: &App, quote: &Quote) -> String {
    format!("{}: {}", one_line(&app.name(quote.sender)), one_line(&quote.excerpt))
}

/// `👍 Ann · 🎉 you +2`
fn reactions(app: &App, given: &[Reacted]) -> String {
    let one = |reacted: &Reacted| {
        let emoji = one_line(&reacted.emoji);
        match (reacted.users.len(), reacted.users.contains(&app.me)) {
            (1, _) => format!("{emoji} {}", one_line(&app.name(reacted.users[0]))),
            (count, true) => format!("{emoji} you +{}", count - 1),
            (count, false) => format!("{emoji} {count}"),
        }
    };
    let mut shown: Vec<_> = given.iter().take(REACTIONS).map(one).collect();
    if given.len() > REACTIONS {
        shown.push(format!("+{}", given.len() - REACTIONS));
    }
    shown.join(" · ")
}

/// What happened to the group.
fn told(time: &str, sentence: &str, width: usize) -> Vec<Line<'static>> {
    let dim = Style::new().add_modifier(Modifier::DIM);
    let indent = time.width() + 3;
    let parts = wrap(sentence, width.saturating_sub(indent)).into_iter().enumerate();
    let begin = |n| if n == 0 { format!("{time} · ") } else { " ".repeat(indent) };
    parts.map(|(n, part)| Line::styled(format!("{}{part}", begin(n)), dim)).collect()
}

/// A draft of this device that has no place yet.
pub(super) fn unsent(draft: &Draft, width: usize, look: Look) -> Vec<Line<'static>> {
    let mark = if draft.refused.is_some() { Mark::Refused } else { Mark::Waiting };
    let (time, name) = ("     ".to_owned(), "you".to_owned());
    let said = Said { time, name, mine: true, text: draft.text.clone(), mark: Some(mark), ..Said::default() };
    let mut lines = said.lines(width, look);
    if let Some(why) = &draft.refused {
        let style = if look.colour { Style::new().fg(Color::Red) } else { Style::new() };
        let why = wrap(why, width.saturating_sub(10)).into_iter();
        lines.extend(why.map(|line| Line::styled(format!("          {line}"), style)));
    }
    lines
}

/// How far one's own message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Waiting,
    Sent,
    Delivered,
    Read,
    Refused,
}

impl Mark {
    fn of(seq: Seq, peer: Cursors) -> Self {
        if peer.read >= seq {
            Mark::Read
        } else if peer.delivered >= seq {
            Mark::Delivered
        } else {
            Mark::Sent
        }
    }

    fn span(self, look: Look) -> Span<'static> {
        let (text, colour) = match self {
            Mark::Waiting => ("…", Color::DarkGray),
            Mark::Sent => ("✓", Color::Gray),
            Mark::Delivered => ("✓✓", Color::Gray),
            Mark::Read => ("✓✓ read", Color::Cyan),
            Mark::Refused => ("!", Color::Red),
        };
        if look.colour { Span::styled(text, Style::new().fg(colour)) } else { Span::raw(text) }
    }
}

/// `12:30 name text`, with the text hanging behind the name, and the mark at the right of its last line.
#[derive(Default)]
struct Said {
    time: String,
    name: String,
    mine: bool,
    quote: Option<String>,
    text: String,
    is_gone: bool,
    tail: Option<&'static str>,
    mark: Option<Mark>,
    /// It calls the person.
    calls: bool,
    reactions: String,
}

impl Said {
    fn lines(&self, width: usize, look: Look) -> Vec<Line<'static>> {
        let dim = Style::new().add_modifier(Modifier::DIM);
        let name = fit(&self.name, (width / 4).max(4));
        let indent = self.time.width() + 1 + name.width() + 1;
        let room = width.saturating_sub(indent);
        let mut spans: Vec<Vec<Span<'static>>> = Vec::new();
        spans.extend(
            self.quote.iter().map(|quote| vec![Span::styled(fit(&format!("{ANSWERS} {quote}"), room.max(2)), dim)]),
        );
        let reserved = if self.mark.is_some() { MARK_COLUMNS } else { 0 };
        let text = match self.tail {
            // As a cursor, right behind the last letter.
            Some(GROWS) => format!("{}{GROWS}", self.text.trim_end()),
            Some(tail) => format!("{} {tail}", self.text),
            None => self.text.clone(),
        };
        let parts = wrap(&text, room.saturating_sub(reserved));
        let last = parts.len() - 1;
        let style = match (self.is_gone, self.calls) {
            (true, _) => dim,
            (false, true) => Style::new().add_modifier(Modifier::BOLD),
            (false, false) => Style::new(),
        };
        for (n, part) in parts.into_iter().enumerate() {
            let gap = width.saturating_sub(indent + part.width() + MARK_COLUMNS - 1);
            let tail = self.tail.filter(|tail| n == last && part.ends_with(tail));
            let mut line = match tail {
                Some(tail) => {
                    vec![Span::styled(part[..part.len() - tail.len()].to_owned(), style), Span::styled(tail, dim)]
                }
                None => vec![Span::styled(part, style)],
            };
            if let Some(mark) = self.mark.filter(|_| n == last) {
                line.extend([Span::raw(" ".repeat(gap)), mark.span(look)]);
            }
            spans.push(line);
        }
        if !self.reactions.is_empty() {
            spans.extend(wrap(&self.reactions, room).into_iter().map(|part| vec![Span::styled(part, dim)]));
        }
        let colour = if self.mine { Color::Green } else { Color::Blue };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let bold = if look.colour { bold.fg(colour) } else { bold };
        let begin = |n: usize| match n {
            0 => vec![Span::styled(format!("{} ", self.time), dim), Span::styled(format!("{name} "), bold)],
            _ => vec![Span::raw(" ".repeat(indent))],
        };
        let lines = spans.into_iter().enumerate();
        lines.map(|(n, rest)| Line::from(begin(n).into_iter().chain(rest).collect::<Vec<_>>())).collect()
    }
}
