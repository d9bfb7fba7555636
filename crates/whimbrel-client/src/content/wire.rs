//! From content to the body that is sealed, and back. What a later version says passes through as unknown.

use bytes::Bytes;
use prost::Message as _;
use whimbrel_core::{ConversationId, FileId, MessageId, MessageKind, Seq, UserId};
use whimbrel_wire::proto::{self, body};
use whimbrel_wire::seal;

use super::attachment::Attachment;
use super::{CardOf, Content, EMOJI_MAX, EXCERPT_MAX, FollowUp, Location, MergedMessage, Origin, Outgoing, Quote};
use crate::error::Error;

/// What is to be sealed: the kind, what stands readable before it, and the plain body (empty for those that take back).
pub(crate) struct Plain {
    pub(crate) kind: MessageKind,
    pub(crate) before: Before,
    pub(crate) body: Vec<u8>,
}

/// What stands readable before what is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    /// The message that a follow-up is about.
    Target(Seq),
    /// What it comes with.
    File(FileId),
}

impl Before {
    /// What stands before the rest of this body.
    pub(crate) fn of(kind: MessageKind, body: &[u8]) -> Self {
        let target = kind.target(body).map(Self::Target);
        target.or_else(|| kind.file(body).map(Self::File)).unwrap_or(Self::Nothing)
    }

    /// The body with this before its rest.
    pub(crate) fn with(self, rest: Bytes) -> Bytes {
        match self {
            Self::Nothing => rest,
            Self::Target(target) => seal::about(target, &rest),
            Self::File(file) => seal::with_file(file, &rest),
        }
    }
}

/// An opened body: what it says, and what stands around that.
pub(crate) struct Parts {
    pub(crate) content: Content,
    pub(crate) quote: Option<Quote>,
    pub(crate) mentions: Vec<UserId>,
    pub(crate) origin: Option<Origin>,
}

impl From<Content> for Parts {
    fn from(content: Content) -> Self {
        Self { content, quote: None, mentions: Vec::new(), origin: None }
    }
}

/// The plain body of something that is to be sent.
///
/// # Errors
/// [`Error::NotSendable`] for what only servers make, and for a reaction that is too long.
pub(crate) fn plain(outgoing: Outgoing) -> Result<Plain, Error> {
    let Outgoing { content, quote, mentions, origin } = outgoing;
    let (kind, before, content) = match content {
        Content::FollowUp { target, what } => {
            let (kind, content) = follow_up(what)?;
            (kind, Before::Target(target), content)
        }
        Content::Attachment(attachment) => {
            let content = body::Content::Attachment(attachment.to_wire());
            (attachment.kind.message_kind(), Before::File(attachment.file), Some(content))
        }
        content => {
            let (kind, content) = said(content)?;
            (kind, Before::Nothing, Some(content))
        }
    };
    if kind.takes_back() {
        return Ok(Plain { kind, before, body: Vec::new() });
    }
    let body = proto::Body {
        content,
        quote: quote.map(|quote| proto::Quote {
            seq: quote.seq.0,
            message_id: Bytes::copy_from_slice(quote.message_id.as_bytes()),
            sender: quote.sender.0,
            excerpt: quote.excerpt.chars().take(EXCERPT_MAX).collect(),
        }),
        mentions: mentions.into_iter().map(|user| user.0).collect(),
        origin: origin.map(|Origin { sender, sender_name }| proto::Origin { sender: sender.0, sender_name }),
    };
    Ok(Plain { kind, before, body: body.encode_to_vec() })
}

fn text(text: String) -> proto::Text {
    proto::Text { text }
}

fn follow_up(what: FollowUp) -> Result<(MessageKind, Option<body::Content>), Error> {
    Ok(match what {
        FollowUp::Edit(content) => (MessageKind::EDIT, Some(said(*content)?.1)),
        FollowUp::Recall => (MessageKind::RECALL, None),
        FollowUp::React { emoji, .. } if emoji.is_empty() || emoji.len() > EMOJI_MAX => return Err(Error::NotSendable),
        FollowUp::React { emoji, removed } => {
            (MessageKind::REACTION, Some(body::Content::Reaction(proto::Reaction { emoji, removed })))
        }
        FollowUp::Append(more) => (MessageKind::APPEND, Some(body::Content::Text(text(more)))),
        FollowUp::Finish(whole) => (MessageKind::FINISH, Some(body::Content::Text(text(whole)))),
        FollowUp::Vanish => (MessageKind::VANISH, None),
        FollowUp::Gone | FollowUp::Unknown { .. } | FollowUp::Sealed { .. } => return Err(Error::NotSendable),
    })
}

