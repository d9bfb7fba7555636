//! Lines over everything else; in pages where they do not fit at once.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};

use super::Look;
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
pub(super) fn lines(sheet: &Sheet, width: usize, look: Look) -> Vec<Line<'static>> {
    let columns = width.saturating_sub(2);
    let picture = sheet.picture.iter().map(|row| pixels(&row[..row.len().min(columns)], look));
    let lines = sheet.lines.iter().flat_map(|line| wrap(&one_line(line), columns));
    picture.chain(lines.map(|line| Line::raw(format!(" {line}")))).collect()
}

/// A row of upper and lower pixels: half blocks in their colours, or shades where there are no colours.
fn pixels(row: &[[[u8; 3]; 2]], look: Look) -> Line<'static> {
    let colour = |[r, g, b]: [u8; 3]| Color::Rgb(r, g, b);
    let light = |[r, g, b]: [u8; 3]| (u32::from(r) * 3 + u32::from(g) * 6 + u32::from(b)) / 10;
    let shade = |up, down| [" ", "░", "▒", "▓", "█"][((light(up) + light(down)) / 2 * 5 / 256) as usize];
    let pixels = row.iter().map(|[up, down]| match look.colour {
        true => Span::styled("▀", Style::new().fg(colour(*up)).bg(colour(*down))),
        false => Span::raw(shade(*up, *down)),
    });
    Line::from(std::iter::once(Span::raw(" ")).chain(pixels).collect::<Vec<_>>())
}
