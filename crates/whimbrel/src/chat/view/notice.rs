//! What the person is told, above the line where they type: good news, or what went wrong.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

use super::Look;
use super::text::{clean, wrap};
use crate::chat::app::{App, Notice};

/// Lines that a notice takes at most; the messages make room for them.
const LINES_MAX: usize = 3;

pub(super) fn lines(app: &App, width: u16, look: Look) -> Vec<Line<'static>> {
    let (mark, text, colour) = match &app.notice {
        Some(Notice::Good(text)) => ("·", text, Color::Green),
        Some(Notice::Bad(text)) => ("!", text, Color::Red),
        None => return Vec::new(),
    };
    let style = Style::new().add_modifier(Modifier::BOLD);
    let style = if look.colour { style.fg(colour) } else { style };
    let lines = wrap(&clean(text), usize::from(width).saturating_sub(3)).into_iter().take(LINES_MAX).enumerate();
    lines.map(|(n, line)| Line::styled(format!("{} {line}", if n == 0 { mark } else { " " }), style)).collect()
}
