//! Values for property tests: everything that the two sides can say, well-formed.

use bytes::Bytes;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use whimbrel_core::limits::{SIGNAL_MAX, SYNC_MESSAGES_MAX, WATCHED_MAX};
use whimbrel_core::{
    ConversationId, ConversationKind, Cursors, DeviceId, Draft, GoodbyeCode, Known, Message, MessageId, MessageKind,
    Outcome, Presence, PresenceState, Receipt, Refusal, Seq, SessionId, Signal, SyncAnswer, SyncQuestion, UserId, View,
};

use crate::convert::{self, Hello, Welcome};
use crate::proto;
use crate::{ClientPayload, ServerPayload};

pub(crate) fn conversation() -> impl Strategy<Value = ConversationId> {
    any::<[u8; 16]>().prop_map(ConversationId::from_bytes)
}

fn message_id() -> impl Strategy<Value = MessageId> {
    any::<[u8; 16]>().prop_map(MessageId::from_bytes)
}

fn body() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

/// Small and large numbers alike: they take 1 to 10 bytes.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..3u64, any::<u64>(), (0..64u32).prop_map(|bit| 1 << bit)]
}

fn seq() -> impl Strategy<Value = Seq> {
    number().prop_map(|n| Seq(n.max(1)))
}

pub(crate) fn cursors() -> impl Strategy<Value = Cursors> {
    (number(), number())
        .prop_map(|(delivered, read)| Cursors { delivered: Seq(delivered), read: Seq(read) }.normalized())
}

fn draft() -> impl Strategy<Value = Draft> {
    (message_id(), any::<u32>(), any::<u32>(), body()).prop_map(|(message_id, kind, key_version, body)| Draft {
        message_id,
        kind: MessageKind(kind),
        key_version,
        body,
    })
}

pub(crate) fn message(conversation: ConversationId) -> impl Strategy<Value = Message> {
    let device = prop_oneof![Just([0; 16]), any::<[u8; 16]>()];
    (seq(), number(), device, message_id(), any::<u32>(), any::<u32>(), body(), number()).prop_map(
        move |(seq, sender, device, message_id, kind, key_version, body, at)| Message {
            conversation,
            seq,
            sender: UserId(sender),
            device: DeviceId::from_bytes(device),
            message_id,
            kind: MessageKind(kind),
            key_version,
            body,
            at,
        },
    )
}

pub(crate) fn messages() -> impl Strategy<Value = (ConversationId, Vec<Message>)> {
    conversation().prop_flat_map(|c| (Just(c), vec(message(c), 0..5)))
}

pub(crate) fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (seq(), number()).prop_map(|(seq, at)| Outcome::Sent { seq, at }),
        Just(Outcome::Conflict),
        proptest::sample::select(Refusal::ALL).prop_map(Outcome::Refused),
        any::<u32>().prop_map(|after_ms| Outcome::Retry { after_ms }),
    ]
}

pub(crate) fn answers() -> impl Strategy<Value = Vec<(MessageId, Outcome)>> {
    vec((message_id(), outcome()), 0..5)
}

pub(crate) fn advanced() -> impl Strategy<Value = Vec<(ConversationId, Cursors)>> {
    vec((conversation(), cursors()), 1..5)
}

pub(crate) fn receipts() -> impl Strategy<Value = Vec<Receipt>> {
    vec((conversation(), number(), cursors()), 0..5).prop_map(|list| {
        let receipt = |(conversation, user, cursors)| Receipt { conversation, user: UserId(user), cursors };
        list.into_iter().map(receipt).collect()
    })
}

pub(crate) fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    vec(draft(), 1..5)
}

pub(crate) fn hello() -> impl Strategy<Value = Hello> {
    (any::<u32>(), "\\PC{0,40}", any::<[u8; 16]>(), "[a-z]{0,32}", "[a-z/.0-9]{0,64}").prop_map(
        |(protocol, access_token, device, platform, sdk_version)| Hello {
            protocol,
            access_token,
            device: DeviceId::from_bytes(device),
            platform,
            sdk_version,
        },
    )
}

