//! What a message says, from its readable body; and what a row does to the text of the message that it is, or that it is
//! about. What cannot be read says nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use whimbrel_core::limits::SEARCH_TEXT_MAX;
use whimbrel_core::{ConversationId, Message, MessageKind, Seq, UserId};

use self::proto::body::Content;

#[allow(dead_code, missing_docs, unreachable_pub, clippy::all, reason = "generated; the store needs a part of it")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/whimbrel.client.v1.rs"));
}

/// Messages within one another (merged, fleeting) are read so deep.
const DEPTH: usize = 4;

/// What a plain body says: its words, the parts one below the other; empty if there are none. What it answers is not among
/// them.
fn said(body: &[u8]) -> String {
    let mut text = String::new();
    if let Ok(body) = proto::Body::decode(body) {
        push_body(&mut text, body, DEPTH);
    }
    cut(text)
}

fn push_body(text: &mut String, body: proto::Body, depth: usize) {
    let Some(content) = body.content.filter(|_| depth > 0) else { return };
    match content {
        Content::Text(said) | Content::Stream(said) => push(text, [said.text]),
        Content::Custom(custom) => push(text, [custom.fallback]),
        Content::Location(place) => push(text, [place.name, place.address]),
        Content::Card(card) => push(text, [card.name]),
        Content::Link(link) => push(text, [link.title, link.description, link.url]),
        Content::Sticker(sticker) => push(text, [sticker.fallback]),
        Content::File(file) => push(text, [file.name]),
        Content::Attachment(file) => push(text, [file.caption, file.name]),
        Content::Merged(merged) => {
            push(text, [merged.title]);
            for body in merged.messages.into_iter().filter_map(|message| message.body) {
                push_body(text, body, depth - 1);
            }
        }
        Content::Fleeting(fleeting) => {
            if let Some(body) = fleeting.body {
                push_body(text, *body, depth - 1);
            }
        }
        Content::Reaction(_) => {}
    }
}

fn push<const N: usize>(text: &mut String, parts: [String; N]) {
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(part);
    }
}

/// No more than an index keeps.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(SEARCH_TEXT_MAX));
    text
}

/// What becomes of the text of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// The message is new, and says this.
    Put { sender: UserId, kind: MessageKind, at: u64, text: String },
    /// It says this now.
    Replace(String),
    /// It says this besides.
    Append(String),
    /// Nothing is left of it.
    Drop,
}

impl Deed {
    /// What a row does, and to which message's text.
    fn of(message: &Message) -> Option<(Seq, Self)> {
        let Message { seq, sender, kind, at, ref body, key_version, .. } = *message;
        let target = kind.target(body);
        if key_version > 0 || kind.takes_back() {
            // A sealed edit leaves nothing readable of what it replaces.
            let drops = kind.takes_back() || kind == MessageKind::EDIT;
            return target.filter(|_| drops).map(|target| (target, Self::Drop));
        }
        match (target, kind) {
            (None, kind) if kind.is_countable() => {
                let text = said(body.get(kind.open_len()..)?);
                Some((seq, Self::Put { sender, kind, at, text })).filter(|(_, deed)| !deed.is_idle())
            }
            (Some(target), kind) if kind.adds_content() => {
                let text = said(body.get(kind.open_len()..)?);
                let deed = if kind == MessageKind::APPEND { Self::Append(text) } else { Self::Replace(text) };
                Some((target, deed)).filter(|(_, deed)| !deed.is_idle())
            }
            _ => None,
        }
    }

    fn is_idle(&self) -> bool {
        matches!(self, Self::Put { text, .. } | Self::Append(text) if text.is_empty())
    }

    /// This one, and another after it.
    fn and(self, then: Self) -> Self {
        match (self, then) {
            (Self::Drop, _) | (_, Self::Drop) => Self::Drop,
            (Self::Put { sender, kind, at, .. }, Self::Replace(text)) => Self::Put { sender, kind, at, text },
            (Self::Put { sender, kind, at, text }, Self::Append(more)) => {
                Self::Put { sender, kind, at, text: cut(text + &more) }
            }
            (Self::Replace(text), Self::Append(more)) => Self::Replace(cut(text + &more)),
            (Self::Append(text), Self::Append(more)) => Self::Append(cut(text + &more)),
            (_, then @ (Self::Replace(_) | Self::Put { .. })) => then,
        }
    }
}

/// What rows that are placed together do, by the messages whose texts they are about.
pub(crate) fn deeds<'a>(rows: impl IntoIterator<Item = &'a Message>) -> BTreeMap<(ConversationId, Seq), Deed> {
    let mut deeds = BTreeMap::new();
    for row in rows {
        let Some((seq, deed)) = Deed::of(row) else { continue };
        let place = (row.conversation, seq);
        let deed = match deeds.remove(&place) {
            Some(before) => Deed::and(before, deed),
            None => deed,
        };
        deeds.insert(place, deed);
    }
    deeds
}

