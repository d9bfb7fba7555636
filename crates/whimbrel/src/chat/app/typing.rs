//! Keys, and going through the list of conversations.

use super::{App, Effect, Notice, Selected};
use crate::chat::command;
use crate::chat::keys::Key;

impl App {
    /// Lets somebody type, and tells the others that they write, or have stopped.
    pub(super) fn typed(&mut self, change: impl FnOnce(&mut Self) -> Vec<Effect>) -> Vec<Effect> {
        let before = (self.open(), self.editor.text().to_owned());
        let mut effects = change(self);
        let Some(open) = self.open().filter(|open| before.0 == Some(*open)) else { return effects };
        if before.1 != self.editor.text() {
            let (was, is) = (is_for_others(&before.1), is_for_others(self.editor.text()));
            let says = effects.iter().any(Effect::says);
            if is || (was && !says) {
                effects.push(Effect::Typing(open, is));
            }
        }
        effects
    }

    pub(super) fn key(&mut self, key: Key) -> Vec<Effect> {
        if self.help.is_some() && key != Key::Quit {
            self.help = self.drawn.help_next.filter(|_| key != Key::Escape);
            if self.help.is_none() {
                self.sheet = None;
            }
            return self.mark_read();
        }
        let page = self.drawn.height.saturating_sub(1).max(1);
        match key {
            Key::Quit => return vec![Effect::Quit],
            Key::Enter => return self.enter(),
            Key::Tab if self.complete() => {}
            Key::Next | Key::Tab => return self.step(1),
            Key::Previous => return self.step(-1),
            Key::Older => {
                self.pick(-1);
                return self.want_older();
            }
            Key::Newer => self.pick(1),
            Key::PageUp => {
                self.scroll += page;
                return self.want_older();
            }
            Key::PageDown => {
                self.scroll = self.scroll.saturating_sub(page);
                return self.mark_read();
            }
            Key::Help => self.help = Some(0),
            Key::Char('?') if self.editor.text().is_empty() => self.help = Some(0),
            Key::Char(c) if self.editor.text().is_empty() && self.picked.is_some() => return self.shortcut(c),
            Key::Char(c) => self.editor.insert(c.encode_utf8(&mut [0; 4])),
            Key::Escape => {
                if self.notice.take().is_none() && self.picked.take().is_some() {
                    return Vec::new();
                }
                if let Some(open) = self.open() {
                    self.drafts.dismiss(open);
                }
            }
            Key::Left => self.editor.left(),
            Key::Right => self.editor.right(),
            Key::Home => self.editor.home(),
            Key::End => self.editor.end(),
            Key::Backspace => self.editor.backspace(),
            Key::Delete => self.editor.delete(),
            Key::DeleteWord => self.editor.delete_word(),
            Key::DeleteToStart => self.editor.delete_to_start(),
        }
        Vec::new()
    }

    /// Makes more of a command's name, if one is being typed.
    fn complete(&mut self) -> bool {
        let typed = self.editor.text().to_owned();
        if command::completions(&typed).is_empty() {
            return false;
        }
        if let Some(longer) = command::completed(&typed) {
            self.editor.take();
            self.editor.insert(&longer);
        }
        true
    }

    /// The person goes through the list. What was being typed stays where it was meant for.
    fn step(&mut self, by: isize) -> Vec<Effect> {
        let entries = self.entries();
        if entries.is_empty() {
            return Vec::new();
        }
        let at = self.selected.and_then(|selected| entries.iter().position(|entry| *entry == selected));
        let next = match at {
            Some(at) => (at as isize + by).rem_euclid(entries.len() as isize) as usize,
            None => 0,
        };
        let next = entries[next];
        if matches!(self.notice, Some(Notice::Good(_))) {
            self.notice = None;
        }
        if let Some(selected) = self.selected.filter(|selected| *selected != next) {
            let typed = std::mem::replace(&mut self.editor, self.parked.remove(&next).unwrap_or_default());
            self.parked.insert(selected, typed);
        }
        self.select(next)
    }

    pub(in crate::chat) fn select(&mut self, entry: Selected) -> Vec<Effect> {
        if self.selected == Some(entry) {
            return Vec::new();
        }
        self.selected = Some(entry);
        self.messages.clear();
        (self.scroll, self.picked, self.older) = (0, None, super::older::Older::default());
        match entry {
            Selected::Conversation(id) if self.in_group() => vec![Effect::Load(id), Effect::Members(id)],
            Selected::Conversation(id) => vec![Effect::Load(id)],
            Selected::Request(_) | Selected::Invitation(_) => Vec::new(),
        }
    }

    /// Keeps the selection if it still stands; otherwise what is wanted, otherwise the first conversation.
    pub(super) fn reselect(&mut self) -> Vec<Effect> {
        let entries = self.entries();
        if let Some(wanted) = self.wanted.map(Selected::Conversation).filter(|wanted| entries.contains(wanted)) {
            self.wanted = None;
            return self.select(wanted);
        }
        if self.headless || self.selected.is_some_and(|selected| entries.contains(&selected)) {
            return Vec::new();
        }
        self.selected = None;
        let first = self.conversations.first().map(|row| Selected::Conversation(row.id));
        match first.or(entries.first().copied()) {
            Some(entry) if self.wanted.is_none() => self.select(entry),
            _ => Vec::new(),
        }
    }
}

/// Whether somebody reads what this becomes.
fn is_for_others(line: &str) -> bool {
    !line.is_empty()
        && (!line.starts_with('/') || ["//", "/reply ", "/edit "].iter().any(|says| line.starts_with(says)))
}
