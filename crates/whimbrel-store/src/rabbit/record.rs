//! Records and dead letters as bytes. Bodies are slices of what was delivered, not copies.

use bytes::Bytes;
use prost::Message;
use whimbrel_core::{
    BatchId, ConversationId, Cursors, DeviceId, Draft, MessageId, MessageKind, Seq, TransferId, UserId,
};

use crate::log::{DraftsEntry, Entry, Record};
use crate::park::DeadLetter;

#[allow(missing_docs, unreachable_pub, reason = "generated; documented in log.proto")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/whimbrel.cluster.v1.rs"));
}

/// What this version writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// Why bytes are no record, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("it is no protobuf message of its kind: {0}")]
    Malformed(prost::DecodeError),
    #[error("format {0} is not known to this version")]
    Format(u32),
    #[error("it has no usable {0}")]
    Missing(&'static str),
}

fn bytes_of(id: &[u8; 16]) -> Bytes {
    Bytes::copy_from_slice(id)
}

fn conversation(bytes: &Bytes) -> Result<ConversationId, DecodeError> {
    ConversationId::from_slice(bytes).ok_or(DecodeError::Missing("conversation"))
}

fn device(bytes: &Bytes) -> Result<DeviceId, DecodeError> {
    DeviceId::from_slice(bytes).ok_or(DecodeError::Missing("device"))
}

fn format_is_known(format: u32) -> Result<(), DecodeError> {
    if format == FORMAT { Ok(()) } else { Err(DecodeError::Format(format)) }
}

fn to_draft(draft: Draft) -> proto::LoggedDraft {
    let Draft { message_id, kind, key_version, body } = draft;
    proto::LoggedDraft { message_id: bytes_of(message_id.as_bytes()), kind: kind.0, key_version, body }
}

fn from_draft(draft: proto::LoggedDraft) -> Result<Draft, DecodeError> {
    let message_id = MessageId::from_slice(&draft.message_id).ok_or(DecodeError::Missing("message id"))?;
    let proto::LoggedDraft { kind, key_version, body, .. } = draft;
    Ok(Draft { message_id, kind: MessageKind(kind), key_version, body })
}

fn to_entry(entry: Entry) -> proto::Entry {
    let what = match entry {
        Entry::Drafts(DraftsEntry { conversation, sender, device, drafts }) => {
            proto::entry::What::Drafts(proto::Drafts {
                conversation: bytes_of(conversation.as_bytes()),
                sender: sender.0,
                device: bytes_of(device.as_bytes()),
                drafts: drafts.into_iter().map(to_draft).collect(),
            })
        }
        Entry::Cursor { conversation, user, cursors } => proto::entry::What::Cursor(proto::Cursor {
            conversation: bytes_of(conversation.as_bytes()),
            user: user.0,
            delivered: cursors.delivered.0,
            read: cursors.read.0,
        }),
    };
    proto::Entry { what: Some(what) }
}

fn from_entry(entry: proto::Entry) -> Result<Entry, DecodeError> {
    match entry.what.ok_or(DecodeError::Missing("entry"))? {
        proto::entry::What::Drafts(drafts) => Ok(Entry::Drafts(DraftsEntry {
            conversation: conversation(&drafts.conversation)?,
            sender: UserId(drafts.sender),
            device: device(&drafts.device)?,
            drafts: drafts.drafts.into_iter().map(from_draft).collect::<Result<_, _>>()?,
        })),
        proto::entry::What::Cursor(cursor) => Ok(Entry::Cursor {
            conversation: conversation(&cursor.conversation)?,
            user: UserId(cursor.user),
            cursors: Cursors { delivered: Seq(cursor.delivered), read: Seq(cursor.read) },
        }),
    }
}

/// A record as bytes.
pub(super) fn encode(record: Record) -> Vec<u8> {
    let Record { batch, transfer, entries } = record;
    proto::Record {
        format: FORMAT,
        batch: bytes_of(batch.as_bytes()),
        transfer: bytes_of(transfer.as_bytes()),
        entries: entries.into_iter().map(to_entry).collect(),
    }
    .encode_to_vec()
}