fn said(content: Content) -> Result<(MessageKind, body::Content), Error> {
    Ok(match content {
        Content::Text(said) => (MessageKind::TEXT, body::Content::Text(text(said))),
        Content::Custom { content_type, data, fallback } => {
            (MessageKind::CUSTOM, body::Content::Custom(proto::Custom { content_type, data, fallback }))
        }
        Content::Location(Location { latitude, longitude, name, address }) => {
            let location = proto::Location { latitude, longitude, name, address };
            (MessageKind::LOCATION, body::Content::Location(location))
        }
        Content::Card { of, name } => {
            let (user, group) = match of {
                CardOf::User(user) => (user.0, Bytes::new()),
                CardOf::Group(group) => (0, Bytes::copy_from_slice(group.as_bytes())),
            };
            (MessageKind::CARD, body::Content::Card(proto::Card { user, group, name }))
        }
        Content::Link { url, title, description, image } => {
            (MessageKind::LINK, body::Content::Link(proto::Link { url, title, description, image }))
        }
        Content::Sticker { pack, name, fallback } => {
            (MessageKind::STICKER, body::Content::Sticker(proto::Sticker { pack, name, fallback }))
        }
        Content::File { name, content_type, size, id } => {
            (MessageKind::FILE, body::Content::File(proto::File { name, content_type, size, id }))
        }
        Content::Merged { title, messages } => {
            let messages = messages.into_iter().map(to_merged).collect::<Result<_, _>>()?;
            (MessageKind::MERGED, body::Content::Merged(proto::Merged { title, messages }))
        }
        Content::Call(said) => (MessageKind::CALL, body::Content::Text(text(said))),
        Content::Fleeting { after_ms, once_read, content } => {
            let body = Some(Box::new(around(said(*content)?.1)));
            let fleeting = proto::Fleeting { after_ms, once_read, body };
            (MessageKind::FLEETING, body::Content::Fleeting(Box::new(fleeting)))
        }
        Content::Stream(said) => (MessageKind::STREAM, body::Content::Stream(text(said))),
        // A file is said by itself: what stands in another message has nobody who may read it.
        Content::Attachment(_)
        | Content::FollowUp { .. }
        | Content::Gone
        | Content::Unknown { .. }
        | Content::Sealed
        | Content::System { .. } => return Err(Error::NotSendable),
    })
}

fn around(content: body::Content) -> proto::Body {
    proto::Body { content: Some(content), ..proto::Body::default() }
}

fn to_merged(message: MergedMessage) -> Result<proto::MergedMessage, Error> {
    let MergedMessage { sender, sender_name, at, kind, content } = message;
    let body = Some(around(said(content)?.1));
    Ok(proto::MergedMessage { sender: sender.0, sender_name, at_ms: at, kind: kind.0, body })
}

/// What an opened body says. `before`: what stands before it.
pub(crate) fn parts(kind: MessageKind, before: Before, plain: Bytes) -> Parts {
    let Ok(body) = proto::Body::decode(plain.clone()) else { return unknown(kind, before, plain).into() };
    let proto::Body { content, quote, mentions, origin } = body;
    let content = match before {
        Before::Target(target) => Content::FollowUp { target, what: read_follow_up(kind, content, plain) },
        Before::File(file) => read_attachment(kind, file, content, plain),
        Before::Nothing => read(kind, content, plain),
    };
    Parts {
        content,
        quote: quote.and_then(read_quote),
        mentions: mentions.into_iter().map(UserId).collect(),
        origin: origin.map(|o| Origin { sender: UserId(o.sender), sender_name: o.sender_name }),
    }
}

fn unknown(kind: MessageKind, before: Before, data: Bytes) -> Content {
    match before {
        Before::Target(target) => Content::FollowUp { target, what: FollowUp::Unknown { kind, data } },
        Before::File(_) | Before::Nothing => Content::Unknown { kind, data },
    }
}

fn read_attachment(kind: MessageKind, file: FileId, content: Option<body::Content>, data: Bytes) -> Content {
    let attachment = match content {
        Some(body::Content::Attachment(attachment)) => Attachment::from_wire(kind, file, attachment),
        _ => None,
    };
    attachment.map_or(Content::Unknown { kind, data }, |attachment| Content::Attachment(Box::new(attachment)))
}

fn read_quote(quote: proto::Quote) -> Option<Quote> {
    let proto::Quote { seq, message_id, sender, excerpt } = quote;
    Some(Quote { seq: Seq(seq), message_id: MessageId::from_slice(&message_id)?, sender: UserId(sender), excerpt })
}

