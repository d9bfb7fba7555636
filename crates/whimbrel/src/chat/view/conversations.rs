//! The list on the left: friend requests, then conversations, each with what is unread.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::Look;
use super::text::{clean, fit};
use crate::chat::app::{App, Selected};

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

fn row(app: &App, entry: Selected, width: usize, look: Look) -> Line<'static> {
    let selected = app.selected == Some(entry);
    let mark = if selected { "▸" } else { " " };
    let (name, badge, urgent) = match entry {
        Selected::Request(user) => {
            let name = app.requests.iter().find(|r| r.peer.id == user).map_or(String::new(), |r| r.peer.handle.clone());
            (name, "wants in".to_owned(), true)
        }
        Selected::Conversation(id) => {
            let row = app.conversations.iter().find(|row| row.id == id);
            let unread = row.map_or(0, |row| app.unread(row));
            let badge = match unread {
                0 => String::new(),
                1..=999 => unread.to_string(),
                _ => "999+".to_owned(),
            };
            (row.map_or(String::new(), |row| row.peer_name.clone()), badge, unread > 0)
        }
    };
    let room = width.saturating_sub(3 + badge.width());
    let name = fit(&clean(&name).replace('\n', " "), room);
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
        Span::styled(format!("{badge} "), badge_style),
    ])
}
