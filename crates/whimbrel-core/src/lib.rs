//! The words and the rules of Whimbrel, and nothing that does I/O.
//!
//! Everything here is a plain value: identifiers, messages, cursors, limits, codes, and the arithmetic on them that
//! every role and every SDK must agree on. No sockets, no tokio, no serde, no protobuf: those belong to the crates
//! that carry these values somewhere.

pub mod address;
pub mod code;
pub mod conversation;
pub mod cursor;
pub mod group;
pub mod id;
pub mod limits;
pub mod message;
pub mod placed;
pub mod presence;
pub mod roster;
pub mod search;
pub mod seq;
pub mod sync;

pub use address::AddressRange;
pub use code::{GoodbyeCode, Next, Refusal};
pub use conversation::{Audience, ConversationKind, DirectStanding, Members, Speak};
pub use cursor::{Counts, Cursors, unread_direct};
pub use group::{Action, GroupStanding, Role, Standing};
pub use id::{
    BatchId, ConnectorId, ConversationId, DeviceId, FileId, Incarnation, MessageId, SessionId, TransferId, UserId,
};
pub use message::{BodyHash, Draft, Message, MessageKind, Outcome};
pub use placed::{CursorMoved, Delivery, PlacedRow, Receipt, Signal};
pub use presence::{Presence, PresenceState, Privacy, Sight};
pub use roster::{Roster, RosterChange, Span};
pub use seq::Seq;
pub use sync::{Known, SyncAnswer, SyncQuestion, View};
