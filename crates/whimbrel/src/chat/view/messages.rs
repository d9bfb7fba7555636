//! The open conversation: a separator for each day, then what was said, and the drafts that have no place yet.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph};
use unicode_width::UnicodeWidthStr;
use whimbrel_client::{ConversationKind, ConversationSummary, PresenceState, Seq};

use super::Look;
use super::said::{Around, item, unsent};
use super::text::{clean, clock, fit, one_line, wrap};
use crate::chat::app::{App, Drawn};

/// What stands at the left of a picked message.
const PICKED: &str = "▸";

/// What is to be shown, and where in it the picked message stands: its first line, and the one behind it.
#[derive(Default)]
struct Page {
    lines: Vec<Line<'static>>,
    picked: Option<(usize, usize)>,
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) -> Drawn {
    let margin = area.x;
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area }.intersection(frame.area());
    let width = usize::from(area.width.saturating_sub(1));
    let height = usize::from(area.height.saturating_sub(1));
    let Page { mut lines, picked } = match asked(app, width) {
        Some(lines) => Page { lines, picked: None },
        None => conversation(app, width, look),
    };
    let (total, scroll) = (lines.len(), app.scroll_in(width, height, lines.len(), picked));
    let end = total - scroll;
    lines.truncate(end);
    let first = end.saturating_sub(height);
    let shown = lines.split_off(first);
    let right = aside(frame, app, scroll);
    let title = fit(&title(app, look), width.saturating_sub(right.width() + 1));
    let block = Block::default().title(Line::styled(title, Style::new().add_modifier(Modifier::BOLD)));
    let block = block.title(Line::from(right).right_aligned());
    frame.render_widget(Paragraph::new(shown).block(block), area);
    if let Some((at, _)) = picked.filter(|(at, _)| (first..end).contains(at)) {
        let style = if look.colour { Style::new().fg(Color::Yellow) } else { Style::new() };
        let place = Position { x: margin, y: area.y + 1 + (at - first) as u16 };
        if let Some(cell) = frame.buffer_mut().cell_mut(place) {
            cell.set_symbol(PICKED).set_style(style);
        }
    }
    Drawn { of: app.selected, width, height, lines: total, scroll, help_next: None }
}

fn title(app: &App, look: Look) -> String {
    if let Some(relation) = app.request() {
        return format!("{} wants to be friends", relation.peer.handle);
    }
    if let Some(request) = app.invitation() {
        return one_line(&request.group_name);
    }
    match app.summary() {
        Some(row) if row.kind == ConversationKind::Group => group_title(row),
        Some(row) => format!("{}{}", person_title(row), presence(app, row, look)),
        None => "Whimbrel".to_owned(),
    }
}

fn person_title(row: &ConversationSummary) -> String {
    match row.peer_handle.is_empty() || row.peer_handle == row.peer_name {
        true => one_line(&row.peer_name),
        false => format!("{} (@{})", one_line(&row.peer_name), row.peer_handle),
    }
}

/// Whether they are here, behind their name.
fn presence(app: &App, row: &ConversationSummary, look: Look) -> String {
    let Some(presence) = app.presence(row) else { return String::new() };
    match (presence.state, presence.last_seen) {
        (PresenceState::Online, _) => " · online".to_owned(),
        (_, 0) => " · offline".to_owned(),
        (_, at) => {
            let (time, date) = clock(at, look.offset);
            format!(" · last seen {date} {time}")
        }
    }
}

fn group_title(row: &ConversationSummary) -> String {
    let name = one_line(&row.title);
    match &row.group {
        Some(info) if info.group.dissolved_at.is_some() => format!("{name} (dissolved)"),
        Some(info) if !info.is_member() => format!("{name} (you are not in it)"),
        Some(info) if info.group.size == 1 => format!("{name} (only you)"),
        Some(info) => format!("{name} ({} people)", info.group.size),
        None => name,
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
    match unread + app.asking_elsewhere() as u64 {
        0 => String::new(),
        new @ 1..=999 => format!("Tab: {new} new "),
        _ => "Tab: 999+ new ".to_owned(),
    }
}

/// A friend request or an invitation that waits for an answer.
fn asked(app: &App, width: usize) -> Option<Vec<Line<'static>>> {
    let said = match (app.request(), app.invitation()) {
        (Some(relation), _) => relation.greeting.clone().unwrap_or_default(),
        (None, Some(request)) => request.message.clone(),
        (None, None) => return None,
    };
    let mut lines = vec![Line::raw("")];
    if let Some(request) = app.invitation() {
        let by = clean(&app.name(request.by));
        let what = format!("{by} asks you into {}.", clean(&request.group_name));
        lines.extend(wrap(&what, width).into_iter().map(Line::raw));
        lines.push(Line::raw(""));
    }
    if !said.is_empty() {
        lines.extend(wrap(&format!("“{}”", clean(&said)), width).into_iter().map(Line::raw));
        lines.push(Line::raw(""));
    }
    lines.extend(wrap("Type /accept or /decline and press Enter.", width).into_iter().map(Line::raw));
    Some(lines)
}

fn conversation(app: &App, width: usize, look: Look) -> Page {
    let Some(row) = app.summary() else {
        let hello = [
            "",
            "Nobody to talk to yet.",
            "",
            "/add HANDLE asks somebody to be friends.",
            "? shows all keys and commands.",
        ];
        let lines = hello.iter().flat_map(|line| wrap(line, width)).map(Line::raw).collect();
        return Page { lines, picked: None };
    };
    let mut page = Page::default();
    let mut day = String::new();
    let numbered = app.picked.is_none() && app.composing().is_some();
    let around = Around { app, row, width, look, numbered };
    for shown in app.messages.values() {
        let lines = item(around, shown);
        if lines.is_empty() {
            continue;
        }
        let (_, date) = clock(shown.at, look.offset);
        if date != day {
            page.lines.push(Line::styled(format!("── {date} ──"), Style::new().add_modifier(Modifier::DIM)).centered());
            day = date;
        }
        page.put(app.picked == Some(shown.seq), lines);
    }
    if app.messages.is_empty() && app.open_drafts().is_empty() {
        let hello = match row.kind {
            ConversationKind::Group => "Nothing was said here yet.".to_owned(),
            _ => format!("Say hello to {}.", one_line(&row.peer_name)),
        };
        page.lines.extend([Line::raw(""), Line::raw(fit(&hello, width))]);
    }
    for draft in app.open_drafts() {
        page.put(false, unsent(draft, width, look));
    }
    page
}

impl Page {
    fn put(&mut self, picked: bool, lines: Vec<Line<'static>>) {
        let first = self.lines.len();
        self.lines.extend(lines);
        if picked {
            self.picked = Some((first, self.lines.len()));
        }
    }
}

/// The number by which commands name a message.
pub(super) fn named(seq: Seq) -> String {
    format!("#{}", crate::chat::app::number(seq))
}
