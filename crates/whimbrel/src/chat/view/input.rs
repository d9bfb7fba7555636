//! The line where one types.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::Look;
use super::text::fit;
use crate::chat::app::App;

/// What the letters mean while a message is picked.
const PICKED: [&str; 2] =
    ["r reply · e edit · + react · d take back · w who read it · Esc", "r reply · e edit · + · d · w · Esc"];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    let rule = if look.colour { Style::new().fg(Color::DarkGray) } else { Style::new() };
    let dim = Style::new().add_modifier(Modifier::DIM | Modifier::ITALIC);
    let block = Block::default().borders(Borders::TOP).border_style(rule);
    let (shown, column) = app.editor.window(usize::from(area.width.saturating_sub(2)));
    let hint = if !app.editor.text().is_empty() {
        Span::raw("")
    } else if app.request().is_some() || app.invitation().is_some() {
        Span::styled("type /accept or /decline", dim)
    } else if app.picked.is_some() {
        let room = usize::from(area.width.saturating_sub(3));
        let hint = PICKED.iter().find(|hint| hint.width() <= room).unwrap_or(&PICKED[1]);
        Span::styled(fit(hint, room), dim)
    } else if app.open().is_some() {
        Span::styled("type a message", dim)
    } else {
        Span::styled("type /add HANDLE", dim)
    };
    frame.render_widget(Paragraph::new(Line::from(vec![Span::raw("> "), Span::raw(shown), hint])).block(block), area);
    if app.help.is_none() {
        frame.set_cursor_position(Position::new(area.x + 2 + column as u16, area.y + area.height.saturating_sub(1)));
    }
}
