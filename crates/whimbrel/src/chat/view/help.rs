//! All keys and commands, over everything else; in pages where they do not fit at once.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Clear, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::text::wrap;
use crate::chat::command::COMMANDS;

const KEYS: &[(&str, &str)] = &[
    ("Tab, ↓ ↑", "next or previous conversation"),
    ("PgUp, PgDn", "scroll"),
    ("Ctrl-W, Ctrl-U", "delete a word, the line"),
    ("Esc", "dismiss a notice or what was refused"),
    ("Ctrl-Q, Ctrl-C", "quit"),
];
const MARKS: &[(&str, &str)] = &[
    ("…", "in the outbox of this device"),
    ("✓", "sent: it is safe on the server"),
    ("✓✓", "delivered to a device"),
    ("✓✓ read", "read"),
    ("!", "refused"),
];
const SLASH: (&str, &str) = ("//text", "sends a text that begins with a slash");
const WIDTH: usize = 70;

/// Draws the page that begins with line `first`; gives the first line of the next one.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, first: usize) -> Option<usize> {
    let width = WIDTH.min(area.width.into());
    let lines = lines(width.saturating_sub(2));
    let room = usize::from(area.height).saturating_sub(2).max(1);
    let shown: Vec<_> = lines.iter().skip(first).take(room).cloned().collect();
    let next = Some(first + room).filter(|next| *next < lines.len());
    let height = (shown.len() as u16 + 2).min(area.height);
    let width = width as u16;
    let inner = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let hint = if next.is_some() { " any key: more · Esc closes " } else { " any key closes " };
    frame.render_widget(Clear, inner);
    let block = Block::default().borders(Borders::ALL).title(" Help ").title_bottom(hint);
    frame.render_widget(Paragraph::new(shown).block(block), inner);
    next
}

/// Two columns where there is room for them, otherwise the meaning below its key.
fn lines(width: usize) -> Vec<Line<'static>> {
    let commands: Vec<_> =
        COMMANDS.iter().map(|(name, arguments, what)| (format!("{name} {arguments}"), *what)).collect();
    let rows = |rows: &[(&str, &'static str)]| -> Vec<_> { rows.iter().map(|(a, b)| ((*a).to_owned(), *b)).collect() };
    let sections = [rows(KEYS), commands.into_iter().chain(rows(&[SLASH])).collect(), rows(MARKS)];
    let mut lines = Vec::new();
    for (n, section) in sections.into_iter().enumerate() {
        if n > 0 {
            lines.push(Line::raw(""));
        }
        let column = section.iter().map(|(name, _)| name.trim_end().width()).max().unwrap_or(0) + 2;
        let column = column.min(width / 2);
        for (name, what) in section {
            let name = name.trim_end();
            let fits = name.width() < column;
            if !fits {
                lines.push(Line::raw(format!(" {name}")));
            }
            for (m, part) in wrap(what, width.saturating_sub(column + 2)).into_iter().enumerate() {
                let name = if fits && m == 0 { name } else { "" };
                lines.push(Line::raw(format!(" {name}{}{part}", " ".repeat(column - name.width()))));
            }
        }
    }
    lines
}
