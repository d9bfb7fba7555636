//! What a client says: new messages, and what it does to earlier ones.

use std::collections::{HashMap, VecDeque};

use whimbrel_client::{Client, Content, ConversationId, Error, MessageId, Seq};

use super::super::dice::Dice;
use super::super::ledger::Seen;

/// Own messages of a conversation that are remembered, to do something to.
const OWN_MAX: usize = 20;
/// Others' messages are reacted to while they are among the last so many rows.
const RECENT: usize = 30;
/// Recalls by a group's owner that are of others' messages, out of a hundred.
const OTHERS_PERCENT: usize = 50;
/// Reactions that are taken back, out of a hundred.
const REMOVED_PERCENT: usize = 20;
const EMOJI: [&str; 3] = ["👍", "🎉", "❤️"];

/// What is to be said next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saying {
    Text,
    Stream,
    Edit(Seq),
    Append(Seq),
    Finish(Seq),
    React(Seq, &'static str, bool),
    Recall(Seq),
}

/// An own message that has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Own {
    seq: Seq,
    is_stream: bool,
    grows: bool,
}

/// What one client has said.
#[derive(Debug, Default)]
pub(super) struct Talk {
    numbers: HashMap<ConversationId, u64>,
    own: HashMap<ConversationId, VecDeque<Own>>,
    /// Messages, not what is done to them, that have no place yet; whether each is a stream.
    open: HashMap<MessageId, bool>,
}

impl Saying {
    /// The message that it is about.
    pub(super) fn target(self) -> Option<Seq> {
        match self {
            Self::Text | Self::Stream => None,
            Self::Edit(seq) | Self::Append(seq) | Self::Finish(seq) | Self::React(seq, ..) | Self::Recall(seq) => {
                Some(seq)
            }
        }
    }

    /// Puts it into the outbox.
    pub(super) async fn send(self, client: &Client, to: ConversationId, text: &str) -> Result<MessageId, Error> {
        match self {
            Self::Text => client.send_text(to, text).await,
            Self::Stream => client.open_stream(to, text).await,
            Self::Edit(seq) => client.edit(to, seq, Content::Text(text.to_owned())).await,
            Self::Append(seq) => client.append(to, seq, text).await,
            Self::Finish(seq) => client.finish(to, seq, text).await,
            Self::React(seq, emoji, false) => client.react(to, seq, emoji).await,
            Self::React(seq, emoji, true) => client.unreact(to, seq, emoji).await,
            Self::Recall(seq) => client.recall(to, seq).await,
        }
    }
}

impl Talk {
    /// The number of the next thing to be said in this conversation.
    pub(super) fn next_number(&self, conversation: ConversationId) -> u64 {
        self.numbers.get(&conversation).copied().unwrap_or_default() + 1
    }

    /// What to say in a conversation of which these rows were shown. Who may takes others' messages back, too.
    pub(super) fn choose(&self, to: ConversationId, shown: &[Seen], takes_others: bool, dice: &mut Dice) -> Saying {
        let own = self.own.get(&to);
        let one = |dice: &mut Dice, wanted: fn(&Own) -> bool| {
            let some: Vec<_> = own.into_iter().flatten().filter(|own| wanted(own)).collect();
            some.get(dice.below(some.len())).map(|own| own.seq)
        };
        let recent = |dice: &mut Dice| {
            let rows = &shown[shown.len().saturating_sub(RECENT)..];
            let some: Vec<_> = rows.iter().filter(|row| row.kind.is_countable()).collect();
            some.get(dice.below(some.len())).map(|row| row.seq)
        };
        let saying = match dice.below(100) {
            0..7 => one(dice, |own| !own.is_stream).map(Saying::Edit),
            7..17 => recent(dice).map(|seq| {
                let removed = dice.percent(REMOVED_PERCENT);
                Saying::React(seq, EMOJI[dice.below(EMOJI.len())], removed)
            }),
            17..21 if takes_others && dice.percent(OTHERS_PERCENT) => recent(dice).map(Saying::Recall),
            17..21 => one(dice, |_| true).map(Saying::Recall),
            21..24 => Some(Saying::Stream),
            24..31 => one(dice, |own| own.grows).map(Saying::Append),
            31..33 => one(dice, |own| own.grows).map(Saying::Finish),
            _ => None,
        };
        saying.unwrap_or(Saying::Text)
    }

