//! Identifiers: one type for each kind of thing, so that the compiler refuses to mix them.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A text that should have been an identifier and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseIdError {
    /// What was being read, such as "conversation id".
    pub what: &'static str,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a {}: expected a UUID", self.what)
    }
}

impl std::error::Error for ParseIdError {}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $new:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identifier with these 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The identifier in `bytes`, if there are exactly 16 of them.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The 16 bytes, in the order in which they are sent and stored.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// A new identifier that nobody else has.
            pub fn generate() -> Self {
                Self(*Uuid::$new().as_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Uuid::parse_str(text).map(|id| Self(*id.as_bytes())).map_err(|_| ParseIdError { what: $what })
            }
        }
    };
}

uuid_id!(
    /// A conversation, for ever: a pair of users keeps one, and a user's private one is theirs alone.
    ConversationId, "conversation id", now_v7
);
uuid_id!(
    /// A message, named by the SDK that sends it (UUIDv7, RFC 9562): the key under which a retry is recognised.
    MessageId, "message id", now_v7
);
uuid_id!(
    /// A file: what one user uploaded once (UUIDv7). The same content uploaded again is another file.
    FileId, "file id", now_v7
);
uuid_id!(
    /// An installation of a client, named once by that client (or by the server at log-in) and kept.
    DeviceId, "device id", new_v4
);
uuid_id!(
    /// One live connection of a device; never reused.
    SessionId, "session id", new_v4
);
uuid_id!(
    /// One run of a connector process.
    ConnectorId, "connector id", new_v4
);
uuid_id!(
    /// One run of a transfer process.
    TransferId, "transfer id", new_v4
);
uuid_id!(
    /// One life of UserStatus: another one, and what was known of it is void.
    Incarnation, "incarnation", new_v4
);
uuid_id!(
    /// One batch that a transfer gave to the log.
    BatchId, "batch id", new_v4
);

impl MessageId {
    /// The milliseconds since 1970 that a UUIDv7 begins with; `None` for any other UUID version.
    pub fn unix_ms(&self) -> Option<u64> {
        let b = &self.0;
        (b[6] >> 4 == 7).then(|| u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]]))
    }
}

/// A person. Given by the directory: 1, 2, 3, …; 0 is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub u64);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let id = ConversationId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(
            "x".parse::<ConversationId>().map_err(|e| e.to_string()),
            Err("not a conversation id: expected a UUID".into())
        );
    }

    #[test]
    fn a_message_id_carries_its_time() {
        let id: MessageId = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().expect("RFC 9562, appendix A.6");
        assert_eq!(id.unix_ms(), Some(0x017F_22E2_79B0));
        assert_eq!(MessageId::from_bytes([0; 16]).unix_ms(), None);
    }
}
