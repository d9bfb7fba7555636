//! Every bound has a name here. Configuration may lower or raise those that a deployment may choose; the rest are
//! part of the protocol.

use std::time::Duration;

/// Longest frame before Hello was accepted, bytes: a token and a few names.
pub const HELLO_FRAME_MAX: usize = 8 * 1024;
/// Longest frame in either direction after Hello, bytes (announced in Welcome).
pub const FRAME_MAX: usize = 256 * 1024;
/// Longest stored body, bytes, nonce and tag included.
pub const BODY_MAX: usize = 64 * 1024;
/// Numbered frames that may be unacknowledged in one direction (announced in Welcome).
pub const WINDOW: u32 = 256;
/// Drafts in one Send frame.
pub const SEND_BATCH_MAX: usize = 100;
/// Conversations named in one Advance frame, or sent in one Receipts frame.
pub const CURSORS_MAX: usize = 500;
/// Conversations named in one Sync frame, and conversations in its answer.
pub const SYNC_CONVERSATIONS_MAX: usize = 500;
/// Messages in the answer to one Sync frame.
pub const SYNC_MESSAGES_MAX: usize = 1000;
/// Bytes of message bodies in the answer to one Sync frame (one message always fits).
pub const SYNC_BYTES_MAX: usize = 128 * 1024;
/// Frames that wait in a session's mailbox.
pub const MAILBOX_FRAMES: usize = 1024;
/// Bytes that wait in a session's mailbox.
pub const MAILBOX_BYTES: usize = 1024 * 1024;
/// Drafts that one record of the log holds.
pub const RECORD_DRAFTS_MAX: usize = 1024;
/// Records that wait in one partition of the log.
pub const LOG_RECORDS_MAX: usize = 4096;
/// Rows in one placing transaction (a record is never split: one record more may come on top).
pub const PLACE_ROWS_MAX: usize = 2048;
/// Conversations whose heads an archiver remembers, and memberships a transfer remembers.
pub const CONVERSATIONS_CACHED: usize = 100_000;
/// Friends and requests of one user.
pub const RELATIONS_MAX: u64 = 5000;
/// Versions of one conversation's key. Befriending again beyond this keeps the newest one: every version is handed out
/// with the relation, and two users can end and renew a friendship as often as they like.
pub const KEY_VERSIONS_MAX: u32 = 100;
/// Devices of one user that are not logged out.
pub const DEVICES_MAX: u64 = 50;
/// How long a role's or connector's lease lasts after it was renewed: who was killed is out of every answer after it.
pub const LEASE: Duration = Duration::from_secs(6);
/// How often leases are renewed and read.
pub const LEASE_EVERY: Duration = Duration::from_secs(1);
/// How long routes are not trusted after UserStatus began another life: connectors assert their sessions meanwhile, and
/// everything goes to every connector.
pub const ROUTES_UNSURE: Duration = Duration::from_secs(8);
/// Sessions in one assertion.
pub const ASSERT_MAX: usize = 1000;