/// A text with more behind it.
pub(crate) fn extended(text: String, more: &str) -> String {
    cut(text + more)
}

/// A row of a timeline, as far as its text depends on it.
pub(crate) struct Row {
    pub(crate) kind: MessageKind,
    pub(crate) key_version: u32,
    pub(crate) body: Bytes,
}

/// What a message says now, from its row and its follow-ups in their order; `None`: nothing that can be read.
pub(crate) fn whole(row: &Row, follow_ups: &[Row]) -> Option<String> {
    let plain = |row: &Row| said(row.body.get(row.kind.open_len()..).unwrap_or_default());
    if row.key_version > 0 || !row.kind.is_countable() || row.body.is_empty() {
        return None;
    }
    let mut text = plain(row);
    for row in follow_ups.iter().filter(|row| row.body.len() > row.kind.open_len()) {
        match (row.key_version, row.kind) {
            (0, MessageKind::APPEND) => text = extended(text, &plain(row)),
            (0, MessageKind::EDIT | MessageKind::FINISH) => text = plain(row),
            (_, MessageKind::EDIT) => text.clear(),
            _ => {}
        }
    }
    Some(text).filter(|text| !text.is_empty())
}

/// Bodies, for the cases.
#[cfg(any(test, feature = "conformance"))]
pub(crate) mod bodies {
    use super::*;

    fn body(content: Content) -> proto::Body {
        proto::Body { content: Some(content), ..proto::Body::default() }
    }

    /// A readable body that says this.
    pub(crate) fn text(text: &str) -> Vec<u8> {
        body(Content::Text(proto::Text { text: text.into() })).encode_to_vec()
    }

    /// The beginning of a stream.
    pub(crate) fn stream(text: &str) -> Vec<u8> {
        body(Content::Stream(proto::Text { text: text.into() })).encode_to_vec()
    }

    /// Behind its file's id, a name and a caption.
    pub(crate) fn attachment(name: &str, caption: &str) -> Vec<u8> {
        let file = proto::Attachment { name: name.into(), caption: caption.into(), ..proto::Attachment::default() };
        [&[9; 16][..], &body(Content::Attachment(file)).encode_to_vec()].concat()
    }

    /// Everything else that says something, with what it says.
    #[cfg(test)]
    pub(super) fn others() -> Vec<(u32, Vec<u8>, &'static str)> {
        let inner = || Some(Box::new(body(Content::Text(proto::Text { text: "psst".into() }))));
        let quote = proto::Quote { excerpt: "not this".into(), ..proto::Quote::default() };
        let answer = proto::Body { quote: Some(quote), ..body(Content::Text(proto::Text { text: "yes".into() })) };
        let merged = |text: &str| {
            let body = body(Content::Text(proto::Text { text: text.into() }));
            proto::MergedMessage { body: Some(body), ..proto::MergedMessage::default() }
        };
        let custom = proto::Custom {
            content_type: "a/b".into(),
            data: Bytes::from_static(b"hidden"),
            fallback: "A poll".into(),
        };
        let place = proto::Location { name: "Pier".into(), address: "1 Sea Rd".into(), ..proto::Location::default() };
        let link = proto::Link {
            url: "https://x.example/".into(),
            title: "Owls".into(),
            description: "At night".into(),
            image: "i".into(),
        };
        let sticker = proto::Sticker { pack: "p".into(), name: "n".into(), fallback: "😀".into() };
        let file = proto::File { name: "plan.pdf".into(), ..proto::File::default() };
        let together = proto::Merged { title: "Chat".into(), messages: vec![merged("one"), merged("two")] };
        let fleeting = proto::Fleeting { body: inner(), ..proto::Fleeting::default() };
        [
            (1, answer, "yes"),
            (2, body(Content::Custom(custom)), "A poll"),
            (3, body(Content::Location(place)), "Pier\n1 Sea Rd"),
            (4, body(Content::Card(proto::Card { name: "Bob".into(), ..proto::Card::default() })), "Bob"),
            (5, body(Content::Link(link)), "Owls\nAt night\nhttps://x.example/"),
            (6, body(Content::Sticker(sticker)), "😀"),
            (7, body(Content::File(file)), "plan.pdf"),
            (8, body(Content::Merged(together)), "Chat\none\ntwo"),
            (10, body(Content::Fleeting(Box::new(fleeting))), "psst"),
        ]
        .map(|(kind, body, says)| (kind, body.encode_to_vec(), says))
        .into()
    }
}

#[cfg(test)]
mod tests;
