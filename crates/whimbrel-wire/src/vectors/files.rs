//! `vectors/files.json`.

use bytes::Bytes;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use whimbrel_core::{FileId, MessageKind};

use super::sealing::{CONTEXT, NONCE, key};
use super::{decimal, golden, hex};
use crate::file_seal::{self, FileKey};
use crate::proto::{Attachment, Body, body::Content};
use crate::seal::{self, OpenError, SealContext};

#[derive(Serialize, Deserialize)]
struct File {
    about: String,
    files: Vec<Sealed>,
    /// What changes of the first file's chunks do not open.
    does_not_open: Vec<Chunk>,
    message: Message,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    name: String,
    #[serde(with = "hex")]
    key: Bytes,
    chunk_size: u32,
    #[serde(with = "hex")]
    plain: Bytes,
    #[serde(with = "hex")]
    sealed: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Chunk {
    name: String,
    #[serde(with = "decimal")]
    number: u64,
    is_last: bool,
    #[serde(with = "hex")]
    chunk: Bytes,
}

/// A message that comes with the first file.
#[derive(Serialize, Deserialize)]
struct Message {
    kind: u32,
    #[serde(with = "hex")]
    file_id: Bytes,
    content: Body,
    /// The id, then what opens to `content` with the key and context of `sealing.json`'s first vector, but for the kind.
    #[serde(with = "hex")]
    body: Bytes,
}

const CHUNK: u32 = 16;

fn file_key() -> FileKey {
    FileKey::from_bytes(std::array::from_fn(|at| 0x40 + at as u8))
}

fn sealed_chunks(plain: &[u8]) -> Vec<Vec<u8>> {
    let count = file_seal::chunks(plain.len() as u64, CHUNK);
    (0..count)
        .map(|number| {
            let start = number as usize * CHUNK as usize;
            let mut chunk = plain[start..plain.len().min(start + CHUNK as usize)].to_vec();
            file_seal::seal_chunk(&file_key(), number, number + 1 == count, &mut chunk);
            chunk
        })
        .collect()
}

fn sealed(name: &str, plain: &[u8]) -> Sealed {
    let sealed = Bytes::from(sealed_chunks(plain).concat());
    let key = Bytes::copy_from_slice(file_key().expose());
    Sealed { name: name.into(), key, chunk_size: CHUNK, plain: Bytes::copy_from_slice(plain), sealed }
}

fn message() -> Message {
    let attachment = Attachment {
        name: "sea.png".into(),
        content_type: "image/png".into(),
        size: 40,
        sha256: Bytes::from_static(&[0xd0; 32]),
        key: Bytes::copy_from_slice(file_key().expose()),
        chunk_size: CHUNK,
        width: 640,
        height: 480,
        duration_ms: 0,
        waveform: Bytes::new(),
        thumbnail: Bytes::from_static(&[0xff, 0xd8]),
        blur_hash: "LEHV6nWB2yk8pyo0adR*.7kCMdnj".into(),
        caption: "The sea".into(),
    };
    let content = Body { content: Some(Content::Attachment(attachment)), ..Default::default() };
    let context = SealContext { kind: MessageKind::IMAGE, ..CONTEXT };
    let file = FileId::from_bytes([0x5f; 16]);
    let rest = seal::seal_with_nonce(&key(), &context, NONCE, &content.encode_to_vec());
    let file_id = Bytes::copy_from_slice(file.as_bytes());
    Message { kind: context.kind.0, file_id, content, body: seal::with_file(file, &rest) }
}

fn does_not_open() -> Vec<Chunk> {
    let chunks = sealed_chunks(&(0..40).collect::<Vec<u8>>());
    let of =
        |name: &str, number, is_last, chunk: Vec<u8>| Chunk { name: name.into(), number, is_last, chunk: chunk.into() };
    let mut changed = chunks[0].clone();
    changed[3] ^= 1;
    vec![
        of("in_another_place", 1, false, chunks[0].clone()),
        of("as_the_last", 1, true, chunks[1].clone()),
        of("not_as_the_last", 2, false, chunks[2].clone()),
        of("changed", 0, false, changed),
        of("cut_off", 0, false, chunks[0][..31].to_vec()),
        of("too_short", 0, false, vec![0; 15]),
    ]
}

#[test]
fn the_file_vectors_are_what_the_code_seals_and_opens() {
    let files = vec![
        sealed("three_chunks", &(0..40).collect::<Vec<u8>>()),
        sealed("whole_chunks", &[7; 32]),
        sealed("empty", &[]),
    ];
    let about =
        "Files sealed in chunks as docs/protocol.md says under Files. sealed = each chunk's ciphertext and tag.";
    let made = File { about: about.into(), files, does_not_open: does_not_open(), message: message() };
    let file = golden("files.json", &made);
    for vector in &file.files {
        let key = FileKey::from_bytes(vector.key.as_ref().try_into().expect("32 bytes"));
        let size = vector.plain.len() as u64;
        assert_eq!(vector.sealed.len() as u64, file_seal::sealed_size(size, vector.chunk_size), "{}", vector.name);
        let count = file_seal::chunks(size, vector.chunk_size);
        let parts = vector.sealed.chunks(vector.chunk_size as usize + seal::TAG_LEN);
        let mut plain = Vec::new();
        for (part, number) in parts.zip(0..) {
            let mut part = part.to_vec();
            file_seal::open_chunk(&key, number, number + 1 == count, &mut part).expect("it opens");
            plain.extend(part);
        }
        assert_eq!(plain, vector.plain, "{}", vector.name);
    }
    for Chunk { name, number, is_last, chunk } in &file.does_not_open {
        let opened = file_seal::open_chunk(&file_key(), *number, *is_last, &mut chunk.to_vec());
        assert_eq!(opened, Err(OpenError), "{name}");
    }
}

#[test]
fn a_message_that_comes_with_a_file_names_it_first() {
    let Message { kind, file_id, content, body } = message();
    let kind = MessageKind(kind);
    assert_eq!(kind.file(&body), FileId::from_slice(&file_id));
    let plain = seal::open(&key(), &SealContext { kind, ..CONTEXT }, &body[seal::FILE_LEN..]).expect("it opens");
    assert_eq!(Body::decode(plain).expect("a Body"), content);
    assert_eq!((kind.file(&body[..15]), MessageKind::TEXT.file(&body)), (None, None));
    assert_eq!(format!("{:?}", file_key()), "FileKey(…)");
}
