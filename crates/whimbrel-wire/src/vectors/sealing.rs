//! `vectors/sealing.json`.

use bytes::Bytes;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use whimbrel_core::{ConversationId, MessageId, MessageKind, UserId};

use super::{decimal, golden, hex};
use crate::proto::{Body, Custom, Text, body::Content};
use crate::seal::{self, ConversationKey, OpenError, SealContext};

#[derive(Serialize, Deserialize)]
struct File {
    about: String,
    opens: Vec<Sealed>,
    does_not_open: Vec<Sealed>,
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
    vec![
        sealed("text", "A text: the body of the frames in frames.json.", &key(), CONTEXT, NONCE, hello_bob()),
        sealed("custom", "A custom body.", &key(), SealContext { kind: MessageKind::CUSTOM, ..CONTEXT }, NONCE, custom),
        sealed("text_unicode", "A text beyond ASCII.", &key(), CONTEXT, [0; 12], text("Grüße 👋")),
        sealed("empty", "An empty Body (no content): nonce and tag alone.", &key(), CONTEXT, [0xff; 12], Bytes::new()),
        sealed("far", "Every number at its largest.", &ConversationKey::from_bytes([0xff; 32]), far, NONCE, text("x")),
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
    vec![
        ("sealing/text".to_string(), hex::encode(&text.body)),
        ("sealing/text.associated_data".to_string(), hex::encode(&text.associated_data)),
    ]
}

#[test]
fn the_sealing_vectors_are_what_the_code_seals_and_opens() {
    let about = "AES-256-GCM as client.proto says under SEALING. body = nonce, ciphertext, tag.";
    let file = golden("sealing.json", &File { about: about.into(), opens: opens(), does_not_open: does_not_open() });
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
