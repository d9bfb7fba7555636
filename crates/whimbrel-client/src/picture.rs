//! What a person sees of a conversation: its rows, folded.
//!
//! Each message of a person, and each row that tells of a change of a group, is an item. Rows about an earlier message are
//! none; they change its item: other content, reactions, more of a stream, or nothing left of it. The fold looks at rows
//! in the order of their places and at nothing else, so a device that heard each row as it was placed sees what one sees
//! that got all of them at once, also where a server (or this device's store) has emptied the bodies of what was taken
//! back meanwhile.
//!
//! What the server checked is checked here again where it can be: nobody edits what another has said.

use std::collections::BTreeMap;

use whimbrel_core::{ConversationId, DeviceId, MessageId, MessageKind, Seq, UserId};

use crate::content::{Content, FollowUp, Origin, Quote};
use crate::engine::user_in;
use crate::message::StoredMessage;

/// A message as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pictured {
    /// Where it stands.
    pub conversation: ConversationId,
    /// Its place.
    pub seq: Seq,
    /// Who said it.
    pub sender: UserId,
    /// On which device.
    pub device: DeviceId,
    /// The sender's name for it.
    pub message_id: MessageId,
    /// What it was said as.
    pub kind: MessageKind,
    /// When, milliseconds since 1970.
    pub at: u64,
    /// What it says now: [`Content::Gone`] when nothing is left of it, [`Content::Text`] of what has come of a stream,
    /// [`Content::System`] for a change of the group.
    pub content: Content,
    /// What it answers.
    pub quote: Option<Quote>,
    /// Who is called by it.
    pub mentions: Vec<UserId>,
    /// Where it was said first.
    pub origin: Option<Origin>,
    /// What it said before, the oldest first. Empty: it was not edited.
    pub edits: Vec<Earlier>,
    /// Reactions, in the order in which each was first given by those who still do.
    pub reactions: Vec<Reacted>,
    /// A stream that still grows.
    pub grows: bool,
    /// Nothing is left of it.
    pub gone: Option<Gone>,
}

/// What a message said before it was edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The place of the row that said it: the message's own, or an edit's.
    pub seq: Seq,
    /// Since when, milliseconds since 1970.
    pub at: u64,
    /// What.
    pub content: Content,
}

/// A reaction, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reacted {
    /// Such as "👍".
    pub emoji: String,
    /// Who, in the order in which they did.
    pub users: Vec<UserId>,
}

/// Why nothing is left of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// Who took it back, or whose everything was erased; `None` while the row that says so is not on this device.
    pub by: Option<UserId>,
    /// When, milliseconds since 1970; 0 while it is not known.
    pub at: u64,
    /// Its time was over.
    pub vanished: bool,
}

/// Items by their places, and what rows make of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Picture {
    items: BTreeMap<Seq, Pictured>,
    /// The place of what each item says now.
    said_by: BTreeMap<Seq, (Seq, u64)>,
    /// What each item's reactions are made of, in the order of their rows.
    given: BTreeMap<Seq, Vec<(String, UserId)>>,
}

impl Picture {
    /// The fold of these rows, which are in the order of their places.
    pub fn of(rows: impl IntoIterator<Item = StoredMessage>) -> Self {
        let mut picture = Self::default();
        for row in rows {
            picture.apply(row);
        }
        picture
    }

    /// The items in their order.
    pub fn items(&self) -> impl Iterator<Item = &Pictured> {
        self.items.values()
    }

    /// The items in their order.
    pub fn into_items(self) -> Vec<Pictured> {
        self.items.into_values().collect()
    }

    /// The next row. Gives the place of the item that is there or another with it; a row by which all that a user said is
    /// gone changes any number of them, and gives none.
    pub fn apply(&mut self, row: StoredMessage) -> Option<Seq> {
        if let Content::System { kind: MessageKind::ERASED, json } = &row.content {
            user_in(json).into_iter().for_each(|user| self.erase(user, row.seq, row.at));
            return None;
        }
        if let Content::FollowUp { target, what } = &row.content {
            let target = *target;
            return self.follow(target, what.clone(), &row).then_some(target);
        }
        if !is_item(row.kind) {
            return None;
        }
        let (seq, at) = (row.seq, row.at);
        self.said_by.insert(seq, (seq, at));
        self.items.insert(seq, Pictured::of(row));
        Some(seq)
    }

