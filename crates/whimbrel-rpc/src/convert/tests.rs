//! Everything that is said between roles comes through the encoding as it was; what makes no sense is named; and no
//! estimate of a length is too short.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use whimbrel_core::{
    Audience, ConversationKind, CursorMoved, Cursors, Delivery, DeviceId, Draft, GoodbyeCode, Known, Message,
    MessageKind, Outcome, PlacedRow, Receipt, Refusal, Roster, RosterChange, Seq, Sight, Signal, Span, SyncAnswer,
    SyncQuestion, UserId, View,
};

use super::*;
use crate::{
    Attach, AttachRefused, Attached, DraftPlaced, Lease, PlacedBatch, PushBody, PushItem, Request, RequestBody,
    Revoked, SessionRef, Standing, Stirred, Stirring, Through, To, ToGroup, Told,
};

fn id_of<T: Uuid + std::fmt::Debug>() -> impl Strategy<Value = T> + Clone {
    any::<[u8; 16]>().prop_map(T::of)
}

fn number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![Just(0), Just(u64::MAX), any::<u64>()]
}

fn user_of() -> impl Strategy<Value = UserId> + Clone {
    (1..=u64::MAX).prop_map(UserId)
}

fn session() -> impl Strategy<Value = SessionRef> {
    (id_of(), user_of(), id_of()).prop_map(|(session, user, device)| SessionRef { session, user, device })
}

fn cursors() -> impl Strategy<Value = Cursors> {
    (number(), number()).prop_map(|(delivered, read)| Cursors { delivered: Seq(delivered), read: Seq(read) })
}

fn body() -> impl Strategy<Value = bytes::Bytes> {
    vec(any::<u8>(), 0..80).prop_map(Into::into)
}

