//! Lines over everything else; in pages where they do not fit at once.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Clear, Paragraph};

use super::text::{fit, one_line, wrap};
use crate::chat::app::Sheet;

/// Columns, where there is room for them.
const WIDTH: usize = 70;

/// Columns that lines may take.
pub(super) fn width(area: Rect) -> usize {
    WIDTH.min(area.width.into()).saturating_sub(2)
}

/// Draws the page that begins with line `first`; gives the first line of the next one.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    lines: &[Line<'static>],
    first: usize,
) -> Option<usize> {
    let width = (width(area) + 2) as u16;
    let room = usize::from(area.height).saturating_sub(2).max(1);
    let shown: Vec<_> = lines.iter().skip(first).take(room).cloned().collect();
    let next = Some(first + room).filter(|next| *next < lines.len());
    let height = (shown.len() as u16 + 2).min(area.height);
    let inner = Rect {
        x: area.x + area.width.saturating_sub(width) / 2,
        y: area.y + (area.height - height) / 2,
        width: width.min(area.width),
        height,
    };
    let hint = if next.is_some() { " any key: more · Esc closes " } else { " any key closes " };
    frame.render_widget(Clear, inner);
    let title = format!(" {} ", fit(title, usize::from(width).saturating_sub(4)));
    let block = Block::default().borders(Borders::ALL).title(title).title_bottom(hint);
    frame.render_widget(Paragraph::new(shown).block(block), inner);
    next
}

/// A sheet's lines in so many columns.
pub(super) fn lines(sheet: &Sheet, width: usize) -> Vec<Line<'static>> {
    let columns = width.saturating_sub(2);
    let lines = sheet.lines.iter().flat_map(|line| wrap(&one_line(line), columns));
    lines.map(|line| Line::raw(format!(" {line}"))).collect()
}