    /// Whether it changed anything.
    fn follow(&mut self, target: Seq, what: FollowUp, row: &StoredMessage) -> bool {
        let Some(item) = self.items.get_mut(&target) else { return false };
        if item.gone.is_some_and(|gone| gone.by.is_some()) || !item.takes(&what) {
            return false;
        }
        let is_gone = item.gone.is_some();
        let is_own = item.sender == row.sender;
        match what {
            FollowUp::Recall | FollowUp::Vanish => {
                let vanished = what == FollowUp::Vanish;
                item.empty(Gone { by: Some(row.sender), at: row.at, vanished });
                self.said_by.insert(target, (target, item.at));
                self.given.remove(&target);
            }
            _ if is_gone => return false,
            FollowUp::Edit(content) if is_own => {
                let (seq, at) = self.said_by.insert(target, (row.seq, row.at)).unwrap_or((target, item.at));
                let content = std::mem::replace(&mut item.content, *content);
                item.edits.push(Earlier { seq, at, content });
                (item.quote, item.mentions) = (row.quote.clone(), row.mentions.clone());
            }
            FollowUp::Append(more) if is_own && item.grows => {
                if let Content::Text(text) = &mut item.content {
                    text.push_str(&more);
                }
            }
            FollowUp::Finish(whole) if is_own && item.grows => {
                item.content = Content::Text(whole);
                item.grows = false;
            }
            FollowUp::React { emoji, removed } => {
                let given = self.given.entry(target).or_default();
                let reaction = (emoji, row.sender);
                match (given.iter().position(|known| *known == reaction), removed) {
                    (None, false) => given.push(reaction),
                    (Some(place), true) => drop(given.remove(place)),
                    _ => return false,
                }
                item.reactions = reactions(given);
            }
            _ => return false,
        }
        true
    }

    /// Of what a user said before a place nothing is left, nor of their reactions.
    fn erase(&mut self, user: UserId, before: Seq, at: u64) {
        for (seq, item) in self.items.range_mut(..before) {
            let is_theirs = item.sender == user && item.kind.is_countable();
            if is_theirs && item.gone.is_none_or(|gone| gone.by.is_none()) {
                item.empty(Gone { by: Some(user), at, vanished: false });
                self.said_by.insert(*seq, (*seq, item.at));
                self.given.remove(seq);
            } else if let Some(given) = self.given.get_mut(seq) {
                given.retain(|(_, by)| *by != user);
                item.reactions = reactions(given);
            }
        }
    }
}

/// The same by emoji.
fn reactions(given: &[(String, UserId)]) -> Vec<Reacted> {
    let mut reactions: Vec<Reacted> = Vec::new();
    for (emoji, user) in given {
        match reactions.iter_mut().find(|reaction| reaction.emoji == *emoji) {
            Some(reaction) => reaction.users.push(*user),
            None => reactions.push(Reacted { emoji: emoji.clone(), users: vec![*user] }),
        }
    }
    reactions
}

/// Whether rows of this kind are seen as such.
pub(crate) fn is_item(kind: MessageKind) -> bool {
    kind.is_countable() || kind == MessageKind::GROUP
}

impl Pictured {
    fn of(row: StoredMessage) -> Self {
        let StoredMessage { conversation, seq, sender, device, message_id, kind, at, .. } = row;
        let gone =
            (row.content == Content::Gone).then_some(Gone { by: None, at: 0, vanished: kind == MessageKind::FLEETING });
        let grows = matches!(row.content, Content::Stream(_));
        let content = match row.content {
            Content::Stream(text) => Content::Text(text),
            content => content,
        };
        Self {
            conversation,
            seq,
            sender,
            device,
            message_id,
            kind,
            at,
            content,
            quote: row.quote,
            mentions: row.mentions,
            origin: row.origin,
            edits: Vec::new(),
            reactions: Vec::new(),
            grows,
            gone,
        }
    }

    /// Whether this can be done to a message of its kind.
    fn takes(&self, what: &FollowUp) -> bool {
        let fixed = [MessageKind::STREAM, MessageKind::FLEETING, MessageKind::MERGED];
        match what {
            FollowUp::Edit(_) => self.kind.is_countable() && !fixed.contains(&self.kind),
            FollowUp::Append(_) | FollowUp::Finish(_) => self.kind == MessageKind::STREAM,
            FollowUp::Vanish => self.kind == MessageKind::FLEETING,
            FollowUp::Recall | FollowUp::React { .. } => self.kind.is_countable(),
            FollowUp::Gone | FollowUp::Unknown { .. } | FollowUp::Sealed { .. } => false,
        }
    }

    /// Takes everything that it said away.
    pub(crate) fn empty(&mut self, gone: Gone) {
        self.content = Content::Gone;
        (self.quote, self.origin) = (None, None);
        self.mentions.clear();
        self.edits.clear();
        self.reactions.clear();
        self.grows = false;
        self.gone = Some(gone);
    }
}

#[cfg(test)]
mod tests;
