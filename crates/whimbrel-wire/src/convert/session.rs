//! Hello, Welcome, Goodbye.

use whimbrel_core::{DeviceId, GoodbyeCode, SessionId, UserId};

use super::{WireId, id};
use crate::{FrameError, proto};

/// The protocol version that this crate speaks.
pub const PROTOCOL: u32 = 1;
/// Longest `Hello.platform`, bytes.
const PLATFORM_MAX: usize = 32;
/// Longest `Hello.sdk_version`, bytes.
const SDK_VERSION_MAX: usize = 64;

/// A Hello whose fields are well-formed. Its Debug does not show the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// The version that the client speaks; to be compared with [`PROTOCOL`].
    pub protocol: u32,
    /// The access token, unchecked.
    pub access_token: String,
    /// The client's device, to be compared with the token's.
    pub device: DeviceId,
    /// For people.
    pub platform: String,
    /// For people.
    pub sdk_version: String,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello")
            .field("protocol", &self.protocol)
            .field("device", &self.device)
            .field("platform", &self.platform)
            .field("sdk_version", &self.sdk_version)
            .finish_non_exhaustive()
    }
}

/// A Welcome whose fields are well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The session's name.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Longest frame in either direction, bytes.
    pub max_frame: u32,
    /// Numbered frames that may be unacknowledged in one direction.
    pub window: u32,
    /// A side that has sent nothing for so long sends a heartbeat, milliseconds.
    pub heartbeat_ms: u32,
    /// A side that has heard nothing for so long closes, milliseconds.
    pub silence_ms: u32,
    /// A receiver acknowledges within, milliseconds.
    pub ack_timeout_ms: u32,
    /// How many of these a sender waits before it closes.
    pub ack_timeouts: u32,
    /// The server's clock, milliseconds since 1970.
    pub server_time_ms: u64,
    /// Bodies are not sealed.
    pub bodies_readable: bool,
    /// Longest `Draft.body`, bytes.
    pub max_body: u32,
    /// Most drafts in one Send.
    pub max_drafts: u32,
    /// Most conversations in one Sync, and most cursors in one Advance.
    pub max_conversations: u32,
    /// Most users in one Watch; 0: the server knows no presence.
    pub max_watched: u32,
}

/// Reads a Hello.
///
/// # Errors
/// [`FrameError::BadField`] for a device id that is none, and for names that are too long.
pub fn hello(hello: proto::Hello) -> Result<Hello, FrameError> {
    let proto::Hello { protocol, access_token, device_id, platform, sdk_version } = hello;
    if platform.len() > PLATFORM_MAX {
        return Err(FrameError::BadField("platform"));
    }
    if sdk_version.len() > SDK_VERSION_MAX {
        return Err(FrameError::BadField("sdk_version"));
    }
    Ok(Hello { protocol, access_token, device: id(&device_id, "device_id")?, platform, sdk_version })
}

impl From<Hello> for proto::Hello {
    fn from(hello: Hello) -> Self {
        let Hello { protocol, access_token, device, platform, sdk_version } = hello;
        proto::Hello { protocol, access_token, device_id: device.wire(), platform, sdk_version }
    }
}

/// Reads a Welcome.
///
/// # Errors
/// [`FrameError::BadField`] for a session id that is none, for user 0, and for a limit of 0.
pub fn welcome(welcome: proto::Welcome) -> Result<Welcome, FrameError> {
    let positive = [
        (welcome.user_id, "user_id"),
        (welcome.max_frame.into(), "max_frame"),
        (welcome.window.into(), "window"),
        (welcome.heartbeat_ms.into(), "heartbeat_ms"),
        (welcome.silence_ms.into(), "silence_ms"),
        (welcome.ack_timeout_ms.into(), "ack_timeout_ms"),
        (welcome.ack_timeouts.into(), "ack_timeouts"),
        (welcome.max_body.into(), "max_body"),
        (welcome.max_drafts.into(), "max_drafts"),
        (welcome.max_conversations.into(), "max_conversations"),
    ];
    if let Some((_, field)) = positive.iter().find(|(value, _)| *value == 0) {
        return Err(FrameError::BadField(field));
    }
    Ok(Welcome {
        session: id(&welcome.session_id, "session_id")?,
        user: UserId(welcome.user_id),
        max_frame: welcome.max_frame,
        window: welcome.window,
        heartbeat_ms: welcome.heartbeat_ms,
        silence_ms: welcome.silence_ms,
        ack_timeout_ms: welcome.ack_timeout_ms,
        ack_timeouts: welcome.ack_timeouts,
        server_time_ms: welcome.server_time_ms,
        bodies_readable: welcome.bodies_readable,
        max_body: welcome.max_body,
        max_drafts: welcome.max_drafts,
        max_conversations: welcome.max_conversations,
        max_watched: welcome.max_watched,
    })
}

impl From<Welcome> for proto::Welcome {
    fn from(welcome: Welcome) -> Self {
        proto::Welcome {
            session_id: welcome.session.wire(),
            user_id: welcome.user.0,
            max_frame: welcome.max_frame,
            window: welcome.window,
            heartbeat_ms: welcome.heartbeat_ms,
            silence_ms: welcome.silence_ms,
            ack_timeout_ms: welcome.ack_timeout_ms,
            ack_timeouts: welcome.ack_timeouts,
            server_time_ms: welcome.server_time_ms,
            bodies_readable: welcome.bodies_readable,
            max_body: welcome.max_body,
            max_drafts: welcome.max_drafts,
            max_conversations: welcome.max_conversations,
            max_watched: welcome.max_watched,
        }
    }
}

/// A Goodbye. `retry_after_ms` 0: no hint.
pub fn goodbye(code: GoodbyeCode, reason: impl Into<String>, retry_after_ms: u32) -> proto::Goodbye {
    proto::Goodbye { code: code.0, reason: reason.into(), retry_after_ms }
}
