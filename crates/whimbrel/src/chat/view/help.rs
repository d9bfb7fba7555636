//! All keys and commands.

use ratatui::text::Line;
use unicode_width::UnicodeWidthStr;

use super::text::wrap;
use crate::chat::command::COMMANDS;

const KEYS: &[(&str, &str)] = &[
    ("Tab, ↓ ↑", "next or previous conversation"),
    ("Tab behind a /", "completes the command"),
    ("PgUp, PgDn", "scroll"),
    ("Ctrl-↑, Ctrl-↓", "pick a message (or Alt-↑ ↓, Ctrl-K, Ctrl-L)"),
    ("  r e + d w", "with it: reply, edit, react, take back, readers"),
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
    ("▌", "still being written"),
    ("(edited)", "said something else at first"),
    ("#7", "the message's number, for /reply #7 and the like"),
    ("@2", "of what is unread, so many call you"),
    ("↑ z ●", "pinned on top; quiet; this friend is here"),
];
const SLASH: (&str, &str) = ("//text", "sends a text that begins with a slash");

/// Two columns where there is room for them, otherwise the meaning below its key.
pub(super) fn lines(width: usize) -> Vec<Line<'static>> {
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