fn read_follow_up(kind: MessageKind, content: Option<body::Content>, data: Bytes) -> FollowUp {
    match (kind, content) {
        (MessageKind::EDIT, Some(content)) => FollowUp::Edit(Box::new(read(MessageKind::TEXT, Some(content), data))),
        (MessageKind::REACTION, Some(body::Content::Reaction(reaction))) => {
            FollowUp::React { emoji: reaction.emoji, removed: reaction.removed }
        }
        (MessageKind::APPEND, Some(body::Content::Text(more))) => FollowUp::Append(more.text),
        (MessageKind::FINISH, Some(body::Content::Text(whole))) => FollowUp::Finish(whole.text),
        (kind, _) => FollowUp::Unknown { kind, data },
    }
}

fn read(kind: MessageKind, content: Option<body::Content>, data: Bytes) -> Content {
    match content {
        Some(body::Content::Text(text)) if kind == MessageKind::CALL => Content::Call(text.text),
        Some(body::Content::Text(text)) => Content::Text(text.text),
        Some(body::Content::Custom(custom)) => {
            Content::Custom { content_type: custom.content_type, data: custom.data, fallback: custom.fallback }
        }
        Some(body::Content::Location(place)) => {
            let proto::Location { latitude, longitude, name, address } = place;
            Content::Location(Location { latitude, longitude, name, address })
        }
        Some(body::Content::Card(card)) => match (card.user, ConversationId::from_slice(&card.group)) {
            (0, Some(group)) => Content::Card { of: CardOf::Group(group), name: card.name },
            (0, None) => Content::Unknown { kind, data },
            (user, _) => Content::Card { of: CardOf::User(UserId(user)), name: card.name },
        },
        Some(body::Content::Link(link)) => {
            let proto::Link { url, title, description, image } = link;
            Content::Link { url, title, description, image }
        }
        Some(body::Content::Sticker(sticker)) => {
            Content::Sticker { pack: sticker.pack, name: sticker.name, fallback: sticker.fallback }
        }
        Some(body::Content::File(file)) => {
            let proto::File { name, content_type, size, id } = file;
            Content::File { name, content_type, size, id }
        }
        Some(body::Content::Merged(merged)) => {
            let messages = merged.messages.into_iter().map(read_merged).collect();
            Content::Merged { title: merged.title, messages }
        }
        Some(body::Content::Fleeting(fleeting)) => {
            let proto::Fleeting { after_ms, once_read, body } = *fleeting;
            let inner = body.and_then(|body| body.content);
            Content::Fleeting { after_ms, once_read, content: Box::new(read(MessageKind::TEXT, inner, Bytes::new())) }
        }
        Some(body::Content::Stream(text)) => Content::Stream(text.text),
        Some(body::Content::Reaction(_) | body::Content::Attachment(_)) | None => Content::Unknown { kind, data },
    }
}

fn read_merged(message: proto::MergedMessage) -> MergedMessage {
    let proto::MergedMessage { sender, sender_name, at_ms, kind, body } = message;
    let kind = MessageKind(kind);
    let content = read(kind, body.and_then(|body| body.content), Bytes::new());
    MergedMessage { sender: UserId(sender), sender_name, at: at_ms, kind, content }
}

#[cfg(test)]
mod tests {
    use whimbrel_wire::file_seal::FileKey;

    use super::*;
    use crate::content::{AttachmentKind, Thumbnail};

    fn again(outgoing: Outgoing) -> Outgoing {
        let Plain { kind, before, body } = plain(outgoing).expect("it can be sent");
        assert_eq!(Before::of(kind, &before.with(b"rest".as_slice().into())), before);
        let Parts { content, quote, mentions, origin } = parts(kind, before, body.into());
        Outgoing { content, quote, mentions, origin }
    }

    fn attachment() -> Attachment {
        Attachment {
            file: FileId::from_bytes([9; 16]),
            kind: AttachmentKind::Voice,
            name: "hello.ogg".into(),
            content_type: "audio/ogg".into(),
            size: 1 << 40,
            sha256: [8; 32],
            key: Some(FileKey::from_bytes([7; 32])),
            chunk_size: 65_536,
            dimensions: (3, 4),
            duration_ms: 1500,
            waveform: Bytes::from_static(&[1, 255]),
            thumbnail: Thumbnail { jpeg: Bytes::from_static(&[0xff, 0xd8]), blur_hash: "L".into() },
            caption: "Hello".into(),
        }
    }