fn message() -> impl Strategy<Value = Message> {
    let ids = (id_of(), id_of(), id_of());
    (ids, number(), number(), any::<u32>(), any::<u32>(), body(), number()).prop_map(
        |((conversation, device, message_id), seq, sender, kind, key_version, body, at)| Message {
            conversation,
            seq: Seq(seq),
            sender: UserId(sender),
            device,
            message_id,
            kind: MessageKind(kind),
            key_version,
            body,
            at,
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (number(), number()).prop_map(|(seq, at)| Outcome::Sent { seq: Seq(seq), at }),
        Just(Outcome::Conflict),
        (0..Refusal::ALL.len()).prop_map(|at| Outcome::Refused(Refusal::ALL[at])),
        any::<u32>().prop_map(|after_ms| Outcome::Retry { after_ms }),
    ]
}

fn audience() -> impl Strategy<Value = Audience> {
    prop_oneof![
        number().prop_map(|user| Audience::One(UserId(user))),
        (number(), number()).prop_map(|(one, two)| Audience::Two(UserId(one), UserId(two))),
        (number(), any::<u32>()).prop_map(|(revision, size)| Audience::Group { revision: Seq(revision), size }),
    ]
}

fn users_of() -> impl Strategy<Value = Vec<UserId>> {
    vec(number().prop_map(UserId), 0..5)
}

fn change() -> impl Strategy<Value = Option<Arc<RosterChange>>> {
    let change = (number(), number(), users_of(), users_of())
        .prop_map(|(after, at, joined, left)| Arc::new(RosterChange { after: Seq(after), at: Seq(at), joined, left }));
    option::of(change)
}

fn roster() -> impl Strategy<Value = Roster> {
    let member = (number(), number(), number())
        .prop_map(|(user, since, until)| (UserId(user), Span { since: Seq(since), until: Seq(until) }));
    (number(), vec(member, 0..6)).prop_map(|(revision, members)| Roster::new(Seq(revision), members))
}

fn to_group() -> impl Strategy<Value = To> {
    let rest = (vec(id_of(), 0..4), change(), option::of(roster().prop_map(Arc::new)));
    (id_of(), number(), number(), rest).prop_map(|(group, seq, revision, (except, change, roster))| {
        let (seq, revision, except) = (Seq(seq), Seq(revision), except.into());
        To::Group(Box::new(ToGroup { group, seq, revision, except, change, roster }))
    })
}

fn request() -> impl Strategy<Value = Request> {
    let draft = (id_of(), any::<u32>(), any::<u32>(), body()).prop_map(|(message_id, kind, key_version, body)| Draft {
        message_id,
        kind: MessageKind(kind),
        key_version,
        body,
    });
    let known = (id_of(), number(), option::of(id_of())).prop_map(|(conversation, cursor, message_id)| Known {
        conversation,
        cursor: Seq(cursor),
        message_id,
    });
    let question =
        (any::<u32>(), option::of(id_of()), option::of(id_of()), vec(known, 0..4), any::<bool>(), any::<usize>());
    let question = question.prop_map(|(id, after, until, known, only_known, max_messages)| {
        RequestBody::Sync(SyncQuestion { id, after, until, known, only_known, max_messages })
    });
    let kinds = prop_oneof![
        (id_of(), vec(draft, 0..4)).prop_map(|(conversation, drafts)| RequestBody::Send { conversation, drafts }),
        vec((id_of(), cursors()), 0..4).prop_map(RequestBody::Advance),
        question,
        (id_of(), body()).prop_map(|(conversation, body)| RequestBody::Signal { conversation, body }),
    ];
    (session(), kinds).prop_map(|(from, body)| Request { from, body })
}

fn view() -> impl Strategy<Value = View> {
    let kinds =
        prop_oneof![Just(ConversationKind::Direct), Just(ConversationKind::Private), Just(ConversationKind::Group)];
    let numbers = (number(), number(), number(), number());
    let rest = (any::<bool>(), vec(message(), 0..3), any::<bool>());
    (id_of(), kinds, option::of(number()), numbers, cursors(), cursors(), rest).prop_map(
        |(conversation, kind, peer, (head, head_at, floor, unread), own, peer_cursors, (reset, messages, complete))| {
            View {
                conversation,
                kind,
                peer: peer.map(UserId),
                head: Seq(head),
                head_at,
                floor: Seq(floor),
                own,
                unread,
                peer_cursors,
                reset,
                messages,
                complete,
            }
        },
    )
}

fn push() -> impl Strategy<Value = PushItem> {
    let to = prop_oneof![
        vec(id_of(), 0..5).prop_map(|ids| To::Sessions(ids.into())),
        (vec(user_of(), 0..4), vec(id_of(), 0..4))
            .prop_map(|(users, except)| To::Users { users: users.into(), except: except.into() }),
        (user_of(), id_of()).prop_map(|(user, device)| To::Device(user, device)),
        to_group(),
    ];
    let signal = (id_of(), number(), id_of(), body()).prop_map(|(conversation, user, device, body)| {
        PushBody::Signal(Arc::new(Signal { conversation, user: UserId(user), device, body }))
    });
    let receipt = (id_of(), number(), cursors()).prop_map(|(conversation, user, cursors)| Receipt {
        conversation,
        user: UserId(user),
        cursors,
    });
    let body = prop_oneof![
        (id_of(), vec((id_of(), outcome()), 0..4))
            .prop_map(|(conversation, answers)| PushBody::Answers { conversation, answers }),
        (id_of(), vec(message(), 0..4), any::<bool>()).prop_map(|(conversation, mut messages, own)| {
            if own {
                messages.iter_mut().for_each(|message| message.conversation = conversation);
            }
            PushBody::Deliver(Arc::new(Delivery { conversation, messages }))
        }),
        vec(receipt, 0..4).prop_map(PushBody::Receipts),
        vec((id_of(), cursors()), 0..4).prop_map(PushBody::Advanced),
        (any::<u32>(), vec(view(), 0..3), option::of(id_of()))
            .prop_map(|(id, views, next)| PushBody::Synced(Box::new(SyncAnswer { id, views, next }))),
        signal,
        Just(PushBody::Poke),
        (any::<u32>(), any::<u32>())
            .prop_map(|(code, retry_after_ms)| PushBody::Close { code: GoodbyeCode(code), retry_after_ms }),
    ];
    (to, body).prop_map(|(to, body)| PushItem { to, body })
}

fn batch() -> impl Strategy<Value = PlacedBatch> {
    let draft = (id_of(), number(), id_of(), id_of(), outcome()).prop_map(
        |(conversation, sender, device, message_id, outcome)| DraftPlaced {
            conversation,
            sender: UserId(sender),
            device,
            message_id,
            outcome,
        },
    );
    let row = (message(), audience(), change()).prop_map(|(message, audience, change)| PlacedRow {
        message,
        audience,
        change,
    });
    (option::of(id_of()), option::of(id_of()), vec(draft, 0..4), vec(row, 0..4))
        .prop_map(|(batch, transfer, outcomes, rows)| PlacedBatch { batch, transfer, outcomes, rows })
}

/// Over the wire.
fn wire<T: prost::Message + Default>(message: &T) -> T {
    T::decode(&message.encode_to_vec()[..]).expect("what was encoded decodes")
}

/// With what leads it in a list.
fn length<T: prost::Message>(message: &T) -> usize {
    message.encoded_len() + 6
}

/// Both ways to text: some of the types are not comparable, and all of them print everything they hold.
fn same<T: std::fmt::Debug>(came: &T, went: &T) {
    assert_eq!(format!("{came:?}"), format!("{went:?}"));
}

proptest! {
    #[test]
    fn requests_come_as_they_went(went in request()) {
        let out = pb::Request::from(&went);
        prop_assert!(length(&out) <= weight::request(&went));
        same(&Request::try_from(wire(&out)).expect("it makes sense"), &went);
    }

    #[test]
    fn pushes_come_as_they_went(went in push()) {
        let out = pb::PushItem::from(&went);
        prop_assert!(length(&out) <= weight::push(&went));
        same(&PushItem::try_from(wire(&out)).expect("it makes sense"), &went);
    }

    #[test]
    fn placed_batches_come_as_they_went(went in batch()) {
        let out = pb::PlacedBatch::from(&went);
        prop_assert!(length(&out) <= weight::placed(&went));
        prop_assert_eq!(placed_batch(wire(&out)).expect("it makes sense"), went);
    }

    #[test]
    fn moved_cursors_come_as_they_went(conversation in id_of(), user in number(), cursors in cursors(), audience in audience()) {
        let went = CursorMoved { conversation, user: UserId(user), cursors, audience };
        let out = pb::CursorMoved::from(&went);
        prop_assert!(length(&out) <= weight::ENTRY);
        prop_assert_eq!(CursorMoved::try_from(wire(&out)).expect("it makes sense"), went);
    }

    #[test]
    fn attaches_and_their_answers_come_as_they_went(
        session in session(), connector in id_of(), since in number(), platform in ".{0,40}", code in any::<u32>(), ms in any::<u32>(),
    ) {
        let went = Attach { session, connector, since, platform };
        let out = pb::Attach::from(&went);
        prop_assert!(length(&out) <= weight::attach(&went));
        same(&wire(&out).at(connector).expect("it makes sense"), &went);
        let refused = Err(AttachRefused { code: GoodbyeCode(code), retry_after_ms: ms });
        for answer in [Ok(Attached { registered: true }), Ok(Attached { registered: false }), refused] {
            prop_assert_eq!(attach_result(wire(&attach_result_out(&answer))).expect("it makes sense"), answer);
        }
        let standing = Standing { session, since };
        prop_assert!(length(&pb::Standing::from(&standing)) <= weight::ENTRY);
        prop_assert_eq!(Standing::try_from(wire(&pb::Standing::from(&standing))).expect("it makes sense"), standing);
    }

    #[test]
    fn the_rest_comes_as_it_went(
        incarnation in option::of(id_of()), term in any::<u64>(), blind in any::<bool>(),
        offline in vec(number(), 0..4), unreached in vec(id_of(), 0..4), device in option::of(id_of::<DeviceId>()), user in number(),
    ) {
        let lease = Lease { incarnation, term, kept: true };
        prop_assert_eq!(Lease::from(wire(&pb::Lease::from(&lease))), lease);
        let went = Told { offline: offline.into_iter().map(UserId).collect(), unreached: unreached.clone(), blind };
        prop_assert_eq!(told(wire(&pb::Told::from(&went))), went);
        let revoked = Revoked { user: UserId(user), device, code: GoodbyeCode::LOGGED_OUT };
        prop_assert_eq!(Revoked::from(wire(&pb::Revoked::from(&revoked))), revoked);
        for way in [Through::All, Through::Only(unreached)] {
            prop_assert_eq!(through(through_out(&way).as_ref().map(wire)).expect("it makes sense"), way);
        }
    }

    #[test]
    fn what_is_asked_and_said_of_presence_comes_as_it_went(
        pairs in vec((user_of(), user_of()), 0..5), users in vec(user_of(), 0..5), since in any::<u64>(),
        gone in vec((user_of(), any::<u64>()), 0..5), sight in option::of((any::<bool>(), any::<bool>(), any::<u64>())),
        is_blind in any::<bool>(), all_changed in any::<bool>(),
    ) {
        let out = looks_out(&pairs);
        prop_assert!(out.encoded_len() <= pairs.len() * 2 * weight::USER + 16);
        prop_assert_eq!(looks(wire(&out)).expect("it makes sense"), pairs);
        let sight = sight.map(|(invisible, last_seen_hidden, seen_at)| Sight { invisible, last_seen_hidden, seen_at });
        for went in [None, Some(vec![]), Some(vec![sight, None, sight])] {
            prop_assert_eq!(sights(wire(&sights_out(went.clone()))), went);
        }
        let went = Stirring { users: users.clone(), since, gone };
        prop_assert_eq!(Stirring::try_from(wire(&pb::Stirring::from(&went))).expect("it makes sense"), went);
        let here = (!is_blind).then(|| users.clone());
        let went = Some(Stirred { as_of: since.max(1), here, changed: (!all_changed).then_some(users) });
        prop_assert_eq!(wire(&pb::Stirred::from(went.clone())).read().expect("it makes sense"), went);
        prop_assert_eq!(wire(&pb::Stirred::from(None)).read(), Ok(None));
    }

    /// The idea: whatever bytes decode at all are either understood or refused, and nothing panics.
    #[test]
    fn nonsense_is_refused_and_never_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(message) = pb::FromConnector::decode(&bytes[..]) {
            let _ = all::<_, Request, Vec<_>>(message.requests, TryInto::try_into);
        }
        if let Ok(message) = pb::ToConnector::decode(&bytes[..]) {
            let _ = all::<_, PushItem, Vec<_>>(message.pushes, TryInto::try_into);
        }
        if let Ok(batch) = pb::PlacedBatch::decode(&bytes[..]) {
            let _ = placed_batch(batch);
        }
    }
}

