//! The open conversation: a separator for each day, and one's own messages with how far they got.
//!
//! The marks: `…` in the outbox · `✓` sent · `✓✓` delivered · `✓✓ read` · `!` refused, with the reason.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};
use unicode_width::UnicodeWidthStr;
use whimbrel_client::{Content, Cursors, Seq, StoredMessage};

use super::Look;
use super::text::{clean, clock, fit, wrap};
use crate::chat::app::{App, Draft, Drawn};

/// Columns that marks take at the right, with a space before them; so they stand below each other.
const MARK_COLUMNS: usize = 8;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) -> Drawn {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area }.intersection(frame.area());
    let width = usize::from(area.width.saturating_sub(1));
    let height = usize::from(area.height.saturating_sub(1));
    let mut lines = if app.request().is_some() { request(app, width) } else { conversation(app, width, look) };
    let (total, scroll) = (lines.len(), app.scroll_in(width, height, lines.len()));
    let end = total - scroll;
    lines.truncate(end);
    let shown = lines.split_off(end.saturating_sub(height));
    let right = aside(frame, app, scroll);
    let title = fit(&title(app), width.saturating_sub(right.width() + 1));
    let block = Block::default().title(Line::styled(title, Style::new().add_modifier(Modifier::BOLD)));
    let block = block.title(Line::from(right).right_aligned());
    frame.render_widget(Paragraph::new(shown).block(block), area);
    Drawn { of: app.selected, width, height, lines: total, scroll, help_next: None }
}

fn title(app: &App) -> String {
    match (app.request(), app.summary()) {
        (Some(relation), _) => format!("{} wants to be friends", relation.peer.handle),
        (None, Some(row)) if row.peer_handle.is_empty() || row.peer_handle == row.peer_name => one_line(&row.peer_name),
        (None, Some(row)) => format!("{} (@{})", one_line(&row.peer_name), row.peer_handle),
        (None, None) => "Whimbrel".to_owned(),
    }
}

/// What stands at the right of the title: what is out of sight below, or, without the list, elsewhere.
fn aside(frame: &Frame<'_>, app: &App, scroll: usize) -> String {
    if scroll > 0 {
        return format!("↓ {scroll} more, PgDn ");
    }
    if super::has_list(frame.area()) {
        return String::new();
    }
    let unread: u64 = app.conversations.iter().map(|row| app.unread(row)).sum();
    let requests = if app.selected_request_only() { 0 } else { app.requests.len() as u64 };
    match unread + requests {
        0 => String::new(),
        1..=999 => format!("Tab: {} new ", unread + requests),
        _ => "Tab: 999+ new ".to_owned(),
    }
}

fn request(app: &App, width: usize) -> Vec<Line<'static>> {
    let Some(relation) = app.request() else { return Vec::new() };
    let mut lines = vec![Line::raw("")];
    if let Some(greeting) = relation.greeting.as_deref().filter(|greeting| !greeting.is_empty()) {
        lines.extend(wrap(&format!("“{}”", clean(greeting)), width).into_iter().map(Line::raw));
        lines.push(Line::raw(""));
    }
    lines.extend(wrap("Type /accept or /decline and press Enter.", width).into_iter().map(Line::raw));
    lines
}

/// A name as others chose it, on one line.
fn one_line(name: &str) -> String {
    clean(name).replace('\n', " ")
}

fn conversation(app: &App, width: usize, look: Look) -> Vec<Line<'static>> {
    let Some(row) = app.summary() else {
        let hello = [
            "",
            "Nobody to talk to yet.",
            "",
            "/add HANDLE asks somebody to be friends.",
            "? shows all keys and commands.",
        ];
        return hello.iter().flat_map(|line| wrap(line, width)).map(Line::raw).collect();
    };
    let mut lines = Vec::new();
    let mut day = String::new();
    let peer = one_line(&row.peer_name);
    for message in app.messages.values() {
        let Some(text) = words(message) else { continue };
        let (time, date) = clock(message.at, look.offset);
        if date != day {
            lines.push(Line::styled(format!("── {date} ──"), Style::new().add_modifier(Modifier::DIM)).centered());
            day = date;
        }
        let mine = message.sender == app.me;
        let mark = mine.then(|| Mark::of(message.seq, row.peer_cursors));
        lines.extend(said(&time, &peer, &text, mark, width, look));
    }
    if lines.is_empty() && app.open_drafts().is_empty() {
        lines.push(Line::raw(""));
        lines.push(Line::raw(fit(&format!("Say hello to {peer}."), width)));
    }
    for draft in app.open_drafts() {
        lines.extend(unsent(draft, width, look));
    }
    lines
}

/// What a message is in words; `None` for rows that are not shown.
pub(in crate::chat) fn words(message: &StoredMessage) -> Option<String> {
    Some(match &message.content {
        Content::Text(text) => clean(text),
        Content::Custom { fallback, content_type, .. } if fallback.is_empty() => clean(&format!("[{content_type}]")),
        Content::Custom { fallback, .. } => clean(fallback),
        Content::Unknown { kind, .. } => format!("[a message of kind {}, which this version does not know]", kind.0),
        Content::Sealed => "[sealed: its key is not on this device]".to_owned(),
        Content::Gone => "[taken back]".to_owned(),
        other => Some(clean(&other.line())).filter(|line| !line.is_empty())?,
    })
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

fn unsent(draft: &Draft, width: usize, look: Look) -> Vec<Line<'static>> {
    let mark = if draft.refused.is_some() { Mark::Refused } else { Mark::Waiting };
    let mut lines = said("     ", "", &draft.text, Some(mark), width, look);
    if let Some(why) = &draft.refused {
        let style = if look.colour { Style::new().fg(Color::Red) } else { Style::new() };
        let why = wrap(why, width.saturating_sub(10)).into_iter();
        lines.extend(why.map(|line| Line::styled(format!("          {line}"), style)));
    }
    lines
}

/// `12:30 name text`, with the text hanging behind the name. One's own (those with a mark) are by "you", and have the
/// mark at the right of their last line.
fn said(time: &str, peer: &str, text: &str, mark: Option<Mark>, width: usize, look: Look) -> Vec<Line<'static>> {
    let name = if mark.is_some() { "you".to_owned() } else { fit(peer, (width / 4).max(4)) };
    let indent = time.width() + 1 + name.width() + 1;
    let reserved = if mark.is_some() { MARK_COLUMNS } else { 0 };
    let colour = if mark.is_some() { Color::Green } else { Color::Blue };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let bold = if look.colour { bold.fg(colour) } else { bold };
    let dim = Style::new().add_modifier(Modifier::DIM);
    let parts = wrap(text, width.saturating_sub(indent + reserved));
    let last = parts.len() - 1;
    let mut lines = Vec::with_capacity(parts.len());
    for (n, part) in parts.into_iter().enumerate() {
        let mut spans = match n {
            0 => vec![Span::styled(format!("{time} "), dim), Span::styled(format!("{name} "), bold)],
            _ => vec![Span::raw(" ".repeat(indent))],
        };
        let gap = width.saturating_sub(indent + part.width() + MARK_COLUMNS - 1);
        spans.push(Span::raw(part));
        if let Some(mark) = mark.filter(|_| n == last) {
            spans.extend([Span::raw(" ".repeat(gap)), mark.span(look)]);
        }
        lines.push(Line::from(spans));
    }
    lines
}
