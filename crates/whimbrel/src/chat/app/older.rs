//! What lies before the messages that are shown: asked for when somebody comes near the first of them.

use whimbrel_client::{ConversationId, History, Seq};

use super::{App, Effect, Notice};

/// Messages of one conversation that are shown at most, to whoever scrolls back so far.
const SHOWN_MAX: usize = 100_000;

/// How far back one has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Older {
    /// Something was asked for.
    pub(super) asked: bool,
    /// There is nothing older.
    pub(super) reached_first: bool,
}

impl App {
    /// Asks for more when the first of what is shown is in sight, or a page away.
    pub(super) fn want_older(&mut self) -> Vec<Effect> {
        let (Some(open), Some((first, _))) = (self.open(), self.messages.first_key_value()) else { return Vec::new() };
        let first = *first;
        let near = self.scroll + 2 * self.drawn.height >= self.drawn.lines || self.picked == Some(first);
        if !near || self.older.asked || self.older.reached_first || self.messages.len() >= SHOWN_MAX {
            return Vec::new();
        }
        self.older.asked = true;
        vec![Effect::Older(open, first)]
    }

    /// Before the place that was asked for, if that is still the first one.
    pub(super) fn loaded_older(&mut self, conversation: ConversationId, before: Seq, history: History) -> Vec<Effect> {
        let first = self.messages.first_key_value().map(|(first, _)| *first);
        if self.open() != Some(conversation) || first != Some(before) {
            return Vec::new();
        }
        self.older = Older { asked: false, reached_first: history.older.is_none() };
        history.items.into_iter().for_each(|item| self.put(item, true));
        // What came is above: nothing moves for who reads below it.
        self.drawn.of = None;
        Vec::new()
    }

    pub(super) fn not_older(&mut self, conversation: ConversationId, why: String) {
        if self.open() == Some(conversation) {
            self.older.asked = false;
            self.notify(Notice::Bad(format!("what was said before cannot be shown now: {why}")));
        }
    }
}
