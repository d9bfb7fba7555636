//! The last line: the connection, and the keys; how to quit is always among them.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;
use whimbrel_client::ConnectionState;

use super::Look;
use super::text::{fit, one_line};
use crate::chat::app::App;

/// From the most that can be said to the least.
const KEYS: [&str; 4] = [
    "Tab switch · Enter send · PgUp scroll · ? help · Ctrl-Q quit",
    "Tab switch · ? help · Ctrl-Q quit",
    "? help · Ctrl-Q quit",
    "Ctrl-Q quit",
];
/// Between the two.
const GAP: usize = 2;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    let width = usize::from(area.width);
    let online = app.state == ConnectionState::Online;
    let writing = app.writing().map_or(String::new(), |who| format!(" · {}", one_line(&who)));
    let connection = format!("{} {}{writing}", if online { "●" } else { "○" }, app.connection());
    let fits = |keys: &&&str| connection.width() + GAP + keys.width() <= width;
    let least = KEYS[KEYS.len() - 1];
    let keys = KEYS.iter().find(fits).copied().unwrap_or(least);
    let connection = fit(&connection, width.saturating_sub(GAP + keys.width()));
    let style = match (look.colour, online) {
        (true, true) => Style::new().fg(Color::Green),
        (true, false) => Style::new().fg(Color::Yellow),
        (false, true) => Style::new(),
        (false, false) => Style::new().add_modifier(Modifier::BOLD),
    };
    let gap = " ".repeat(width.saturating_sub(connection.width() + keys.width()));
    let keys = Span::styled(keys, Style::new().add_modifier(Modifier::DIM));
    let line = Line::from(vec![Span::styled(connection, style), Span::raw(gap), keys]);
    frame.render_widget(Paragraph::new(line), area);
}
