//! What a client may say, and when: the rules of the protocol after Hello, without I/O.
//!
//! Frames become requests here, checked for their form. Rights and lengths of bodies are the transfer's to judge.

use bytes::Bytes;
use whimbrel_core::{GoodbyeCode, UserId};
use whimbrel_rpc::RequestBody;
use whimbrel_wire::frame::decode_client;
use whimbrel_wire::window::{Accept, Receive, Transmit};
use whimbrel_wire::{ClientPayload, convert};

use crate::goodbye::End;

/// Where a session stands in its protocol.
pub(crate) struct Talk {
    pub(crate) receive: Receive,
    pub(crate) transmit: Transmit,
    /// A Sync is under way.
    pub(crate) sync_open: bool,
    /// A repeat came: it is acknowledged at once, since its sender is waiting for that.
    pub(crate) ack_now: bool,
}

/// What a frame means to the connector.
#[derive(Debug)]
pub(crate) enum Heard {
    /// An acknowledgement, a heartbeat, a repeat.
    Nothing,
    /// Something for the transfer.
    Request(RequestBody),
    /// The session watches these from now on.
    Watch(Vec<UserId>),
    /// The client leaves.
    Goodbye,
}

impl Talk {
    pub(crate) fn new(window: u32) -> Self {
        Self { receive: Receive::new(window), transmit: Transmit::new(window), sync_open: false, ack_now: false }
    }

    /// Takes a frame of an open session, without its length prefix.
    pub(crate) fn hear(&mut self, frame: Bytes, now: u64) -> Result<Heard, End> {
        let frame = decode_client(frame)?;
        self.transmit.acknowledged(frame.ack, now).map_err(|violated| End::say(violated.goodbye()))?;
        let Some(payload) = frame.payload else { return Ok(Heard::Nothing) };
        match payload {
            ClientPayload::Hello(_) => return Err(End::say(GoodbyeCode::UNEXPECTED_FRAME)),
            ClientPayload::Heartbeat(_) => return Ok(Heard::Nothing),
            ClientPayload::Goodbye(_) => return Ok(Heard::Goodbye),
            _ => {}
        }
        match self.receive.accept(frame.number) {
            Accept::Process => match payload {
                ClientPayload::Watch(watch) => Ok(Heard::Watch(convert::watch(watch)?)),
                payload => self.request(payload).map(Heard::Request),
            },
            Accept::Repeat => {
                self.ack_now = true;
                Ok(Heard::Nothing)
            }
            Accept::OutOfTurn => Err(End::say(GoodbyeCode::OUT_OF_TURN)),
            Accept::BeyondWindow => Err(End::say(GoodbyeCode::WINDOW_VIOLATED)),
        }
    }

    fn request(&mut self, payload: ClientPayload) -> Result<RequestBody, End> {
        match payload {
            ClientPayload::Send(send) => {
                let (conversation, drafts) = convert::send(send)?;
                Ok(RequestBody::Send { conversation, drafts })
            }
            ClientPayload::Advance(advance) => Ok(RequestBody::Advance(convert::advance(advance)?)),
            ClientPayload::Sync(_) if self.sync_open => Err(End::say(GoodbyeCode::UNEXPECTED_FRAME)),
            ClientPayload::Sync(sync) => {
                let question = convert::sync(sync)?;
                self.sync_open = true;
                Ok(RequestBody::Sync(question))
            }
            ClientPayload::Signal(signal) => {
                let (conversation, body) = convert::signal(signal)?;
                Ok(RequestBody::Signal { conversation, body })
            }
            ClientPayload::Hello(_)
            | ClientPayload::Heartbeat(_)
            | ClientPayload::Goodbye(_)
            | ClientPayload::Watch(_) => Err(End::say(GoodbyeCode::UNEXPECTED_FRAME)),
        }
    }

    /// Whether an acknowledgement goes out without waiting for something to carry it.
    pub(crate) fn is_ack_urgent(&self) -> bool {
        self.ack_now || self.receive.is_ack_urgent()
    }
}

/// Cursors of one Advance that count as one draft: each is a row like a draft, but one that is merged into what is
/// there, not placed, copied and delivered.
const CURSORS_PER_UNIT: usize = 10;
/// What a Sync counts, in drafts: it may name 500 conversations and read 1000 rows. That is known only when it is
/// answered, so that all Syncs count the same.
const SYNC_UNITS: u64 = 25;

/// Users of one Watch that count as one draft: each is a row that is read, and an entry in its answer.
const WATCHED_PER_UNIT: usize = 10;

/// What a Watch of so many users counts for the session's rate, in drafts.
pub(crate) fn units_of_watch(users: usize) -> u64 {
    1 + (users / WATCHED_PER_UNIT) as u64
}

/// What a request counts for the session's rate, in drafts.
pub(crate) fn units(body: &RequestBody) -> u64 {
    match body {
        RequestBody::Send { drafts, .. } => drafts.len() as u64,
        RequestBody::Advance(cursors) => 1 + (cursors.len() / CURSORS_PER_UNIT) as u64,
        RequestBody::Sync(_) => SYNC_UNITS,
        RequestBody::Signal { .. } => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::rate::Rates;
    use whimbrel_core::limits::CURSORS_MAX;
    use whimbrel_core::{ConversationId, Cursors};
    use whimbrel_wire::proto;

    fn advance(conversations: usize) -> RequestBody {
        RequestBody::Advance(vec![(ConversationId::generate(), Cursors::default()); conversations])
    }

    fn sync() -> RequestBody {
        RequestBody::Sync(convert::sync(proto::Sync { id: 1, ..Default::default() }).expect("a sync"))
    }

    #[test]
    fn a_request_counts_what_it_makes_others_do() {
        assert_eq!([1, 9, 10, CURSORS_MAX].map(|n| units(&advance(n))), [1, 1, 2, 51]);
        assert_eq!(units(&sync()), 25);
    }

    #[test]
    fn the_default_burst_holds_a_return_with_much_to_catch_up_and_stops_a_flood_of_syncs() {
        // The idea: 500 conversations, a Sync and 40 that go on (40,000 messages), and then all cursors twice, each
        // conversation by itself the first time: at one moment, and no pause.
        let config = Config::default();
        let mut rates = Rates::default();
        let mut pause = |body: &RequestBody| rates.charge(&config, units(body), 0, 1_000);
        assert!((0..41).all(|_| pause(&sync()) == 0));
        assert!((0..CURSORS_MAX).all(|_| pause(&advance(1)) == 0));
        assert_eq!(pause(&advance(CURSORS_MAX)), 0);
        assert!((0..20).any(|_| pause(&sync()) > 0), "the rest of the burst is less than 20 Syncs");
    }
}
