//! Hello → Welcome: who is this, and on which terms.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use whimbrel_core::{GoodbyeCode, SessionId, UserId, limits};
use whimbrel_rpc::token::TokenError;
use whimbrel_rpc::{Attach, AttachRefused, SessionRef};
use whimbrel_wire::frame::{decode_client, put_frame};
use whimbrel_wire::{ClientPayload, Encoded, ServerPayload, convert};

use crate::House;
use crate::config::{Config, wire_ms};
use crate::goodbye::End;

/// Judges the first frame of a connection.
pub(crate) fn hello(frame: Bytes, session: SessionId, house: &House) -> Result<Attach, End> {
    let frame = decode_client(frame)?;
    if frame.ack != 0 {
        return Err(End::say(GoodbyeCode::WINDOW_VIOLATED));
    }
    let hello = match frame.payload {
        Some(ClientPayload::Hello(hello)) => hello,
        Some(ClientPayload::Goodbye(_)) => return Err(End::Left),
        _ => return Err(End::say(GoodbyeCode::UNEXPECTED_FRAME)),
    };
    // Before its other fields are judged: another version may see them differently.
    if hello.protocol != convert::PROTOCOL {
        return Err(End::say(GoodbyeCode::VERSION_UNSUPPORTED));
    }
    let hello = convert::hello(hello)?;
    let bearer = house.token_key.check(&hello.access_token).map_err(|error| match error {
        TokenError::Expired => End::say(GoodbyeCode::TOKEN_EXPIRED),
        TokenError::Invalid => End::say(GoodbyeCode::TOKEN_INVALID),
    })?;
    if bearer.device != hello.device || bearer.user == UserId(0) {
        return Err(End::say(GoodbyeCode::TOKEN_INVALID));
    }
    let session = SessionRef { session, user: bearer.user, device: bearer.device };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    Ok(Attach { session, connector: house.id, since, platform: hello.platform })
}

/// What the client is told when the transfer refused.
pub(crate) fn refused(config: &Config, refused: AttachRefused) -> End {
    match refused {
        AttachRefused { code: GoodbyeCode::UNAVAILABLE, retry_after_ms: 0 } => {
            End::away(config, GoodbyeCode::UNAVAILABLE)
        }
        AttachRefused { code, retry_after_ms } => End::Say { code, retry_after_ms, fault: None },
    }
}

/// The bytes of the Welcome frame.
pub(crate) fn welcome(config: &Config, who: SessionRef) -> Bytes {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let welcome = convert::Welcome {
        session: who.session,
        user: who.user,
        max_frame: number(config.max_frame),
        window: config.window,
        heartbeat_ms: wire_ms(config.heartbeat),
        silence_ms: wire_ms(config.silence),
        ack_timeout_ms: wire_ms(config.ack_timeout),
        ack_timeouts: config.ack_timeouts,
        server_time_ms: now.as_millis() as u64,
        bodies_readable: config.bodies_readable,
        max_body: number(limits::BODY_MAX),
        max_drafts: number(limits::SEND_BATCH_MAX),
        max_conversations: number(limits::SYNC_CONVERSATIONS_MAX.min(limits::CURSORS_MAX)),
        max_watched: number(limits::WATCHED_MAX),
    };
    let mut bytes = Vec::new();
    put_frame(&mut bytes, 0, 0, Some(&Encoded::server(&ServerPayload::Welcome(welcome.into()))));
    bytes.into()
}
