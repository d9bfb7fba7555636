//! `vectors/sealing.json`.

use bytes::Bytes;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use whimbrel_core::{ConversationId, Draft, MessageId, MessageKind, Seq, UserId};

use super::{decimal, golden, hex};
use crate::proto::{self, Body, Custom, Text, body::Content};
use crate::seal::{self, ConversationKey, OpenError, SealContext};

#[derive(Serialize, Deserialize)]
struct File {
    about: String,
    opens: Vec<Sealed>,
    does_not_open: Vec<Sealed>,
    /// Bodies about an earlier message.
    follow_ups: Vec<FollowUp>,
}

#[derive(Serialize, Deserialize)]
struct FollowUp {
    /// The seq that the body begins with.
    #[serde(with = "decimal")]
    target: u64,
    /// As for other bodies; `body` is the seq, and the sealed rest if there is one.
    sealed: Sealed,
}

#[derive(Serialize, Deserialize, Clone)]
struct Sealed {
    name: String,
    about: String,
    #[serde(with = "hex")]
    key: Bytes,
    #[serde(with = "hex")]
    conversation_id: Bytes,
    #[serde(with = "decimal")]
    sender: u64,
    #[serde(with = "hex")]
    message_id: Bytes,
    kind: u32,
    key_version: u32,
    /// The context, as it goes into the cipher.
    #[serde(with = "hex")]
    associated_data: Bytes,
    #[serde(with = "hex")]
    nonce: Bytes,
    /// The serialized Body; empty where it does not open.
    #[serde(with = "hex")]
    plain: Bytes,
    /// What `plain` means.
    #[serde(default, skip_serializing_if = "super::is_default")]
    content: Option<Body>,
    /// What is sent and stored.
    #[serde(with = "hex")]
    body: Bytes,
    /// SHA-256 of `body`.
    #[serde(with = "hex")]
    hash: Bytes,
}

impl Sealed {
    fn key(&self) -> ConversationKey {
        ConversationKey::from_bytes(self.key.as_ref().try_into().expect("32 bytes"))
    }

    fn context(&self) -> SealContext {
        SealContext {
            conversation: ConversationId::from_slice(&self.conversation_id).expect("16 bytes"),
            sender: UserId(self.sender),
            message_id: MessageId::from_slice(&self.message_id).expect("16 bytes"),
            kind: MessageKind(self.kind),
            key_version: self.key_version,
        }
    }

    fn open(&self) -> Result<Bytes, OpenError> {
        seal::open(&self.key(), &self.context(), &self.body)
    }
}

/// The first vector's key: the bytes 0 to 31.
pub(super) fn key() -> ConversationKey {
    ConversationKey::from_bytes(std::array::from_fn(|i| i as u8))
}

pub(super) const CONTEXT: SealContext = SealContext {
    conversation: super::frames::CONVERSATION,
    sender: super::frames::ALICE,
    message_id: super::frames::MESSAGE,
    kind: MessageKind::TEXT,
    key_version: 1,
};

pub(super) const NONCE: [u8; 12] = [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab];

/// The Body of the first vector.
pub(super) fn hello_bob() -> Bytes {
    text("Hello, Bob!")
}

/// The body of the first vector, sealed.
pub(super) fn sealed_hello_bob() -> Bytes {
    seal::seal_with_nonce(&key(), &CONTEXT, NONCE, &hello_bob())
}

fn text(text: &str) -> Bytes {
    Body { content: Some(Content::Text(Text { text: text.into() })), ..Default::default() }.encode_to_vec().into()
}

fn sealed(
    name: &str,
    about: &str,
    key: &ConversationKey,
    context: SealContext,
    nonce: [u8; 12],
    plain: Bytes,
) -> Sealed {
    let body = seal::seal_with_nonce(key, &context, nonce, &plain);
    Sealed {
        name: name.into(),
        about: about.into(),
        key: Bytes::copy_from_slice(key.expose()),
        conversation_id: Bytes::copy_from_slice(context.conversation.as_bytes()),
        sender: context.sender.0,
        message_id: Bytes::copy_from_slice(context.message_id.as_bytes()),
        kind: context.kind.0,
        key_version: context.key_version,
        associated_data: Bytes::copy_from_slice(&context.associated_data()),
        nonce: Bytes::copy_from_slice(&nonce),
        content: Some(Body::decode(plain.clone()).expect("a Body")),
        plain,
        hash: Bytes::copy_from_slice(&seal::hash(&body)),
        body,
    }
}

