//! The list on the left: what wants an answer, then conversations, each with what is unread and how many of that call one.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};
use unicode_width::UnicodeWidthStr;
use whimbrel_client::PresenceState;

use super::Look;
use super::text::{fit, one_line};
use crate::chat::app::{App, Selected};

/// Marks of a conversation that is pinned on top, and of one that does not alert.
const PINNED: &str = "↑";
const QUIET: &str = "z";
/// Of a friend who is here.
const HERE: &str = "●";

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    let width = usize::from(area.width.saturating_sub(1));
    let entries = app.entries();
    let height = usize::from(area.height.saturating_sub(1));
    let at = app.selected.and_then(|selected| entries.iter().position(|entry| *entry == selected)).unwrap_or(0);
    let first = at.saturating_sub(height.saturating_sub(1));
    let lines: Vec<Line<'_>> =
        entries.iter().skip(first).take(height).map(|entry| row(app, *entry, width, look)).collect();
    let title = format!(" {} ", fit(&format!("@{}", app.handle), width.saturating_sub(2)));
    let block = Block::default().borders(Borders::RIGHT).title(title);
    let block = if look.colour { block.border_style(Style::new().fg(Color::DarkGray)) } else { block };
    let text = if lines.is_empty() {
        vec![Line::raw(""), Line::raw(fit(" Nobody yet.", width)), Line::raw(fit(" /add HANDLE", width))]
    } else {
        lines
    };
    frame.render_widget(Paragraph::new(text).block(block), area);
}

/// How an entry stands in the list.
struct Entry {
    name: String,
    /// Pinned, quiet, here.
    flags: String,
    badge: String,
    urgent: bool,
}

fn entry(app: &App, entry: Selected) -> Entry {
    let asks = |name: Option<String>, badge: &str| {
        let name = name.unwrap_or_default();
        Entry { name, flags: String::new(), badge: badge.to_owned(), urgent: true }
    };
    let id = match entry {
        Selected::Request(user) => {
            let found = app.requests.iter().find(|request| request.peer.id == user);
            return asks(found.map(|request| request.peer.handle.clone()), "wants in");
        }
        Selected::Invitation(group) => {
            let found = app.invitations.iter().find(|request| request.group == group);
            return asks(found.map(|request| request.group_name.clone()), "invites");
        }
        Selected::Conversation(id) => id,
    };
    let Some(row) = app.conversations.iter().find(|row| row.id == id) else { return asks(None, "") };
    let unread = app.unread(row);
    let count = match unread {
        0 => String::new(),
        1..=999 => unread.to_string(),
        _ => "999+".to_owned(),
    };
    let calls = match row.mentions {
        0 => String::new(),
        _ if unread == 0 => String::new(),
        many => format!("@{} ", many.min(99)),
    };
    let pinned = if row.pinned_at > 0 { PINNED } else { "" };
    let quiet = if row.is_muted(app.now) { QUIET } else { "" };
    let here = app.presence(row).is_some_and(|presence| presence.state == PresenceState::Online);
    let here = if here { HERE } else { "" };
    Entry {
        name: row.title.clone(),
        flags: format!("{pinned}{quiet}{here}"),
        urgent: unread > 0 && (quiet.is_empty() || !calls.is_empty()),
        badge: format!("{calls}{count}"),
    }
}

fn row(app: &App, of: Selected, width: usize, look: Look) -> Line<'static> {
    let selected = app.selected == Some(of);
    let mark = if selected { "▸" } else { " " };
    let Entry { name, flags, badge, urgent } = entry(app, of);
    let right = match (flags.is_empty(), badge.is_empty()) {
        (false, false) => format!("{flags} {badge}"),
        _ => format!("{flags}{badge}"),
    };
    let room = width.saturating_sub(3 + right.width());
    let name = fit(&one_line(&name), room);
    let padding = " ".repeat(room.saturating_sub(name.width()) + 1);
    let mut style = Style::new();
    if selected {
        style = style.add_modifier(Modifier::REVERSED);
    }
    if urgent {
        style = style.add_modifier(Modifier::BOLD);
    }
    let mut badge_style = style;
    if urgent && look.colour {
        badge_style = badge_style.fg(Color::Yellow);
    }
    Line::from(vec![
        Span::styled(format!("{mark}{name}{padding}"), style),
        Span::styled(format!("{right} "), badge_style),
    ])
}
