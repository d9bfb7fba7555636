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
/// Messages in one page of history.
pub const HISTORY_MESSAGES_MAX: usize = 500;
/// Bytes of message bodies in one page of history (one message always fits in each direction).
pub const HISTORY_BYTES_MAX: usize = 1024 * 1024;
/// Follow-ups of the messages of a page that are brought at once.
pub const HISTORY_FOLLOW_UPS_MAX: usize = 500;
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
/// Members of a group unless it is given another limit.
pub const GROUP_MEMBERS: u32 = 10_000;
/// The highest limit that a group can be given.
pub const GROUP_MEMBERS_MAX: u32 = 100_000;
/// Groups that one user is in.
pub const GROUPS_MAX: u64 = 1000;
/// Requests and invitations of one group that wait for an answer.
pub const GROUP_REQUESTS_MAX: u64 = 1000;
/// Earlier times in a group that somebody who left and came back still sees; older ones are forgotten.
pub const GROUP_SPANS_MAX: usize = 100;
/// Users named in one change of a group.
pub const GROUP_CHANGE_USERS_MAX: usize = 1000;
/// Up to so many members, a group's messages are routed by member, its members see each other's DELIVERED, and signals
/// pass. Above, they go to every connector.
pub const SMALL_GROUP: u32 = 100;
/// Members in the rosters that one transfer, or one connector, remembers.
pub const ROSTER_MEMBERS_CACHED: u64 = 2_000_000;
/// Members, those who were in it counted, of a roster that goes to a connector whole. What is for a group with more goes
/// by user.
pub const ROSTER_PUSHED_MAX: u64 = 250_000;
/// Members in the rosters that one transfer has under way to connectors.
pub const ROSTER_MEMBERS_UNDER_WAY: u32 = 1_000_000;
/// Senders' standings that an archiver remembers for one group.
pub const STANDINGS_CACHED: usize = 1024;
/// Longest body of a signal (typing and the like), bytes.
pub const SIGNAL_MAX: usize = 512;
/// Signals go into a mailbox while less than one in so many parts of it is taken.
pub const SIGNAL_MAILBOX_SHARE: usize = 4;
/// Users whom one session may watch, and users named in one question by REST.
pub const WATCHED_MAX: usize = 200;
/// Users watched by all sessions of a connector together, each counted for each session.
pub const WATCHES_MAX: usize = 4_000_000;
/// How often a connector asks who of those that its sessions watch has come or gone.
pub const PRESENCE_EVERY: Duration = Duration::from_millis(2500);
/// Watched users in one such question.
pub const PRESENCE_USERS_ASKED: usize = 10_000;
/// Pairs (who looks, at whom) in one question for what they are shown.
pub const PRESENCE_PAIRS_ASKED: usize = 2_000;
/// After so many questions in a row without an answer, presence is told as unknown.
pub const PRESENCE_BLIND_AFTER: u32 = 2;
/// Changes of settings and friendships that are looked through at a time; if there were more, all pairs are asked for
/// again.
pub const PRESENCE_CHANGES_MAX: usize = 10_000;
/// "Last seen" of one user is written at most so often.
pub const LAST_SEEN_EVERY: Duration = Duration::from_secs(60);
/// Users whose "last seen" waits to be written; of more it is lost.
pub const LAST_SEEN_GATHERED: usize = 100_000;
/// Users who are here and of whom one process writes now and then that they were seen; some 20 bytes each.
pub const LAST_SEEN_LASTING: usize = 1_000_000;
/// Users in one write of "last seen".
pub const LAST_SEEN_ROWS: usize = 1000;
/// A message may be taken back by its author for so long, unless the deployment says otherwise.
pub const RECALL_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// Follow-ups with content (edits, parts of a stream) that one message may have.
pub const FOLLOW_UPS_MAX: u32 = 10_000;
/// Words of a group's name by which searches find it: the first ones.
pub const SEARCH_STARTS_MAX: usize = 32;
/// Letters that are looked at, of what is searched for and of what is found.
pub const SEARCH_TERM_MAX: usize = 100;
/// Owner and admins of a group who are told that somebody waits for their answer.
pub const GROUP_ANSWERERS_TOLD: usize = 50;
/// Longest name of a file, bytes.
pub const FILE_NAME_MAX: usize = 255;
/// Longest media type of a file, bytes.
pub const FILE_TYPE_MAX: usize = 127;
/// Bytes that one request adds to an upload, at most.
pub const FILE_PIECE_MAX: u64 = 8 * 1024 * 1024;
/// Ranges of a file that prove, together, that one has it.
pub const PROOF_RANGES: usize = 16;
/// Bytes of each of them, at most.
pub const PROOF_RANGE_BYTES: u64 = 4096;
/// Bytes of a file's beginning by which its type is known.
pub const FILE_HEAD: u64 = 16 * 1024;
/// Bytes of plain content in one sealed chunk of a file, unless its message says otherwise.
pub const FILE_CHUNK: usize = 64 * 1024;
/// Longest small picture in a message, bytes.
pub const THUMBNAIL_MAX: usize = 16 * 1024;
/// Heights of a voice message's waveform, at most.
pub const WAVEFORM_MAX: usize = 128;
/// Words in one search of messages.
pub const SEARCH_TERMS_MAX: usize = 10;
/// Letters in one search of messages.
pub const SEARCH_LETTERS_MAX: usize = 200;
/// Bytes of one message's text by which searches find it: the first ones.
pub const SEARCH_TEXT_MAX: usize = BODY_MAX;
/// Messages in one page of what a search found.
pub const SEARCH_PAGE_MAX: usize = 100;
/// Messages that are looked at for one page of what a search found.
pub const SEARCH_LOOK_MAX: usize = 2000;
/// Characters of a message that are shown of what a search found.
pub const SNIPPET_LETTERS: usize = 160;
