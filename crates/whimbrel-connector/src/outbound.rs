//! Pushes → frames. A push is encoded once, whatever the number of its sessions, and not at all when none is here.
//!
//! No frame is longer than the announced limit: what would be is cut into several, or in the case of a sync's answer
//! shortened, which the protocol allows at any conversation.

use std::sync::Arc;

use async_trait::async_trait;
use smallvec::{SmallVec, smallvec};
use whimbrel_core::limits::CURSORS_MAX;
use whimbrel_core::{Delivery, SyncAnswer};
use whimbrel_rpc::{Push, PushBody, PushItem, Taken, To};
use whimbrel_wire::{Encoded, ServerPayload};

use crate::House;
use crate::hub::Handle;
use crate::mailbox::{Bounds, Close, Kind, Put};

/// [`Push`] into a hub.
pub(crate) struct HubPush {
    pub(crate) house: Arc<House>,
    bounds: Bounds,
}

impl HubPush {
    pub(crate) fn new(house: Arc<House>) -> Self {
        let bounds = Bounds { frames: house.config.mailbox_frames, bytes: house.config.mailbox_bytes };
        Self { house, bounds }
    }

    /// Hands the item to one session; false: it has ended.
    pub(crate) fn hand(&self, handle: Arc<Handle>, item: &PushItem, round: &mut Round) -> bool {
        match self.put(&handle, &item.body, &mut round.frames, round.now) {
            Put::Gone => return false,
            Put::Taken { wake, overflowed } => {
                if overflowed {
                    self.house.figures.overflows.increment(1);
                }
                if wake {
                    round.wake.push(handle);
                }
            }
        }
        true
    }

    /// Hands the item to all it is for, and names those that are not here.
    async fn fan_out(&self, item: &PushItem, round: &mut Round, taken: &mut Taken) {
        let hub = &self.house.hub;
        match &item.to {
            To::Sessions(sessions) => {
                for id in sessions {
                    if !hub.get(id).is_some_and(|handle| self.hand(handle, item, round)) {
                        taken.unknown.push(*id);
                    }
                }
            }
            // Nobody claimed that they are here, so that nobody is unknown.
            To::Users { users, except } => {
                let theirs = users.iter().flat_map(|user| hub.of_user(*user));
                for handle in theirs.filter(|handle| !except.contains(&handle.id)) {
                    self.hand(handle, item, round);
                }
            }
            To::Device(user, device) => {
                for handle in hub.of_user(*user).into_iter().filter(|handle| handle.who().device == *device) {
                    self.hand(handle, item, round);
                }
            }
            To::Group(to) => {
                if !self.to_group(to, item, round).await && !taken.unrostered.contains(&to.group) {
                    taken.unrostered.push(to.group);
                }
            }
        }
    }

    fn put(&self, handle: &Handle, body: &PushBody, frames: &mut Option<Frames>, now: u64) -> Put {
        match body {
            PushBody::Poke => handle.mailbox.poke(),
            PushBody::Close { code, retry_after_ms } => {
                handle.mailbox.close(Close { code: *code, retry_after_ms: *retry_after_ms })
            }
            body => {
                let frames = frames.get_or_insert_with(|| encode(body, self.house.config.max_frame));
                handle.mailbox.put(kind(body), frames, self.bounds, now)
            }
        }
    }
}

#[async_trait]
impl Push for HubPush {
    async fn push(&self, items: Vec<PushItem>) -> Taken {
        let mut taken = Taken::default();
        let mut round = Round { now: self.house.clock.ms(), frames: None, wake: SmallVec::new() };
        for item in &items {
            round.frames = None;
            self.fan_out(item, &mut round, &mut taken).await;
        }
        for handle in round.wake {
            handle.waker.wake();
        }
        taken
    }
}

/// One batch of pushes under way.
pub(crate) struct Round {
    now: u64,
    /// The current item, once somebody was here for it.
    frames: Option<Frames>,
    /// Woken at the end, so that a session writes all of this batch at once.
    wake: SmallVec<[Arc<Handle>; 16]>,
}

type Frames = SmallVec<[Encoded; 1]>;

/// Most bytes of a message besides its body, of an entry of the other lists, and of what is around them all.
const MESSAGE_OVERHEAD: usize = 112;
const ENTRY_MAX: usize = 72;
const AROUND: usize = 64;
/// Most bytes of a view besides its messages.
const VIEW_OVERHEAD: usize = 160;

fn kind(body: &PushBody) -> Kind {
    match body {
        PushBody::Answers { .. } | PushBody::Advanced(_) => Kind::Answer,
        PushBody::Synced(_) => Kind::Synced,
        PushBody::Deliver(_) | PushBody::Receipts(_) => Kind::News,
        PushBody::Signal(_) => Kind::Signal,
        PushBody::Poke | PushBody::Close { .. } => Kind::Poke,
    }
}

/// How many entries of a list one frame holds.
pub(crate) fn entries(max_frame: usize) -> usize {
    (max_frame.saturating_sub(AROUND) / ENTRY_MAX).clamp(1, CURSORS_MAX)
}

