//! What was promised and what was seen, written down as it happens and judged later (`verdict`).
//!
//! Each device has a book. Nothing is ever changed in it, so a fault cannot hide behind what comes after.

use std::collections::BTreeMap;

use whimbrel_client::{Content, ConversationId, DeviceId, MessageId, Seq, StoredMessage, UserId};

use super::dice::{Dice, mix};

/// Characters of a message's filler: mostly few, sometimes many.
const FILLER_USUAL: usize = 200;
const FILLER_LONG: usize = 6000;

/// What a message says that a device sent: the sender's index, and which of its messages in that conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// As it was sent.
    Words {
        /// The sending device: an index.
        device: usize,
        /// 1, 2, 3, … in each conversation.
        number: u64,
    },
    /// Made by the server.
    System,
    /// Neither: changed, cut short, or not opened.
    Garbled,
}

/// A message as an application saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) seq: Seq,
    pub(super) message_id: MessageId,
    pub(super) sender: UserId,
    pub(super) device: DeviceId,
    pub(super) said: Said,
}

/// A draft that a device put into its outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drafted {
    pub(super) conversation: ConversationId,
    pub(super) message_id: MessageId,
    pub(super) number: u64,
}

/// An answer SENT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) conversation: ConversationId,
    pub(super) message_id: MessageId,
    pub(super) seq: Seq,
}

/// One device's book.
#[derive(Debug, Clone)]
pub(super) struct Book {
    /// Which device: an index; fresh ones at the end have one too.
    pub(super) index: usize,
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) drafted: Vec<Drafted>,
    pub(super) told: Vec<Told>,
    /// Drafts that were refused, and why: in this run nobody may be.
    pub(super) refused: Vec<(MessageId, String)>,
    /// In the order in which the application saw them.
    pub(super) seen: BTreeMap<ConversationId, Vec<Seen>>,
    /// Events that the application was told it missed.
    pub(super) missed: u64,
    /// Runs that were dropped, as if the server had been restored from a backup.
    pub(super) resets: u64,
    /// What else went wrong on this device.
    pub(super) failures: Vec<String>,
}

impl Book {
    /// An empty one.
    pub(super) fn new(index: usize, user: UserId, device: DeviceId) -> Self {
        Self {
            index,
            user,
            device,
            drafted: Vec::new(),
            told: Vec::new(),
            refused: Vec::new(),
            seen: BTreeMap::new(),
            missed: 0,
            resets: 0,
            failures: Vec::new(),
        }
    }

    /// Drafts that have no answer yet.
    pub(super) fn unanswered(&self) -> usize {
        self.drafted.len().saturating_sub(self.told.len() + self.refused.len())
    }

    /// The last place that the application saw there.
    pub(super) fn end(&self, conversation: ConversationId) -> Seq {
        let seen = self.seen.get(&conversation).and_then(|seen| seen.last());
        seen.map_or(Seq::ZERO, |seen| seen.seq)
    }

    /// Writes down a message that the application was shown.
    pub(super) fn see(&mut self, message: &StoredMessage) {
        let said = match &message.content {
            Content::Text(text) => read(text, message.conversation),
            Content::System { .. } => Said::System,
            _ => Said::Garbled,
        };
        self.seen.entry(message.conversation).or_default().push(Seen {
            seq: message.seq,
            message_id: message.message_id,
            sender: message.sender,
            device: message.device,
            said,
        });
    }
}

/// The text of a message: who says it, which one it is, a check of everything, and filler.
pub(super) fn write(device: usize, number: u64, conversation: ConversationId, dice: &mut Dice) -> String {
    let longest = if dice.percent(2) { FILLER_LONG } else { FILLER_USUAL };
    let length = dice.below(longest);
    let filler: String = (0..length).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
    format!("{device} {number} {:016x} {filler}", check(device, number, conversation, &filler))
}

fn read(text: &str, conversation: ConversationId) -> Said {
    let mut parts = text.splitn(4, ' ');
    let mut part = || parts.next();
    let parsed = (|| {
        let (device, number) = (part()?.parse().ok()?, part()?.parse().ok()?);
        let (written, filler) = (u64::from_str_radix(part()?, 16).ok()?, part()?);
        (written == check(device, number, conversation, filler)).then_some(Said::Words { device, number })
    })();
    parsed.unwrap_or(Said::Garbled)
}

fn check(device: usize, number: u64, conversation: ConversationId, filler: &str) -> u64 {
    let start = mix(mix(device as u64) ^ number);
    conversation.as_bytes().iter().chain(filler.as_bytes()).fold(start, |sum, byte| mix(sum ^ u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_reads_back_and_no_character_of_it_may_change() {
        let conversation = ConversationId::generate();
        let text = write(3, 14, conversation, &mut Dice::new(1, 1));
        assert_eq!(read(&text, conversation), Said::Words { device: 3, number: 14 });
        assert_eq!(read(&text, ConversationId::generate()), Said::Garbled, "it was said elsewhere");
        assert_eq!(read("", conversation), Said::Garbled);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(read(&changed, conversation), Said::Garbled, "{changed}");
            assert_eq!(read(&text[..at], conversation), Said::Garbled);
        }
    }
}
