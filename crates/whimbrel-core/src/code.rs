//! The codes that cross the wire: why a session ended, why a draft was not taken.

use std::fmt;

/// What a client does after a goodbye; given by the code's range, so that codes can be added without new clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// 1000–1999: connect again, after the hint if there is one, otherwise with back-off.
    Reconnect,
    /// 2000–2999: get a new access token (refresh, or log in), then connect again.
    LogIn,
    /// 3000–3999: stop; a person or a developer has to change something.
    GiveUp,
}

macro_rules! goodbye_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// Why a side ends a session. The range of the number says what a client does next ([`Next`]).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct GoodbyeCode(pub u32);

        impl GoodbyeCode {
            $($(#[$doc])* pub const $name: GoodbyeCode = GoodbyeCode($number);)*

            /// Every code that this version knows, for tables and tests.
            pub const ALL: &'static [GoodbyeCode] = &[$(Self::$name),*];

            /// The code's name, as it is logged and printed; "unknown" for one of a newer version.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($number => $text,)*
                    _ => "unknown",
                }
            }
        }
    };
}

goodbye_codes! {
    /// The server is stopping or moving its clients; come back after the hint.
    MOVING = 1000, "moving";
    /// Nothing was heard for the announced time.
    SILENT = 1001, "silent";
    /// Acknowledgements stayed away for the announced number of timeouts.
    UNACKNOWLEDGED = 1002, "unacknowledged";
    /// The client read too slowly, and its queue filled up.
    TOO_SLOW = 1003, "too_slow";
    /// The server (or this address) has as many connections as it takes; come back after the hint.
    BUSY = 1004, "busy";
    /// Something that the server needs is away; come back after the hint.
    UNAVAILABLE = 1005, "unavailable";
    /// The client says goodbye of its own accord.
    CLIENT_LEAVES = 1006, "client_leaves";
    /// The access token has expired.
    TOKEN_EXPIRED = 2000, "token_expired";
    /// The access token is not one of this server's, or not for this device.
    TOKEN_INVALID = 2001, "token_invalid";
    /// The device was logged out.
    LOGGED_OUT = 2002, "logged_out";
    /// Another session of the same device took over.
    REPLACED = 3000, "replaced";
    /// The bytes are no frame.
    BAD_FRAME = 3001, "bad_frame";
    /// The frame is longer than the announced limit.
    FRAME_TOO_LARGE = 3002, "frame_too_large";
    /// A frame of a kind that this side does not know.
    UNKNOWN_FRAME = 3003, "unknown_frame";
    /// A frame came before Hello, or a second Hello, or a Sync while another was unanswered.
    UNEXPECTED_FRAME = 3004, "unexpected_frame";
    /// A frame's number is ahead of its turn.
    OUT_OF_TURN = 3005, "out_of_turn";
    /// More frames were sent than the announced window allows, or one was acknowledged that was never sent.
    WINDOW_VIOLATED = 3006, "window_violated";
    /// No Hello came within the announced time.
    HELLO_TIMEOUT = 3007, "hello_timeout";
    /// A part of a frame came, and the rest did not within the announced time.
    FRAME_TIMEOUT = 3008, "frame_timeout";
    /// The protocol version is not served here.
    VERSION_UNSUPPORTED = 3009, "version_unsupported";
    /// The account was deleted.
    ACCOUNT_GONE = 3010, "account_gone";
    /// A field of a frame is not what the protocol says: an id that is not 16 bytes, an empty list.
    BAD_FIELD = 3011, "bad_field";
}

impl GoodbyeCode {
    /// What a client does next. Unknown ranges are treated as [`Next::Reconnect`].
    pub const fn next(self) -> Next {
        match self.0 {
            2000..=2999 => Next::LogIn,
            3000..=3999 => Next::GiveUp,
            _ => Next::Reconnect,
        }
    }
}

impl fmt::Display for GoodbyeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $sentence:literal;)*) => {
        /// Why a draft was not placed. The numbers are sent.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Refusal {
            $($(#[$doc])* $name = $number,)*
        }

        impl Refusal {
            /// Every refusal, for tables and tests.
            pub const ALL: &'static [Refusal] = &[$(Self::$name),*];

            /// The number on the wire.
            pub const fn number(self) -> u32 {
                self as u32
            }

            /// The refusal with this number.
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its short name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// A sentence for a person.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }
        }
    };
}

refusals! {
    /// The sender is not in the conversation, or there is no such conversation.
    NotMember = 1, "not_member", "You are not in this conversation.";
    /// The two are not friends (any more).
    NotFriends = 2, "not_friends", "You can only write to friends.";
    /// One of the two blocks the other.
    Blocked = 3, "blocked", "This person cannot be written to.";
    /// Nobody submits to this conversation.
    ReadOnly = 4, "read_only", "Nobody can write to this conversation.";
    /// The body is longer than the limit.
    TooLarge = 5, "too_large", "The message is too long.";
    /// The kind is not one that may be submitted.
    BadKind = 6, "bad_kind", "Messages of this kind cannot be sent.";
    /// The deployment wants encrypted bodies and this one names no key version, or the reverse.
    BadKey = 7, "bad_key", "The message is not encrypted as this server requires.";
    /// The draft is older than the time within which repeats are recognised, or its id is not a UUIDv7.
    TooOld = 8, "too_old", "The message is too old, or its id is not one that this server takes.";
    /// The database refused the row for good; it was parked for the operator.
    Unplaceable = 9, "unplaceable", "The server could not store this message.";
    /// The sender, or everybody but owners and admins, may not speak in this group for a time.
    Muted = 10, "muted", "You cannot write to this group for now.";
    /// What this is about is not a message here, or not one to which this can be done.
    NoTarget = 11, "no_target", "The message that this is about is not there.";
    /// Only the author (or, for taking back, an owner or admin) may do this.
    NotYours = 12, "not_yours", "Only the author of a message can do this.";
    /// The time within which this may be done is over.
    TooLate = 13, "too_late", "It is too late to do this to the message.";
    /// The message that this is about was taken back.
    Recalled = 14, "recalled", "The message was taken back.";
    /// The sender's role does not allow this.
    NotAllowed = 15, "not_allowed", "Only owners and admins can send this.";
    /// The body is not of the form that its kind has: empty, or without the seq that it is about.
    BadBody = 16, "bad_body", "The message is not in the form that its kind has.";
    /// The stream that this would add to has ended.
    Finished = 17, "finished", "The message is finished.";
    /// The file that it comes with is not there (any more), is not whole, or is somebody else's: nobody would get it.
    NoFile = 18, "no_file", "The file of this message is not there. Send it again.";
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_a_goodbye_says_what_to_do() {
        assert_eq!(GoodbyeCode::MOVING.next(), Next::Reconnect);
        assert_eq!(GoodbyeCode::TOKEN_EXPIRED.next(), Next::LogIn);
        assert_eq!(GoodbyeCode::REPLACED.next(), Next::GiveUp);
        assert_eq!(GoodbyeCode(1999).next(), Next::Reconnect);
        assert_eq!(GoodbyeCode(3999).name(), "unknown");
    }

    #[test]
    fn a_refusal_reads_back_from_its_number() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_number(refusal.number()), Some(*refusal));
        }
    }
}