pub(crate) fn welcome() -> impl Strategy<Value = Welcome> {
    (any::<[u8; 16]>(), any::<[u32; 9]>(), any::<u32>(), number(), number(), any::<bool>()).prop_map(
        |(session, n, max_watched, user, time, readable)| {
            let n = n.map(|n| n.max(1));
            Welcome {
                session: SessionId::from_bytes(session),
                user: UserId(user.max(1)),
                max_frame: n[0],
                window: n[1],
                heartbeat_ms: n[2],
                silence_ms: n[3],
                ack_timeout_ms: n[4],
                ack_timeouts: n[5],
                server_time_ms: time,
                bodies_readable: readable,
                max_body: n[6],
                max_drafts: n[7],
                max_conversations: n[8],
                max_watched,
            }
        },
    )
}

/// Ranges and names that belong together: some ids in their order, of which the outer ones are the range.
pub(crate) fn sync() -> impl Strategy<Value = SyncQuestion> {
    let ids = btree_set(any::<[u8; 16]>(), 2..8);
    (ids, any::<[bool; 3]>(), any::<u32>(), 1..=SYNC_MESSAGES_MAX, number(), option::of(message_id())).prop_map(
        |(ids, [from, to, only_known], id, max_messages, cursor, message_id)| {
            let ids: Vec<_> = ids.into_iter().map(ConversationId::from_bytes).collect();
            let known = |id: &ConversationId| Known { conversation: *id, cursor: Seq(cursor), message_id };
            SyncQuestion {
                id,
                after: from.then(|| ids[0]),
                until: to.then(|| ids[ids.len() - 1]),
                known: ids[1..].iter().map(known).collect(),
                only_known,
                max_messages,
            }
        },
    )
}

fn kind() -> impl Strategy<Value = ConversationKind> {
    use ConversationKind::{Direct, Group, Private};
    proptest::sample::select(&[Direct, Private, Group])
}

pub(crate) fn signal() -> impl Strategy<Value = Signal> {
    (conversation(), number(), any::<[u8; 16]>(), vec(any::<u8>(), 1..=SIGNAL_MAX)).prop_map(
        |(conversation, user, device, body)| Signal {
            conversation,
            user: UserId(user),
            device: DeviceId::from_bytes(device),
            body: body.into(),
        },
    )
}

pub(crate) fn proto_signal(signal: &Signal) -> proto::Signal {
    proto::Signal { conversation_id: convert::WireId::wire(&signal.conversation), body: signal.body.clone() }
}

/// As they are read: ascending, each once.
pub(crate) fn watched() -> impl Strategy<Value = Vec<UserId>> {
    btree_set(number(), 0..=WATCHED_MAX).prop_map(|users| users.into_iter().filter(|n| *n > 0).map(UserId).collect())
}

pub(crate) fn proto_watch(users: &[UserId]) -> proto::Watch {
    proto::Watch { users: users.iter().map(|user| user.0).collect() }
}

pub(crate) fn presences() -> impl Strategy<Value = Vec<Presence>> {
    let states = &[PresenceState::Unknown, PresenceState::Offline, PresenceState::Online];
    let presence = (number(), proptest::sample::select(states), number());
    vec(presence, 0..5).prop_map(|list| {
        let read = |(user, state, last_seen): (u64, _, _)| Presence { user: UserId(user.max(1)), state, last_seen };
        list.into_iter().map(read).collect()
    })
}

pub(crate) fn proto_presences(presences: &[Presence]) -> proto::Presences {
    proto::Presences { presences: presences.iter().map(|presence| (*presence).into()).collect() }
}

fn view() -> impl Strategy<Value = View> {
    let numbers = (seq(), number(), number(), number());
    (messages(), any::<[bool; 2]>(), kind(), option::of(1..u64::MAX), numbers, cursors(), cursors()).prop_map(
        |(
            (conversation, messages),
            [reset, complete],
            kind,
            peer,
            (head, head_at, floor, unread),
            own,
            peer_cursors,
        )| View {
            conversation,
            kind,
            peer: peer.map(UserId),
            head,
            head_at,
            floor: Seq(floor),
            own,
            unread,
            peer_cursors,
            reset,
            messages,
            complete,
        },
    )
}

