//! The screen, drawn from the state and nothing else.
//!
//! ```text
//! conversations │ messages of the open one
//!               │
//! a notice, when there is one; what a command is about, or which commands there are
//! ─────────────────────────────────────────
//! > what is being typed
//! connection                           keys
//! ```
//!
//! Colours only repeat what marks and words say.

mod conversations;
mod help;
mod input;
mod messages;
pub(super) mod news;
mod notice;
pub(super) mod said;
mod sheet;
mod status;
pub(super) mod text;

use chrono::FixedOffset;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::widgets::Paragraph;

use super::app::{App, Drawn};

/// Colours on, or marks alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// False with NO_COLOR: everything is still told apart by its marks.
    pub(super) colour: bool,
    /// For the times shown.
    pub(super) offset: FixedOffset,
}

/// Below this width the list of conversations makes room for the messages.
const LIST_FROM_WIDTH: u16 = 50;

/// Draws everything; tells what the state has to know of it.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, look: Look) -> Drawn {
    let said = notice::lines(app, frame.area().width, look);
    let areas =
        [Constraint::Min(1), Constraint::Length(said.len() as u16), Constraint::Length(2), Constraint::Length(1)];
    let [top, notice, input, status] = Layout::vertical(areas).areas(frame.area());
    let mut drawn = if has_list(frame.area()) {
        let areas = [Constraint::Length((top.width / 4).clamp(18, 30)), Constraint::Min(1)];
        let [list, messages] = Layout::horizontal(areas).areas(top);
        conversations::draw(frame, list, app, look);
        messages::draw(frame, messages, app, look)
    } else {
        messages::draw(frame, top, app, look)
    };
    frame.render_widget(Paragraph::new(said), notice);
    input::draw(frame, input, app, look);
    status::draw(frame, status, app, look);
    if let Some(first) = app.help {
        // The last line stays: it says how to quit.
        let above = Rect { height: frame.area().height.saturating_sub(1), ..frame.area() };
        let width = sheet::width(above);
        drawn.help_next = match &app.sheet {
            Some(open) => sheet::draw(frame, above, &open.title, &sheet::lines(open, width, look), first),
            None => sheet::draw(frame, above, "Help", &help::lines(width), first),
        };
    }
    drawn
}

/// Whether there is room for the list of conversations.
fn has_list(area: Rect) -> bool {
    area.width >= LIST_FROM_WIDTH
}
