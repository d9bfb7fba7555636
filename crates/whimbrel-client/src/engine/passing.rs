//! Signals: what passes, here and there. Nothing of it is stored, and a session's end forgets what was not sent.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use prost::Message as _;
use tokio::time::Instant;
use whimbrel_core::limits::SIGNAL_MAX;
use whimbrel_core::{ConversationId, Signal, UserId};
use whimbrel_wire::proto::{SignalBody, signal_body::What};

use crate::event::Event;

/// "Is typing" passes by itself after so long.
pub(crate) const TYPING_LASTS: Duration = Duration::from_secs(6);
/// While the user goes on writing, that is told again after so long.
const TYPING_AGAIN: Duration = Duration::from_secs(3);
/// Signals that wait for room; older ones give way.
const OUT_MAX: usize = 16;
/// People whose writing is remembered.
const WRITING_MAX: usize = 1000;

/// Signals of one device.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    out: VecDeque<(ConversationId, Bytes)>,
    /// Where it was told that the user writes, and when.
    told: HashMap<ConversationId, Instant>,
    /// Until when others are taken to write.
    writing: HashMap<(ConversationId, UserId), Instant>,
}

impl Passing {
    pub(crate) fn session_started(&mut self) {
        self.out.clear();
        self.told.clear();
    }

    /// The user writes, or has stopped.
    pub(crate) fn typing(&mut self, id: ConversationId, typing: bool, now: Instant) {
        let told = if typing { self.told.get(&id).copied() } else { self.told.remove(&id) };
        let is_fresh = told.is_some_and(|at| at + TYPING_AGAIN > now);
        match (typing, told) {
            (true, _) if is_fresh => return,
            // Nobody was told, or it has passed.
            (false, None) => return,
            (true, _) => {
                self.told.retain(|_, at| *at + TYPING_LASTS > now);
                self.told.insert(id, now);
            }
            (false, Some(_)) => {}
        }
        self.put(id, &SignalBody { what: Some(What::Typing(typing)) });
    }

    /// The embedding product's own. Says whether it is short enough.
    pub(crate) fn custom(&mut self, id: ConversationId, data: Bytes) -> bool {
        let body = SignalBody { what: Some(What::Custom(data)) };
        let fits = body.encoded_len() <= SIGNAL_MAX;
        if fits {
            self.put(id, &body);
        }
        fits
    }

    fn put(&mut self, id: ConversationId, body: &SignalBody) {
        if self.out.len() >= OUT_MAX {
            self.out.pop_front();
        }
        self.out.push_back((id, body.encode_to_vec().into()));
    }

    pub(crate) fn next(&mut self) -> Option<(ConversationId, Bytes)> {
        self.out.pop_front()
    }

    /// Somebody else's signal.
    pub(crate) fn heard(&mut self, signal: Signal, now: Instant) -> Option<Event> {
        let Signal { conversation, user, device, body } = signal;
        match SignalBody::decode(body).ok()?.what? {
            What::Typing(true) => {
                let is_room = self.writing.len() < WRITING_MAX || self.writing.contains_key(&(conversation, user));
                let known = is_room.then(|| self.writing.insert((conversation, user), now + TYPING_LASTS))?;
                known.is_none().then_some(Event::Typing { conversation, user, typing: true })
            }
            What::Typing(false) => self.stopped(conversation, user),
            What::Custom(data) => Some(Event::Signal { conversation, user, device, data }),
        }
    }

    /// Somebody has said what they wrote, or has stopped.
    pub(crate) fn stopped(&mut self, conversation: ConversationId, user: UserId) -> Option<Event> {
        self.writing.remove(&(conversation, user)).map(|_| Event::Typing { conversation, user, typing: false })
    }

    /// One's own message went out: others take the writing as ended.
    pub(crate) fn said(&mut self, id: ConversationId) {
        self.told.remove(&id);
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Event> {
        let over = self.writing.iter().filter(|(_, until)| **until <= now).map(|(who, _)| *who);
        let over: Vec<_> = over.collect();
        over.into_iter().filter_map(|(conversation, user)| self.stopped(conversation, user)).collect()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.writing.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_core::DeviceId;

    const CHAT: ConversationId = ConversationId::from_bytes([1; 16]);
    const BOB: UserId = UserId(2);

    fn typing(typing: bool) -> Signal {
        let body = SignalBody { what: Some(What::Typing(typing)) }.encode_to_vec().into();
        Signal { conversation: CHAT, user: BOB, device: DeviceId::from_bytes([2; 16]), body }
    }

    fn says(event: Option<Event>) -> Option<bool> {
        match event? {
            Event::Typing { typing, .. } => Some(typing),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn typing_is_told_once_and_passes_by_itself() {
        let (mut passing, now) = (Passing::default(), Instant::now());
        assert_eq!(says(passing.heard(typing(true), now)), Some(true));
        assert_eq!(says(passing.heard(typing(true), now + Duration::from_secs(3))), None);
        assert!(passing.tick(now + TYPING_LASTS).is_empty());
        let over = passing.tick(now + Duration::from_secs(3) + TYPING_LASTS);
        assert_eq!(over.into_iter().map(|event| says(Some(event))).collect::<Vec<_>>(), [Some(false)]);
        assert_eq!(passing.deadline(), None);
        assert_eq!(says(passing.heard(typing(false), now)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_on_writing_is_not_told_with_every_letter() {
        let (mut passing, now) = (Passing::default(), Instant::now());
        let sent = |passing: &mut Passing| std::iter::from_fn(|| passing.next()).count();
        passing.typing(CHAT, false, now);
        assert_eq!(sent(&mut passing), 0, "nobody was told");
        for after in [0, 1, 2] {
            passing.typing(CHAT, true, now + Duration::from_secs(after));
        }
        assert_eq!(sent(&mut passing), 1);
        passing.typing(CHAT, true, now + TYPING_AGAIN);
        passing.typing(CHAT, false, now + TYPING_AGAIN);
        assert_eq!(sent(&mut passing), 2);
    }

    #[test]
    fn a_signal_of_ones_own_is_short_and_there_are_few() {
        let mut passing = Passing::default();
        assert!(!passing.custom(CHAT, vec![0; SIGNAL_MAX].into()));
        for _ in 0..2 * OUT_MAX {
            assert!(passing.custom(CHAT, vec![0; 100].into()));
        }
        assert_eq!(std::iter::from_fn(|| passing.next()).count(), OUT_MAX);
    }
}