fn encode(body: &PushBody, max_frame: usize) -> Frames {
    let (room, entries) = (max_frame.saturating_sub(AROUND), entries(max_frame));
    match body {
        PushBody::Answers { conversation, answers } => {
            answers.chunks(entries).map(|answers| Encoded::answers(*conversation, answers)).collect()
        }
        PushBody::Deliver(delivery) => deliver(delivery, room),
        PushBody::Receipts(receipts) => receipts.chunks(entries).map(Encoded::receipts).collect(),
        PushBody::Signal(signal) => smallvec![Encoded::signaled(signal)],
        PushBody::Advanced(cursors) => cursors.chunks(entries).map(Encoded::advanced).collect(),
        PushBody::Synced(answer) => smallvec![synced(SyncAnswer::clone(answer), room)],
        PushBody::Poke | PushBody::Close { .. } => Frames::new(),
    }
}

fn deliver(delivery: &Delivery, room: usize) -> Frames {
    let mut frames = Frames::new();
    let (mut start, mut size) = (0, 0);
    for (at, message) in delivery.messages.iter().enumerate() {
        let more = message.body.len() + MESSAGE_OVERHEAD;
        if size + more > room && at > start {
            frames.push(Encoded::deliver(delivery.conversation, &delivery.messages[start..at]));
            (start, size) = (at, 0);
        }
        size += more;
    }
    frames.push(Encoded::deliver(delivery.conversation, &delivery.messages[start..]));
    frames
}

fn synced(mut answer: SyncAnswer, room: usize) -> Encoded {
    shorten(&mut answer, room);
    Encoded::server(&ServerPayload::Synced(answer.into()))
}

/// Keeps what fits. A conversation whose messages do not all fit is not complete and the answer stops after it.
fn shorten(answer: &mut SyncAnswer, room: usize) {
    let mut left = room;
    for at in 0..answer.views.len() {
        let view = &mut answer.views[at];
        if left < VIEW_OVERHEAD && at > 0 {
            answer.next = Some(answer.views[at - 1].conversation);
            answer.views.truncate(at);
            return;
        }
        left = left.saturating_sub(VIEW_OVERHEAD);
        let mut fit = 0;
        for message in &view.messages {
            let size = message.body.len() + MESSAGE_OVERHEAD;
            if size > left && (at > 0 || fit > 0) {
                break;
            }
            left = left.saturating_sub(size);
            fit += 1;
        }
        if fit < view.messages.len() {
            view.messages.truncate(fit);
            view.complete = false;
            left = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_core::{
        ConversationId, ConversationKind, Cursors, DeviceId, Message, MessageId, MessageKind, Seq, UserId, View,
    };

    fn view(number: u8, messages: u64) -> View {
        let conversation = ConversationId::from_bytes([number; 16]);
        let message = |seq| Message {
            conversation,
            seq: Seq(seq),
            sender: UserId(u64::MAX),
            device: DeviceId::generate(),
            message_id: MessageId::generate(),
            kind: MessageKind(u32::MAX),
            key_version: u32::MAX,
            body: vec![1; 1000].into(),
            at: u64::MAX,
        };
        let most = Seq(u64::MAX);
        View {
            conversation,
            kind: ConversationKind::Direct,
            peer: Some(UserId(u64::MAX)),
            head: most,
            head_at: u64::MAX,
            floor: most,
            own: Cursors { delivered: most, read: most },
            unread: u64::MAX,
            peer_cursors: Cursors { delivered: most, read: most },
            reset: true,
            messages: (1..=messages).map(message).collect(),
            complete: true,
        }
    }

    #[test]
    fn a_sync_answer_that_is_too_long_stops_where_the_next_sync_goes_on() {
        // The idea: everything is as large as it can be, so that the estimates are at their limit.
        for max_frame in (3_000..40_000).step_by(500) {
            let views: Vec<View> = (1..=20).map(|number| view(number, 3)).collect();
            let mut answer = SyncAnswer { id: u32::MAX, views: views.clone(), next: None };
            let frame = synced(answer.clone(), max_frame - AROUND);
            assert!(frame.len() + whimbrel_wire::frame::ENVELOPE_MAX <= max_frame, "{} of {max_frame}", frame.len());
            shorten(&mut answer, max_frame - AROUND);
            let last = answer.views.last().expect("at least one");
            assert_eq!(answer.next, Some(last.conversation));
            let (cut, whole): (Vec<_>, Vec<_>) = answer.views.iter().partition(|view| !view.complete);
            assert!(cut.len() <= 1 && whole.iter().all(|view| view.messages.len() == 3));
        }
        let mut answer = SyncAnswer { id: 1, views: vec![view(1, 3)], next: None };
        shorten(&mut answer, 100_000);
        assert!(answer.views[0].complete && answer.next.is_none(), "what fits stays as it is");
    }

    #[test]
    fn the_largest_entries_fit_into_their_estimates() {
        let most = Cursors { delivered: Seq(u64::MAX), read: Seq(u64::MAX) };
        let conversation = ConversationId::generate();
        let receipt = whimbrel_core::Receipt { conversation, user: UserId(u64::MAX), cursors: most };
        let sent = whimbrel_core::Outcome::Sent { seq: Seq(u64::MAX), at: u64::MAX };
        let max_frame = 5_000;
        for body in [
            PushBody::Receipts(vec![receipt; 200]),
            PushBody::Advanced(vec![(conversation, most); 200]),
            PushBody::Answers { conversation, answers: vec![(MessageId::generate(), sent); 200] },
        ] {
            let frames = encode(&body, max_frame);
            assert!(frames.len() > 1);
            assert!(frames.iter().all(|frame| frame.len() + whimbrel_wire::frame::ENVELOPE_MAX <= max_frame));
        }
    }
}
