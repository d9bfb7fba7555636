//! What a device whose store is in memory said that it has read. It forgets that with each life, perhaps before the
//! server was told; and a new life begins at the first message. Its application knows better, and says it again as soon as
//! that life has got so far.

use std::collections::HashMap;

use whimbrel_client::{ConversationId, Seq};

/// What was said over all lives, and what this one still has to say.
#[derive(Debug, Default)]
pub(super) struct Reading {
    said: HashMap<ConversationId, Seq>,
    owed: HashMap<ConversationId, Seq>,
    shown: HashMap<ConversationId, Seq>,
}

impl Reading {
    /// A life begins: with nothing.
    pub(super) fn begins(&mut self) {
        self.shown.clear();
        self.owed = self.said.clone();
    }

    /// The application says that everything up to here is read, whether or not this life has got so far.
    pub(super) fn says(&mut self, conversation: ConversationId, upto: Seq) {
        let said = self.said.entry(conversation).or_default();
        *said = upto.max(*said);
        if self.shown.get(&conversation).is_none_or(|shown| *shown < upto) {
            self.owed.insert(conversation, *said);
        }
    }

    /// This life was shown a message; up to where it now has to say again that everything is read.
    pub(super) fn shows(&mut self, conversation: ConversationId, seq: Seq) -> Option<Seq> {
        let shown = self.shown.entry(conversation).or_default();
        *shown = seq.max(*shown);
        let owed = self.owed.get(&conversation).copied().filter(|owed| owed <= shown)?;
        self.owed.remove(&conversation);
        Some(owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_life_said_is_said_again_once_this_one_has_got_so_far() {
        let (chat, mut reading) = (ConversationId::generate(), Reading::default());
        reading.begins();
        assert_eq!(reading.shows(chat, Seq(2)), None);
        reading.says(chat, Seq(2));
        assert_eq!(reading.shows(chat, Seq(3)), None, "it was said when it was shown");
        reading.begins();
        assert_eq!(reading.shows(chat, Seq(1)), None);
        assert_eq!(reading.shows(chat, Seq(2)), Some(Seq(2)));
        assert_eq!(reading.shows(chat, Seq(3)), None, "once in a life");
    }

    #[test]
    fn what_was_said_too_early_is_said_again() {
        let (chat, mut reading) = (ConversationId::generate(), Reading::default());
        reading.begins();
        assert_eq!(reading.shows(chat, Seq(1)), None);
        reading.says(chat, Seq(3));
        assert_eq!(reading.shows(chat, Seq(2)), None);
        assert_eq!(reading.shows(chat, Seq(5)), Some(Seq(3)));
    }
}