fn opens() -> Vec<Sealed> {
    let custom = Custom {
        content_type: "application/vnd.example.poll+json".into(),
        data: Bytes::from_static(br#"{"q":"Lunch?"}"#),
        fallback: "A poll: Lunch?".into(),
    };
    let custom = Body { content: Some(Content::Custom(custom)), ..Default::default() }.encode_to_vec().into();
    let far = SealContext {
        conversation: ConversationId::from_bytes([0xff; 16]),
        sender: UserId(u64::MAX),
        message_id: MessageId::from_bytes([0xff; 16]),
        kind: MessageKind(999),
        key_version: u32::MAX,
    };
    let mut opens = vec![
        sealed("text", "A text: the body of the frames in frames.json.", &key(), CONTEXT, NONCE, hello_bob()),
        sealed("custom", "A custom body.", &key(), SealContext { kind: MessageKind::CUSTOM, ..CONTEXT }, NONCE, custom),
        sealed("text_unicode", "A text beyond ASCII.", &key(), CONTEXT, [0; 12], text("Grüße 👋")),
        sealed("empty", "An empty Body (no content): nonce and tag alone.", &key(), CONTEXT, [0xff; 12], Bytes::new()),
        sealed("far", "Every number at its largest.", &ConversationKey::from_bytes([0xff; 32]), far, NONCE, text("x")),
    ];
    opens.extend(said().into_iter().map(|(name, about, kind, body)| {
        sealed(name, about, &key(), SealContext { kind, ..CONTEXT }, NONCE, body.encode_to_vec().into())
    }));
    opens
}

/// A body of each kind that people say, besides the first two.
fn said() -> Vec<(&'static str, &'static str, MessageKind, Body)> {
    let of = |content| Body { content: Some(content), ..Default::default() };
    let hello = || of(Content::Text(Text { text: "Hello, Bob!".into() }));
    let location = proto::Location {
        latitude: 52.52,
        longitude: 13.405,
        name: "Berlin".into(),
        address: "Alexanderplatz 1".into(),
    };
    let card = proto::Card { user: 2, name: "Bob".into(), ..Default::default() };
    let group = Bytes::copy_from_slice(super::frames::CONVERSATION.as_bytes());
    let group = proto::Card { group, name: "Walkers".into(), ..Default::default() };
    let link = proto::Link {
        url: "https://example.org/".into(),
        title: "An example".into(),
        description: "Of a link".into(),
        image: "https://example.org/x.png".into(),
    };
    let sticker = proto::Sticker { pack: "cats".into(), name: "wave".into(), fallback: "👋".into() };
    let file =
        proto::File { name: "a.pdf".into(), content_type: "application/pdf".into(), size: 1 << 40, id: "f-1".into() };
    let messages = vec![proto::MergedMessage {
        sender: 2,
        sender_name: "Bob".into(),
        at_ms: 1_645_557_742_000,
        kind: 1,
        body: Some(hello()),
    }];
    let merged = proto::Merged { title: "Of yesterday".into(), messages };
    let fleeting = proto::Fleeting { after_ms: 10_000, once_read: true, body: Some(Box::new(hello())) };
    let quote = proto::Quote {
        seq: 2,
        message_id: Bytes::copy_from_slice(super::frames::MESSAGE.as_bytes()),
        sender: 1,
        excerpt: "Hello".into(),
    };
    let origin = proto::Origin { sender: 3, sender_name: "Carol".into() };
    let around = Body { quote: Some(quote), mentions: vec![2, u64::MAX], origin: Some(origin), ..hello() };
    vec![
        ("location", "A place.", MessageKind::LOCATION, of(Content::Location(location))),
        ("card", "A person.", MessageKind::CARD, of(Content::Card(card))),
        ("card_group", "A group.", MessageKind::CARD, of(Content::Card(group))),
        ("link", "A link.", MessageKind::LINK, of(Content::Link(link))),
        ("sticker", "A sticker.", MessageKind::STICKER, of(Content::Sticker(sticker))),
        ("file", "A file.", MessageKind::FILE, of(Content::File(file))),
        ("merged", "Messages of elsewhere.", MessageKind::MERGED, of(Content::Merged(merged))),
        ("call", "A text that calls everybody.", MessageKind::CALL, hello()),
        ("fleeting", "Gone 10 s after it was read.", MessageKind::FLEETING, of(Content::Fleeting(Box::new(fleeting)))),
        ("stream", "A text that grows.", MessageKind::STREAM, of(Content::Stream(Text { text: "Hel".into() }))),
        ("around", "A text that answers another, calls two users and was said elsewhere.", MessageKind::TEXT, around),
    ]
}

const EDIT: SealContext = SealContext { message_id: super::frames::LATER, kind: MessageKind::EDIT, ..CONTEXT };
const TARGET: Seq = Seq(2);

/// The vector `edit`, as a draft.
pub(super) fn edit_draft() -> Draft {
    let body = seal::about(TARGET, &seal::seal_with_nonce(&key(), &EDIT, NONCE, &text("Hello, Bobby!")));
    Draft { message_id: EDIT.message_id, kind: EDIT.kind, key_version: EDIT.key_version, body }
}

fn follow_ups() -> Vec<FollowUp> {
    let about = |name: &str, about: &str, kind, target: Seq, plain: Bytes| {
        let context = SealContext { kind, ..EDIT };
        let rest = sealed(name, about, &key(), context, NONCE, plain);
        let body = seal::about(target, &rest.body);
        FollowUp { target: target.0, sealed: Sealed { hash: Bytes::copy_from_slice(&seal::hash(&body)), body, ..rest } }
    };
    let back = |name: &str, about: &str, kind| {
        let context = SealContext { kind, ..EDIT };
        let rest = sealed(name, about, &key(), context, NONCE, Bytes::new());
        let body = seal::about(TARGET, &[]);
        let (nonce, hash) = (Bytes::new(), Bytes::copy_from_slice(&seal::hash(&body)));
        FollowUp { target: TARGET.0, sealed: Sealed { nonce, hash, body, content: None, ..rest } }
    };
    let reaction = |removed| {
        let reaction = proto::Reaction { emoji: "👍".into(), removed };
        Body { content: Some(Content::Reaction(reaction)), ..Default::default() }.encode_to_vec().into()
    };
    vec![
        about("edit", "The text at place 2 becomes another.", MessageKind::EDIT, TARGET, text("Hello, Bobby!")),
        back("recall", "The message at place 2 is taken back.", MessageKind::RECALL),
        about("react", "A reaction to the message at place 2.", MessageKind::REACTION, TARGET, reaction(false)),
        about("unreact", "It is taken back.", MessageKind::REACTION, TARGET, reaction(true)),
        about("append", "More of the stream at place 2.", MessageKind::APPEND, TARGET, text("lo")),
        about("finish", "The whole of it.", MessageKind::FINISH, TARGET, text("Hello, Bob!")),
        back("vanish", "The time of the message at place 2 is over.", MessageKind::VANISH),
        about("edit_far", "The largest place.", MessageKind::EDIT, Seq(u64::MAX), text("x")),
    ]
}

/// The first vector, changed in one thing each; nothing of it is known then but that it does not open.
fn does_not_open() -> Vec<Sealed> {
    let text = opens().remove(0);
    let changed = |name: &str, about: &str, change: fn(&mut Sealed)| {
        let mut vector =
            Sealed { name: name.into(), about: about.into(), plain: Bytes::new(), content: None, ..text.clone() };
        change(&mut vector);
        vector.associated_data = Bytes::copy_from_slice(&vector.context().associated_data());
        vector.hash = Bytes::copy_from_slice(&seal::hash(&vector.body));
        vector
    };
    vec![
        changed("other_conversation", "Moved to another conversation.", |v| {
            v.conversation_id = Bytes::from(vec![9; 16])
        }),
        changed("other_sender", "Given out as another's.", |v| v.sender += 1),
        changed("other_message_id", "Under another id.", |v| v.message_id = Bytes::from(vec![9; 16])),
        changed("other_kind", "As another kind.", |v| v.kind = 2),
        changed("other_key_version", "As of another key version.", |v| v.key_version += 1),
        changed("other_key", "With another key.", |v| v.key = Bytes::from(vec![9; 32])),
        changed("changed_ciphertext", "A bit of the ciphertext changed.", |v| v.body = flip(&v.body, 12)),
        changed("changed_nonce", "A bit of the nonce changed.", |v| v.body = flip(&v.body, 0)),
        changed("changed_tag", "A bit of the tag changed.", |v| v.body = flip(&v.body, v.body.len() - 1)),
        changed("too_short", "Shorter than nonce and tag.", |v| v.body = v.body.slice(..27)),
        changed("nothing", "No bytes at all.", |v| v.body = Bytes::new()),
    ]
}

fn flip(body: &Bytes, at: usize) -> Bytes {
    let mut body = body.to_vec();
    body[at] ^= 1;
    body.into()
}

/// What the guide shows of the first vector.
pub(super) fn shown() -> Vec<(String, String)> {
    let text = opens().remove(0);
    let edit = follow_ups().remove(0).sealed;
    vec![
        ("sealing/edit".to_string(), hex::encode(&edit.body)),
        ("sealing/text".to_string(), hex::encode(&text.body)),
        ("sealing/text.associated_data".to_string(), hex::encode(&text.associated_data)),
    ]
}

#[test]
fn the_sealing_vectors_are_what_the_code_seals_and_opens() {
    let about = "AES-256-GCM as client.proto says under SEALING. body = nonce, ciphertext, tag.";
    let made = File { about: about.into(), opens: opens(), does_not_open: does_not_open(), follow_ups: follow_ups() };
    let file = golden("sealing.json", &made);
    for vector in &file.opens {
        assert_eq!(vector.open().as_ref(), Ok(&vector.plain), "{}", vector.name);
        let nonce = vector.nonce.as_ref().try_into().expect("12 bytes");
        assert_eq!(seal::seal_with_nonce(&vector.key(), &vector.context(), nonce, &vector.plain), vector.body);
        assert_eq!(seal::hash(&vector.body), *vector.hash);
        assert_eq!(Some(Body::decode(vector.plain.clone()).expect("a Body")), vector.content);
    }
    for vector in &file.does_not_open {
        assert_eq!(vector.open(), Err(OpenError), "{}", vector.name);
    }
}

/// Those that take back hold their target and nothing else; the others open to what is new.
#[test]
fn the_follow_up_vectors_are_about_their_targets() {
    for FollowUp { target, sealed } in follow_ups() {
        let context = sealed.context();
        assert_eq!(context.kind.target(&sealed.body), Some(Seq(target)), "{}", sealed.name);
        let opened = seal::open_about(&sealed.key(), &context, &sealed.body);
        if context.kind.takes_back() {
            assert_eq!(sealed.body.len(), seal::TARGET_LEN);
        } else {
            assert_eq!(opened, Ok((Seq(target), sealed.plain.clone())), "{}", sealed.name);
        }
    }
    let again = seal::seal_about(&key(), &EDIT, TARGET, b"again");
    assert_eq!(seal::open_about(&key(), &EDIT, &again), Ok((TARGET, Bytes::from_static(b"again"))));
    assert_eq!(seal::open_about(&key(), &EDIT, &again[..7]), Err(OpenError));
}

#[test]
fn each_seal_has_its_own_nonce() {
    let [one, two] = [(); 2].map(|()| seal::seal(&key(), &CONTEXT, b"same"));
    assert_ne!(one[..seal::NONCE_LEN], two[..seal::NONCE_LEN]);
    assert_eq!(one.len(), b"same".len() + seal::OVERHEAD);
    assert_eq!(seal::open(&key(), &CONTEXT, &one).as_deref(), Ok(&b"same"[..]));
}

#[test]
fn a_key_does_not_print_itself() {
    assert_eq!(format!("{:?}", key()), "ConversationKey(…)");
}