pub(crate) fn synced() -> impl Strategy<Value = SyncAnswer> {
    (any::<u32>(), vec(view(), 0..3), option::of(conversation())).prop_map(|(id, views, next)| SyncAnswer {
        id,
        views,
        next,
    })
}

fn goodbye() -> impl Strategy<Value = proto::Goodbye> {
    (any::<u32>(), "\\PC{0,20}", any::<u32>())
        .prop_map(|(code, reason, after)| convert::goodbye(GoodbyeCode(code), reason, after))
}

/// Everything that a client can say.
pub(crate) fn client_payload() -> impl Strategy<Value = ClientPayload> {
    let send = (conversation(), drafts()).prop_map(|(conversation, drafts)| proto::Send {
        conversation_id: convert::WireId::wire(&conversation),
        drafts: drafts.into_iter().map(Into::into).collect(),
    });
    prop_oneof![
        hello().prop_map(|hello| ClientPayload::Hello(hello.into())),
        Just(ClientPayload::Heartbeat(proto::Heartbeat {})),
        goodbye().prop_map(ClientPayload::Goodbye),
        send.prop_map(ClientPayload::Send),
        advanced().prop_map(|list| {
            ClientPayload::Advance(proto::Advance { cursors: list.into_iter().map(Into::into).collect() })
        }),
        sync().prop_map(|sync| ClientPayload::Sync(sync.into())),
        signal().prop_map(|signal| ClientPayload::Signal(proto_signal(&signal))),
        watched().prop_map(|users| ClientPayload::Watch(proto_watch(&users))),
    ]
}

/// Everything that a server can say.
pub(crate) fn server_payload() -> impl Strategy<Value = ServerPayload> {
    prop_oneof![
        welcome().prop_map(|welcome| ServerPayload::Welcome(welcome.into())),
        Just(ServerPayload::Heartbeat(proto::Heartbeat {})),
        goodbye().prop_map(ServerPayload::Goodbye),
        (conversation(), answers()).prop_map(|(c, list)| ServerPayload::Answers(proto_answers(c, &list))),
        messages().prop_map(|(c, list)| ServerPayload::Deliver(proto_deliver(c, &list))),
        receipts().prop_map(|list| ServerPayload::Receipts(proto_receipts(&list))),
        advanced().prop_map(|list| ServerPayload::Advanced(proto_advanced(&list))),
        synced().prop_map(|synced| ServerPayload::Synced(synced.into())),
        Just(ServerPayload::Poke(proto::Poke {})),
        signal().prop_map(|signal| ServerPayload::Signaled(signal.into())),
        presences().prop_map(|list| ServerPayload::Presences(proto_presences(&list))),
    ]
}

pub(crate) fn proto_answers(conversation: ConversationId, answers: &[(MessageId, Outcome)]) -> proto::Answers {
    let answers = answers.iter().map(|answer| (*answer).into()).collect();
    proto::Answers { conversation_id: convert::WireId::wire(&conversation), answers }
}

pub(crate) fn proto_deliver(conversation: ConversationId, messages: &[Message]) -> proto::Deliver {
    let messages = messages.iter().map(|message| message.clone().into()).collect();
    proto::Deliver { conversation_id: convert::WireId::wire(&conversation), messages }
}

pub(crate) fn proto_receipts(receipts: &[Receipt]) -> proto::Receipts {
    proto::Receipts { receipts: receipts.iter().map(|receipt| (*receipt).into()).collect() }
}

pub(crate) fn proto_advanced(cursors: &[(ConversationId, Cursors)]) -> proto::Advanced {
    proto::Advanced { cursors: cursors.iter().map(|cursor| (*cursor).into()).collect() }
}

/// Frames as they follow each other on a stream: each a number, an acknowledgement and a payload that fit together.
pub(crate) fn numbers(is_numbered: bool) -> impl Strategy<Value = (u64, u64)> {
    (number(), number()).prop_map(move |(number, ack)| (if is_numbered { number.max(1) } else { 0 }, ack))
}
