//! What the person is told, above the line where they type: good news, or what went wrong; and while a command is typed,
//! which message it is about, or how it may go on.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use whimbrel_client::Pictured;

use super::Look;
use super::messages::named;
use super::said::words;
use super::text::{clean, fit, one_line, wrap};
use crate::chat::app::{App, Notice};
use crate::chat::command::{self, About, COMMANDS};

/// Lines that a notice takes at most; the messages make room for them.
const LINES_MAX: usize = 3;

pub(super) fn lines(app: &App, width: u16, look: Look) -> Vec<Line<'static>> {
    let mut lines = said(app, width, look);
    if let Some(typed) = typed(app) {
        let dim = Style::new().add_modifier(Modifier::DIM);
        lines.push(Line::styled(fit(&typed, usize::from(width).saturating_sub(1)), dim));
    }
    lines
}

/// What is known about the command that is being typed.
fn typed(app: &App) -> Option<String> {
    if let Some((about, item)) = app.composing() {
        let what = match about {
            About::Reply => "answers",
            About::React => "reacts to",
            About::Edit => "changes",
            About::Recall => "takes back",
            About::Readers => "asks who has read",
            About::Save => "keeps what came with",
            About::Show => "looks at",
        };
        return Some(match item {
            Some(item) => format!("  {what} {}", one(app, item)),
            None => format!("  {what} … no such message here"),
        });
    }
    let typed = app.editor.text();
    match command::completions(typed)[..] {
        [] => {
            let of = |(name, arguments, what): &(&str, &str, &str)| format!("  {name} {arguments}: {what}");
            let name = typed.split(' ').next()?;
            COMMANDS.iter().find(|(known, ..)| *known == name).map(of)
        }
        [one] => {
            let (name, arguments, what) = COMMANDS.iter().find(|(name, ..)| *name == one)?;
            Some(format!("  {name} {arguments}{}{what}", if arguments.is_empty() { "" } else { ": " }))
        }
        ref many => Some(format!("  Tab: {}", many.join(" "))),
    }
}

fn one(app: &App, item: &Pictured) -> String {
    let text = words(&item.content).unwrap_or_default();
    format!("{} {}: {}", named(item.seq), one_line(&app.name(item.sender)), one_line(&text))
}

fn said(app: &App, width: u16, look: Look) -> Vec<Line<'static>> {
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
