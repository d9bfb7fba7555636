//! What a client may say, and when: the rules of the protocol after Hello, without I/O.
//!
//! Frames become requests here, checked for their form. Rights and lengths of bodies are the transfer's to judge.

use bytes::Bytes;
use whimbrel_core::{DeviceId, GoodbyeCode, SessionId, UserId};
use whimbrel_rpc::{RequestBody, SessionRef};
use whimbrel_wire::frame::decode_client;
use whimbrel_wire::window::{Accept, Receive, Transmit};
use whimbrel_wire::{ClientPayload, convert};

use crate::goodbye::End;

/// Where a session stands in its protocol.
pub(crate) struct Talk {
    /// Who speaks; nobody before Hello.
    pub(crate) who: SessionRef,
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
    /// The client leaves.
    Goodbye,
}

impl Talk {
    pub(crate) fn new(session: SessionId, window: u32) -> Self {
        let who = SessionRef { session, user: UserId(0), device: DeviceId::from_bytes([0; 16]) };
        let (receive, transmit) = (Receive::new(window), Transmit::new(window));
        Self { who, receive, transmit, sync_open: false, ack_now: false }
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
            Accept::Process => self.request(payload).map(Heard::Request),
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
            ClientPayload::Hello(_) | ClientPayload::Heartbeat(_) | ClientPayload::Goodbye(_) => {
                Err(End::say(GoodbyeCode::UNEXPECTED_FRAME))
            }
        }
    }

    /// Whether an acknowledgement goes out without waiting for something to carry it.
    pub(crate) fn is_ack_urgent(&self) -> bool {
        self.ack_now || self.receive.is_ack_urgent()
    }
}

/// What a request counts for the session's rate: a draft is a request.
pub(crate) fn units(body: &RequestBody) -> u64 {
    match body {
        RequestBody::Send { drafts, .. } => drafts.len() as u64,
        RequestBody::Advance(_) | RequestBody::Sync(_) => 1,
    }
}
