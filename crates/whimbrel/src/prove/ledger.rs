//! What was promised and what was seen, written down as it happens and judged later (`verdict`).
//!
//! Each device has a book. Nothing is ever changed in it, so a fault cannot hide behind what comes after.

use std::collections::BTreeMap;

use whimbrel_client::{
    Content, ConversationId, DeviceId, FollowUp, GroupNews, MessageId, MessageKind, NotPlaced, Seq, StoredMessage,
    UserId,
};

use super::dice::{Dice, mix};
use super::groups::chronicle::News;

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
    /// Something that says nothing by itself, or of which nothing is left: it was taken back, takes back, reacts.
    Nothing,
    /// Made by the server.
    System,
    /// It is sealed with a key that this device does not have.
    Sealed,
    /// None of these: changed, or cut short.
    Garbled,
}

/// A message as an application saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) seq: Seq,
    pub(super) message_id: MessageId,
    pub(super) sender: UserId,
    pub(super) device: DeviceId,
    pub(super) kind: MessageKind,
    pub(super) key_version: u32,
    /// The earlier message that it is about.
    pub(super) target: Option<Seq>,
    /// When it was placed, milliseconds since 1970.
    pub(super) at: u64,
    pub(super) said: Said,
}

/// A draft that a device put into its outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drafted {
    pub(super) conversation: ConversationId,
    pub(super) message_id: MessageId,
    pub(super) number: u64,
    /// The earlier message that it is about.
    pub(super) target: Option<Seq>,
    /// When, milliseconds since 1970.
    pub(super) at: u64,
}

/// An answer that a draft is not placed and will not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) message_id: MessageId,
    pub(super) why: NotPlaced,
    /// When it came, milliseconds since 1970.
    pub(super) at: u64,
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
    /// Only what follows from leaving, mutes and taking back may be.
    pub(super) refused: Vec<Refused>,
    /// In the order in which the application saw them.
    pub(super) seen: BTreeMap<ConversationId, Vec<Seen>>,
    /// What rows told it of groups.
    pub(super) news: BTreeMap<ConversationId, News>,
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
            news: BTreeMap::new(),
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
        if let (MessageKind::GROUP, Content::System { json, .. }) = (message.kind, &message.content) {
            match GroupNews::read(json) {
                Some(row) => {
                    self.news.entry(message.conversation).or_default().insert(message.seq, (row, message.at));
                }
                None => self.failures.push(format!("row {} of {} says nothing", message.seq, message.conversation)),
            }
        }
        self.seen.entry(message.conversation).or_default().push(Seen {
            seq: message.seq,
            message_id: message.message_id,
            sender: message.sender,
            device: message.device,
            kind: message.kind,
            key_version: message.key_version,
            target: message.target(),
            at: message.at,
            said: said(message),
        });
    }
}

fn said(message: &StoredMessage) -> Said {
    let words = |text: &str| read(text, message.conversation);
    match &message.content {
        Content::Text(text) | Content::Stream(text) => words(text),
        Content::FollowUp { what, .. } => match what {
            FollowUp::Edit(content) => content.as_text().map_or(Said::Garbled, words),
            FollowUp::Append(text) | FollowUp::Finish(text) => words(text),
            FollowUp::Recall | FollowUp::React { .. } | FollowUp::Gone => Said::Nothing,
            FollowUp::Sealed { .. } => Said::Sealed,
            _ => Said::Garbled,
        },
        Content::Gone => Said::Nothing,
        Content::Sealed => Said::Sealed,
        Content::System { .. } => Said::System,
        _ => Said::Garbled,
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