#[test]
fn lists_of_presence_that_do_not_belong_together_are_named() {
    let one = pb::Looks { users: vec![1, 2], at: vec![3] };
    assert_eq!(looks(one), Err(Malformed("Looks")));
    assert_eq!(looks(pb::Looks { users: vec![1], at: vec![0] }), Err(Malformed("Looks.at")));
    let gone = pb::Stirring { gone: vec![1], ..Default::default() };
    assert_eq!(Stirring::try_from(gone), Err(Malformed("Stirring.gone")));
    let here = pb::Stirred { as_of: 1, here: vec![0], ..Default::default() };
    assert_eq!(here.read(), Err(Malformed("Stirred.here")));
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let session = pb::SessionRef { session: Some(pb::Id::default()), user: 1, device: Some(pb::Id::default()) };
    let body = Some(pb::request::Body::Send(pb::Send { conversation: None, drafts: Vec::new() }));
    let request =
        |from, body| Request::try_from(pb::Request { from, body }).map(|_| ()).map_err(|error| error.to_string());
    let named = |field: &str| Err(format!("{field} is missing, or stands for nothing"));
    assert_eq!(request(Some(session), body), named("Send.conversation"));
    assert_eq!(request(Some(session), None), named("Request.body"));
    assert_eq!(request(Some(pb::SessionRef { device: None, ..session }), None), named("Request.body"));
    let poke = Some(pb::push_item::Body::Poke(pb::Nothing {}));
    assert_eq!(
        PushItem::try_from(pb::PushItem { to: None, body: poke }).map_err(|error| error.0).err(),
        Some("PushItem.to")
    );
    let view = pb::View { conversation: Some(pb::Id::default()), kind: 77, ..Default::default() };
    assert_eq!(View::try_from(view).err(), Some(Malformed("View.kind")));
    let refused = pb::Outcome { what: Some(pb::outcome::What::Refused(9999)) };
    let draft = pb::DraftPlaced {
        conversation: Some(pb::Id::default()),
        sender: 1,
        device: Some(pb::Id::default()),
        message_id: Some(pb::Id::default()),
        outcome: Some(refused),
    };
    assert_eq!(DraftPlaced::try_from(draft).err(), Some(Malformed("Outcome.refused")));
}