    /// One without a hash, or with half a key, cannot be checked: it is shown as something unknown.
    #[test]
    fn an_attachment_that_cannot_be_checked_is_none() {
        let good = attachment().to_wire();
        let (kind, file) = (MessageKind::IMAGE, FileId::from_bytes([9; 16]));
        assert!(Attachment::from_wire(kind, file, good.clone()).is_some());
        for bad in [
            proto::Attachment { sha256: Bytes::new(), ..good.clone() },
            proto::Attachment { key: Bytes::from_static(&[7; 31]), ..good.clone() },
            proto::Attachment { chunk_size: 0, ..good.clone() },
        ] {
            assert!(Attachment::from_wire(kind, file, bad).is_none());
        }
        let long = proto::Attachment { thumbnail: vec![0; 16 * 1024 + 1].into(), ..good };
        assert!(Attachment::from_wire(kind, file, long).expect("good").thumbnail.jpeg.is_empty());
    }

    #[test]
    fn what_is_sent_is_what_is_read() {
        let text = |text: &str| Content::Text(text.into());
        let place = Location { latitude: 52.52, longitude: -13.4, name: "B".into(), address: "A".into() };
        let merged = MergedMessage {
            sender: UserId(2),
            sender_name: "Bob".into(),
            at: 7,
            kind: MessageKind::TEXT,
            content: text("hi"),
        };
        let (url, title) = ("https://example.org".into(), "T".into());
        let said = [
            text("hello"),
            Content::Custom { content_type: "a/b".into(), data: Bytes::from_static(&[1]), fallback: "f".into() },
            Content::Location(place),
            Content::Card { of: CardOf::User(UserId(9)), name: "N".into() },
            Content::Card { of: CardOf::Group(ConversationId::from_bytes([3; 16])), name: "G".into() },
            Content::Link { url, title, description: "D".into(), image: String::new() },
            Content::Sticker { pack: "p".into(), name: "s".into(), fallback: "👋".into() },
            Content::Attachment(Box::new(attachment())),
            Content::File { name: "f".into(), content_type: "a/b".into(), size: 1 << 40, id: "x".into() },
            Content::Merged { title: "M".into(), messages: vec![merged] },
            Content::Call("all!".into()),
            Content::Fleeting { after_ms: 5, once_read: true, content: Box::new(text("psst")) },
            Content::Stream("gr".into()),
            Content::FollowUp { target: Seq(4), what: FollowUp::Edit(Box::new(text("better"))) },
            Content::FollowUp { target: Seq(4), what: FollowUp::React { emoji: "👍".into(), removed: true } },
            Content::FollowUp { target: Seq(4), what: FollowUp::Append("ow".into()) },
            Content::FollowUp { target: Seq(4), what: FollowUp::Finish("grow".into()) },
        ];
        for content in said {
            assert_eq!(again(content.clone().into()), content.into());
        }
        let quote =
            Quote { seq: Seq(2), message_id: MessageId::from_bytes([8; 16]), sender: UserId(2), excerpt: "e".into() };
        let around = Outgoing { quote: Some(quote), ..Outgoing::text("yes") }
            .mentioning([UserId(2), UserId(u64::MAX)])
            .said_by(UserId(3), "Carol");
        assert_eq!(again(around.clone()), around);
    }

    #[test]
    fn what_takes_back_says_nothing_else() {
        for what in [FollowUp::Recall, FollowUp::Vanish] {
            let plain = plain(Outgoing::about(Seq(4), what)).expect("it can be sent");
            assert_eq!((plain.before, plain.body), (Before::Target(Seq(4)), vec![]));
        }
    }

    #[test]
    fn what_a_later_version_says_is_shown_as_unknown() {
        // Field 19, which no variant of this version has.
        let data = Bytes::from_static(&[0x9a, 0x01, 0]);
        let kind = MessageKind(77);
        assert_eq!(parts(kind, Before::Nothing, data.clone()).content, Content::Unknown { kind, data: data.clone() });
        let what = FollowUp::Unknown { kind: MessageKind(777), data: data.clone() };
        let later = parts(MessageKind(777), Before::Target(Seq(1)), data.clone());
        assert_eq!(later.content, Content::FollowUp { target: Seq(1), what });
        let file = Before::File(FileId::from_bytes([1; 16]));
        let kind = MessageKind(177);
        assert_eq!(parts(kind, file, data.clone()).content, Content::Unknown { kind, data });
    }

    #[test]
    fn a_reaction_is_short_and_what_servers_say_is_not_sent() {
        let long = FollowUp::React { emoji: "x".repeat(EMOJI_MAX + 1), removed: false };
        for content in [Content::FollowUp { target: Seq(1), what: long }, Content::Sealed, Content::Gone] {
            assert!(matches!(plain(content.into()), Err(Error::NotSendable)));
        }
    }
}
