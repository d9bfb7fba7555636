//! What can be wrong with bytes that came in, and what the other side is told.

use whimbrel_core::GoodbyeCode;

/// Bytes that are not what the protocol says. Each ends the session, with [`FrameError::goodbye`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length prefix of 0.
    #[error("a frame of length 0")]
    Empty,
    /// A length prefix above the limit.
    #[error("a frame of {len} bytes, above the limit of {max}")]
    TooLarge {
        /// As announced by the prefix, bytes.
        len: usize,
        /// The limit, bytes.
        max: usize,
    },
    /// The bytes of a frame are not the encoding of one.
    #[error("a frame that does not decode")]
    Malformed,
    /// A numbered frame without a payload that this side knows.
    #[error("a numbered frame without a known payload")]
    Unknown,
    /// A field has a value that the protocol does not allow; the name is the one in client.proto.
    #[error("a bad value in the field {0}")]
    BadField(&'static str),
}

impl FrameError {
    /// The code of the goodbye that this deserves.
    pub const fn goodbye(&self) -> GoodbyeCode {
        match self {
            FrameError::Empty | FrameError::Malformed => GoodbyeCode::BAD_FRAME,
            FrameError::TooLarge { .. } => GoodbyeCode::FRAME_TOO_LARGE,
            FrameError::Unknown => GoodbyeCode::UNKNOWN_FRAME,
            FrameError::BadField(_) => GoodbyeCode::BAD_FIELD,
        }
    }
}
