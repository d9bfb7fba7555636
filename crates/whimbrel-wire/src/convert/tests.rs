use proptest::prelude::*;
use whimbrel_core::limits::{self, SIGNAL_MAX};
use whimbrel_core::{GoodbyeCode, Outcome, PresenceState, Refusal, UserId};

use super::*;
use crate::{proto, testing};

proptest! {
    // Every value survives the way to the wire and back, through the very functions that both ends use.
    #[test]
    fn what_is_said_is_what_is_read(
        hi in testing::hello(),
        wel in testing::welcome(),
        (conversation, messages) in testing::messages(),
        drafts in testing::drafts(),
        list in testing::answers(),
        heads in testing::advanced(),
        marks in testing::receipts(),
        question in testing::sync(),
        answer in testing::synced(),
        passing in testing::signal(),
        watched in testing::watched(),
        shown in testing::presences(),
    ) {
        prop_assert_eq!(hello(hi.clone().into()), Ok(hi));
        prop_assert_eq!(welcome(wel.clone().into()), Ok(wel));
        prop_assert_eq!(deliver(testing::proto_deliver(conversation, &messages)), Ok((conversation, messages)));
        let wire = drafts.iter().cloned().map(Into::into).collect();
        let said = proto::Send { conversation_id: conversation.wire(), drafts: wire };
        prop_assert_eq!(send(said), Ok((conversation, drafts)));
        prop_assert_eq!(answers(testing::proto_answers(conversation, &list)), Ok((conversation, list)));
        let said = testing::proto_advanced(&heads);
        prop_assert_eq!(advance(proto::Advance { cursors: said.cursors.clone() }), Ok(heads.clone()));
        prop_assert_eq!(advanced(said), Ok(heads));
        prop_assert_eq!(receipts(testing::proto_receipts(&marks)), Ok(marks));
        prop_assert_eq!(sync(question.clone().into()), Ok(question));
        prop_assert_eq!(synced(answer.clone().into()), Ok(answer));
        let said = testing::proto_signal(&passing);
        prop_assert_eq!(signal(said), Ok((passing.conversation, passing.body.clone())));
        prop_assert_eq!(signaled(passing.clone().into()), Ok(passing));
        prop_assert_eq!(watch(testing::proto_watch(&watched)), Ok(watched));
        prop_assert_eq!(presences(testing::proto_presences(&shown)), Ok(shown));
    }
}

fn id16(byte: u8) -> Bytes {
    Bytes::from(vec![byte; 16])
}

fn known(byte: u8) -> proto::Known {
    proto::Known { conversation_id: id16(byte), ..Default::default() }
}

#[test]
fn an_id_that_is_not_16_bytes_is_named() {
    let bad = |field| Err(FrameError::BadField(field));
    for len in [0, 15, 17] {
        let id = Bytes::from(vec![1; len]);
        let drafts = vec![proto::Draft { message_id: id16(1), ..Default::default() }];
        assert_eq!(send(proto::Send { conversation_id: id.clone(), drafts }), bad("conversation_id"));
        let drafts = vec![proto::Draft { message_id: id.clone(), ..Default::default() }];
        assert_eq!(send(proto::Send { conversation_id: id16(1), drafts }), bad("message_id"));
        assert_eq!(
            hello(proto::Hello { device_id: id.clone(), ..Default::default() }).map(drop),
            Err(FrameError::BadField("device_id"))
        );
        let optional = sync(proto::Sync { after: id, ..Default::default() }).map(drop);
        assert_eq!(optional, if len == 0 { Ok(()) } else { Err(FrameError::BadField("after")) });
    }
    assert_eq!(FrameError::BadField("after").goodbye(), GoodbyeCode::BAD_FIELD);
}

#[test]
fn lists_that_must_not_be_empty_are_not() {
    assert_eq!(send(proto::Send { conversation_id: id16(1), drafts: vec![] }), Err(FrameError::BadField("drafts")));
    assert_eq!(advance(proto::Advance::default()), Err(FrameError::BadField("cursors")));
}

#[test]
fn a_watch_names_few_users_each_once_and_nobody_by_zero() {
    let with = |users: Vec<u64>| watch(proto::Watch { users }).map(|users| users.len());
    let bad = Err(FrameError::BadField("users"));
    let most = limits::WATCHED_MAX as u64;
    assert_eq!([with((1..=most).collect()), with(vec![])], [Ok(limits::WATCHED_MAX), Ok(0)]);
    assert_eq!(with((1..=most + 1).collect()), bad);
    assert_eq!([with(vec![3, 0]), with(vec![5, 4, 5])], [bad, bad]);
    assert_eq!(watch(proto::Watch { users: vec![9, 2] }), Ok(vec![UserId(2), UserId(9)]));
    let odd = proto::Presence { user_id: 7, state: 12, last_seen_ms: 1 };
    let read = presences(proto::Presences { presences: vec![odd] }).expect("from a later version");
    assert_eq!(read[0].state, PresenceState::Unknown);
}