/// The record in these bytes.
pub(super) fn decode(bytes: Bytes) -> Result<Record, DecodeError> {
    let record = proto::Record::decode(bytes).map_err(DecodeError::Malformed)?;
    format_is_known(record.format)?;
    Ok(Record {
        batch: BatchId::from_slice(&record.batch).ok_or(DecodeError::Missing("batch"))?,
        transfer: TransferId::from_slice(&record.transfer).ok_or(DecodeError::Missing("transfer"))?,
        entries: record.entries.into_iter().map(from_entry).collect::<Result<_, _>>()?,
    })
}

/// A dead letter as bytes.
pub(super) fn encode_dead(letter: DeadLetter) -> Vec<u8> {
    let DeadLetter { conversation, sender, device, draft, reason } = letter;
    proto::DeadDraft {
        format: FORMAT,
        conversation: bytes_of(conversation.as_bytes()),
        sender: sender.0,
        device: bytes_of(device.as_bytes()),
        draft: Some(to_draft(draft)),
        reason,
    }
    .encode_to_vec()
}

/// The dead letter in these bytes.
pub(super) fn decode_dead(bytes: Bytes) -> Result<DeadLetter, DecodeError> {
    let dead = proto::DeadDraft::decode(bytes).map_err(DecodeError::Malformed)?;
    format_is_known(dead.format)?;
    Ok(DeadLetter {
        conversation: conversation(&dead.conversation)?,
        sender: UserId(dead.sender),
        device: device(&dead.device)?,
        draft: from_draft(dead.draft.ok_or(DecodeError::Missing("draft"))?)?,
        reason: dead.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        let (message_id, body) = (MessageId::generate(), Bytes::from_static(b"a body that is long enough"));
        Draft { message_id, kind: MessageKind::CUSTOM, key_version: 7, body }
    }

    fn record() -> Record {
        let (conversation, device) = (ConversationId::generate(), DeviceId::generate());
        let drafts = DraftsEntry { conversation, sender: UserId(u64::MAX), device, drafts: vec![draft(), draft()] };
        let cursors = Cursors { delivered: Seq(9), read: Seq(3) };
        let entries = vec![Entry::Drafts(drafts), Entry::Cursor { conversation, user: UserId(2), cursors }];
        Record { batch: BatchId::generate(), transfer: TransferId::generate(), entries }
    }

    #[test]
    fn a_record_reads_back_whole_and_its_bodies_are_slices() {
        let record = record();
        let bytes = Bytes::from(encode(record.clone()));
        let read = decode(bytes.clone()).expect("a record");
        assert_eq!(read, record);
        let Entry::Drafts(entry) = &read.entries[0] else { panic!("drafts") };
        let body = entry.drafts[0].body.as_ptr_range();
        assert!(bytes.as_ptr_range().contains(&body.start), "a copy was made");
    }

    #[test]
    fn a_dead_letter_reads_back_whole() {
        let (conversation, device) = (ConversationId::generate(), DeviceId::generate());
        let letter = DeadLetter { conversation, sender: UserId(1), device, draft: draft(), reason: "why".into() };
        assert_eq!(decode_dead(encode_dead(letter.clone()).into()), Ok(letter));
    }

    /// Every prefix of a record and every record with one field spoiled is refused with a word, never taken for less.
    #[test]
    fn what_is_no_record_is_refused() {
        let bytes = Bytes::from(encode(record()));
        for end in 0..bytes.len() {
            let read = decode(bytes.slice(..end));
            assert!(read.is_err() || read.is_ok_and(|read| read.entries.len() < 2), "{end} bytes");
        }
        let good = proto::Record::decode(bytes).expect("protobuf");
        let spoil = |change: &dyn Fn(&mut proto::Record)| {
            let mut record = good.clone();
            change(&mut record);
            decode(record.encode_to_vec().into())
        };
        assert_eq!(spoil(&|record| record.format = 2), Err(DecodeError::Format(2)));
        assert_eq!(spoil(&|record| record.batch = Bytes::new()), Err(DecodeError::Missing("batch")));
        assert_eq!(spoil(&|record| record.transfer = Bytes::from_static(b"x")), Err(DecodeError::Missing("transfer")));
        assert_eq!(spoil(&|record| record.entries[0].what = None), Err(DecodeError::Missing("entry")));
        assert!(matches!(decode(Bytes::from_static(b"\xff\xff")), Err(DecodeError::Malformed(_))));
        assert_eq!(decode(Bytes::new()), Err(DecodeError::Format(0)));
    }
}
