//! From the terminal's keys to what they mean here.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key, by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Next,
    Previous,
    /// As Next, or completes a command.
    Tab,
    /// The message before the picked one.
    Older,
    Newer,
    PageUp,
    PageDown,
    Left,
    Right,
    Home,
    End,
    Backspace,
    Delete,
    DeleteWord,
    DeleteToStart,
    Escape,
    Help,
    Quit,
}

/// The meaning of a key event, if it has one.
pub(super) fn meaning(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let alt = event.modifiers.contains(KeyModifiers::ALT);
    Some(match (event.code, control) {
        (KeyCode::Char('c' | 'q'), true) => Key::Quit,
        (KeyCode::Char('w'), true) => Key::DeleteWord,
        (KeyCode::Char('u'), true) => Key::DeleteToStart,
        (KeyCode::Char('a'), true) => Key::Home,
        (KeyCode::Char('e'), true) => Key::End,
        (KeyCode::Up, _) if alt || control => Key::Older,
        (KeyCode::Down, _) if alt || control => Key::Newer,
        (KeyCode::Char('k'), true) => Key::Older,
        (KeyCode::Char('l'), true) => Key::Newer,
        (KeyCode::Tab, _) => Key::Tab,
        (KeyCode::Char('n'), true) | (KeyCode::Down, _) => Key::Next,
        (KeyCode::Char('p'), true) | (KeyCode::Up | KeyCode::BackTab, _) => Key::Previous,
        (KeyCode::Char(c), false) if !alt => Key::Char(c),
        (KeyCode::Backspace, _) if alt || control => Key::DeleteWord,
        (KeyCode::Backspace, _) => Key::Backspace,
        (KeyCode::Delete, _) => Key::Delete,
        (KeyCode::Enter, _) => Key::Enter,
        (KeyCode::PageUp, _) => Key::PageUp,
        (KeyCode::PageDown, _) => Key::PageDown,
        (KeyCode::Left, _) => Key::Left,
        (KeyCode::Right, _) => Key::Right,
        (KeyCode::Home, _) => Key::Home,
        (KeyCode::End, _) => Key::End,
        (KeyCode::Esc, _) => Key::Escape,
        (KeyCode::F(1), _) => Key::Help,
        _ => return None,
    })
}