    /// It is in the outbox, under this id.
    pub(super) fn drafted(&mut self, to: ConversationId, id: MessageId, saying: Saying) {
        *self.numbers.entry(to).or_default() += 1;
        let own = self.own.entry(to).or_default();
        match saying {
            Saying::Text | Saying::Stream => drop(self.open.insert(id, saying == Saying::Stream)),
            // What is taken back is left alone: others' devices try what must be refused often enough.
            Saying::Recall(seq) => own.retain(|own| own.seq != seq),
            Saying::Finish(seq) => own.iter_mut().filter(|own| own.seq == seq).for_each(|own| own.grows = false),
            Saying::Edit(_) | Saying::Append(_) | Saying::React(..) => {}
        }
    }

    /// It has its place.
    pub(super) fn sent(&mut self, to: ConversationId, id: MessageId, seq: Seq) {
        let Some(is_stream) = self.open.remove(&id) else { return };
        let own = self.own.entry(to).or_default();
        own.push_back(Own { seq, is_stream, grows: is_stream });
        if own.len() > OWN_MAX {
            own.pop_front();
        }
    }

    /// It has none and will have none.
    pub(super) fn refused(&mut self, id: MessageId) {
        self.open.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_client::{DeviceId, MessageKind, UserId};

    use super::super::super::ledger::Said;
    use super::*;

    fn row(seq: u64, kind: MessageKind) -> Seen {
        Seen {
            seq: Seq(seq),
            message_id: MessageId::generate(),
            sender: UserId(2),
            device: DeviceId::generate(),
            kind,
            key_version: 1,
            target: None,
            at: 0,
            said: Said::Nothing,
        }
    }

    #[test]
    fn everything_is_said_and_done_and_only_to_what_it_fits() {
        let (mut talk, to, mut dice) = (Talk::default(), ConversationId::generate(), Dice::new(1, 1));
        for (seq, saying) in [(1, Saying::Text), (2, Saying::Stream), (3, Saying::Text)] {
            let id = MessageId::generate();
            talk.drafted(to, id, saying);
            talk.sent(to, id, Seq(seq));
        }
        assert_eq!(talk.next_number(to), 4);
        let shown = [row(4, MessageKind::TEXT), row(5, MessageKind::REACTION)];
        let mut seen = std::collections::HashSet::new();
        for _ in 0..2000 {
            let saying = talk.choose(to, &shown, true, &mut dice);
            seen.insert(std::mem::discriminant(&saying));
            let fits: &[u64] = match saying {
                Saying::Text | Saying::Stream => &[],
                Saying::Edit(_) => &[1, 3],
                Saying::Append(_) | Saying::Finish(_) => &[2],
                Saying::React(..) => &[4],
                Saying::Recall(_) => &[1, 2, 3, 4],
            };
            assert!(saying.target().is_none_or(|seq| fits.contains(&seq.0)), "{saying:?}");
        }
        assert_eq!(seen.len(), 7);
        talk.drafted(to, MessageId::generate(), Saying::Finish(Seq(2)));
        talk.drafted(to, MessageId::generate(), Saying::Recall(Seq(1)));
        for _ in 0..2000 {
            let saying = talk.choose(to, &[], false, &mut dice);
            assert!(!matches!(saying, Saying::Append(_) | Saying::Finish(_)), "it has ended");
            assert_ne!(saying.target(), Some(Seq(1)), "it was taken back");
        }
    }
}
