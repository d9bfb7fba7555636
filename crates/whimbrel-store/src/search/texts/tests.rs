//! What each kind of message says, and what follows from rows in their order.

use whimbrel_core::{DeviceId, MessageId};

use super::*;

fn row(seq: u64, kind: MessageKind, body: Vec<u8>) -> Message {
    Message {
        conversation: ConversationId::from_bytes([1; 16]),
        seq: Seq(seq),
        sender: UserId(5),
        device: DeviceId::from_bytes([2; 16]),
        message_id: MessageId::generate(),
        kind,
        key_version: 0,
        body: body.into(),
        at: 1000 + seq,
    }
}

fn about(seq: u64, kind: MessageKind, target: u64, body: &[u8]) -> Message {
    row(seq, kind, [&target.to_be_bytes()[..], body].concat())
}

/// The only thing that is done.
fn done(rows: &[Message]) -> Option<Deed> {
    let deeds = deeds(rows);
    assert!(deeds.len() <= 1, "{deeds:?}");
    deeds.into_values().next()
}

fn says(deed: Option<Deed>) -> Option<String> {
    match deed {
        Some(Deed::Put { text, .. }) => Some(text),
        _ => None,
    }
}

#[test]
fn every_kind_says_what_a_person_reads() {
    let others = bodies::others();
    for (kind, body, expected) in others {
        assert_eq!(says(done(&[row(1, MessageKind(kind), body)])).as_deref(), Some(expected), "{kind}");
    }
    let file = row(1, MessageKind::IMAGE, bodies::attachment("a.jpg", "Look"));
    assert_eq!(says(done(&[file])).as_deref(), Some("Look\na.jpg"));
}

#[test]
fn what_cannot_be_read_says_nothing() {
    let sealed = Message { key_version: 1, ..row(1, MessageKind::TEXT, bodies::text("hello")) };
    let garbage = row(2, MessageKind::TEXT, vec![0xff; 40]);
    let short = row(3, MessageKind::IMAGE, vec![1, 2, 3]);
    let system = row(4, MessageKind::GROUP, br#"{"what":"join"}"#.to_vec());
    let silent = row(5, MessageKind::TEXT, bodies::text(""));
    for row in [sealed, garbage, short, system, silent] {
        assert_eq!(done(&[row]), None);
    }
}

#[test]
fn rows_of_one_batch_are_one_deed_for_each_message() {
    let begun = || row(1, MessageKind::STREAM, bodies::stream("one "));
    let more = |seq, text: &str| about(seq, MessageKind::APPEND, 1, &bodies::text(text));
    assert_eq!(says(done(&[begun(), more(2, "two "), more(3, "three")])).as_deref(), Some("one two three"));
    let finish = about(4, MessageKind::FINISH, 1, &bodies::text("all"));
    assert_eq!(says(done(&[begun(), more(2, "two"), finish.clone()])).as_deref(), Some("all"));
    assert_eq!(done(&[more(2, "a"), more(3, "b")]), Some(Deed::Append("ab".into())));
    assert_eq!(done(&[more(2, "a"), finish]), Some(Deed::Replace("all".into())));
    let recall = about(5, MessageKind::RECALL, 1, b"");
    assert_eq!(done(&[begun(), recall.clone(), more(6, "late")]), Some(Deed::Drop));
    let sealed = Message { key_version: 3, ..about(2, MessageKind::EDIT, 1, b"sealed") };
    assert_eq!(done(&[sealed]), Some(Deed::Drop));
    let vanish = Message { key_version: 3, ..about(2, MessageKind::VANISH, 1, b"") };
    assert_eq!(done(&[vanish]), Some(Deed::Drop));
    let part = Message { key_version: 3, ..about(2, MessageKind::APPEND, 1, b"sealed") };
    assert_eq!(done(&[part]), None);
}

/// Taken up later, a message says what it would say had each row been followed as it came.
#[test]
fn the_whole_is_what_the_rows_say_one_by_one() {
    let kept = |message: Message| Row { kind: message.kind, key_version: message.key_version, body: message.body };
    let begun = || kept(row(1, MessageKind::STREAM, bodies::stream("one ")));
    let more = |text: &str| kept(about(2, MessageKind::APPEND, 1, &bodies::text(text)));
    assert_eq!(whole(&begun(), &[more("two "), more("three")]).as_deref(), Some("one two three"));
    let edit = |text: &str| kept(about(2, MessageKind::EDIT, 1, &bodies::text(text)));
    let plain = || kept(row(1, MessageKind::TEXT, bodies::text("first")));
    assert_eq!(whole(&plain(), &[edit("second"), edit("third")]).as_deref(), Some("third"));
    let sealed = Row { key_version: 1, ..edit("sealed") };
    assert_eq!(whole(&plain(), &[sealed]), None);
    // Cut to its target: its author's messages were erased.
    let cut = kept(about(2, MessageKind::EDIT, 1, b""));
    assert_eq!(whole(&plain(), &[cut]).as_deref(), Some("first"));
    assert_eq!(whole(&Row { body: Bytes::new(), ..plain() }, &[edit("second")]), None, "it was taken back");
}

#[test]
fn a_text_ends_where_an_index_does() {
    let long = row(1, MessageKind::TEXT, bodies::text(&"字".repeat(SEARCH_TEXT_MAX)));
    let text = says(done(&[long])).expect("a text");
    assert_eq!(text.len(), SEARCH_TEXT_MAX / 3 * 3);
}