#[test]
fn a_signal_has_a_body_and_a_short_one() {
    let with = |len| {
        let said = proto::Signal { conversation_id: id16(1), body: vec![7; len].into() };
        signal(said).map(drop)
    };
    let bad = Err(FrameError::BadField("body"));
    assert_eq!([with(0), with(1), with(SIGNAL_MAX), with(SIGNAL_MAX + 1)], [bad, Ok(()), Ok(()), bad]);
    let nowhere = proto::Signal { conversation_id: Bytes::new(), body: vec![7].into() };
    assert_eq!(signal(nowhere), Err(FrameError::BadField("conversation_id")));
}

#[test]
fn names_in_hello_are_short() {
    let with = |platform: usize, sdk: usize| {
        let (platform, sdk_version) = ("p".repeat(platform), "s".repeat(sdk));
        hello(proto::Hello { device_id: id16(1), platform, sdk_version, ..Default::default() }).map(drop)
    };
    assert_eq!(with(32, 64), Ok(()));
    assert_eq!(with(33, 64), Err(FrameError::BadField("platform")));
    assert_eq!(with(32, 65), Err(FrameError::BadField("sdk_version")));
}

#[test]
fn a_hello_does_not_print_its_token() {
    let said = proto::Hello { access_token: "secret".into(), device_id: id16(1), ..Default::default() };
    assert!(!format!("{:?}", hello(said)).contains("secret"));
}

#[test]
fn a_limit_of_zero_in_welcome_is_refused() {
    let good = proto::Welcome {
        session_id: id16(1),
        user_id: 1,
        max_frame: 1,
        window: 1,
        heartbeat_ms: 1,
        silence_ms: 1,
        ack_timeout_ms: 1,
        ack_timeouts: 1,
        max_body: 1,
        max_drafts: 1,
        max_conversations: 1,
        ..Default::default()
    };
    assert!(welcome(good.clone()).is_ok());
    assert_eq!(welcome(proto::Welcome { window: 0, ..good }), Err(FrameError::BadField("window")));
}

#[test]
fn read_implies_delivered_whatever_was_sent() {
    let said = proto::Cursor { conversation_id: id16(1), delivered: 0, read: 5 };
    let heard = advance(proto::Advance { cursors: vec![said] }).expect("good");
    assert_eq!((heard[0].1.delivered.0, heard[0].1.read.0), (5, 5));
}

#[test]
fn a_sync_names_conversations_in_order_each_once_within_its_range() {
    let ask = |after: &[u8], until: &[u8], named: &[u8]| {
        let [after, until] = [after, until].map(|id| Bytes::from(id.repeat(16)));
        let known = named.iter().copied().map(known).collect();
        sync(proto::Sync { after, until, known, ..Default::default() }).map(drop)
    };
    assert_eq!(ask(&[], &[], &[1, 2, 9]), Ok(()));
    assert_eq!(ask(&[1], &[5], &[2, 5]), Ok(()));
    let bad = Err(FrameError::BadField("known"));
    assert_eq!(ask(&[], &[], &[2, 1]), bad);
    assert_eq!(ask(&[], &[], &[2, 2]), bad);
    assert_eq!(ask(&[1], &[5], &[1]), bad);
    assert_eq!(ask(&[1], &[5], &[6]), bad);
    assert_eq!(ask(&[5], &[5], &[]), Err(FrameError::BadField("until")));
    assert_eq!(ask(&[6], &[5], &[]), Err(FrameError::BadField("until")));
}

/// What a later version may add must not end the sessions of a client of this one.
#[test]
fn a_client_bears_refusals_and_conversations_of_later_versions() {
    let refused = proto::Answer { message_id: id16(1), outcome: 3, refusal: 4000, ..Default::default() };
    let heard = answers(proto::Answers { conversation_id: id16(1), answers: vec![refused] }).expect("good");
    assert_eq!(heard.1[0].1, Outcome::Refused(Refusal::Unplaceable));

    let view = |kind| proto::View { conversation_id: id16(1), kind, ..Default::default() };
    let heard = synced(proto::Synced { views: vec![view(77), view(1)], ..Default::default() }).expect("good");
    assert_eq!(heard.views.len(), 1);
}

#[test]
fn an_answer_that_says_nothing_is_refused() {
    let with = |outcome, seq| {
        let answer = proto::Answer { message_id: id16(1), outcome, seq, ..Default::default() };
        answers(proto::Answers { conversation_id: id16(1), answers: vec![answer] }).map(drop)
    };
    assert_eq!(with(1, 1), Ok(()));
    assert_eq!(with(1, 0), Err(FrameError::BadField("seq")));
    assert_eq!(with(0, 1), Err(FrameError::BadField("outcome")));
    assert_eq!(with(5, 1), Err(FrameError::BadField("outcome")));
}
