//! One conversation on this device: its run, by the rule of the seq, and its unread count.
//!
//! Invariants:
//! * `row.base ..= row.cursor` is the run: nothing is stored beyond the cursor, and nothing is missing below it.
//! * `row.shown ≤ row.cursor`: what was stored and not shown yet waits for a key. It is not kept here; the store has it.
//! * `row.unread` counts what others said in (`row.unread_from`, `row.unread_upto`]. When that is not
//!   (own read cursor, cursor] (a view was older or newer than the device), a recount puts it right.

use whimbrel_core::{ConversationId, ConversationKind, Cursors, Message, Seq, UserId, View};

use crate::builder::FirstSync;
use crate::store::{ConversationRow, MENTIONS_MAX};

/// A conversation while a client runs.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// What the store has as well, once the batch is committed.
    pub(crate) row: ConversationRow,
    /// One's own cursors as far as the server confirmed them in this session.
    pub(crate) durable: Cursors,
    /// The unread count that the application was told last.
    pub(crate) told_unread: u64,
    /// In this session a view has shown that the run is of the server's timeline. Before that nothing live is appended:
    /// a restored server's next message could follow the run's number and hide the difference below it.
    pub(crate) compared: bool,
}

/// What the rule of the seq says about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is stored.
    Known,
    /// It comes next: store it.
    Next,
    /// Something is missing before it, or may be: ask.
    Beyond,
}

/// How an unread count is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recount {
    /// It is this.
    Is(u64),
    /// What is stored in (after, upto], nothing else.
    Count { after: Seq, upto: Seq },
    /// What it was, without what is stored in (`read.0`, `read.1`], and with what is stored in (`new.0`, `new.1`].
    Adjust { read: (Seq, Seq), new: (Seq, Seq) },
    /// Only the server knows.
    Ask,
}

impl Conversation {
    /// As an earlier client left it.
    pub(crate) fn stored(row: ConversationRow) -> Self {
        Self { durable: Cursors::default(), told_unread: row.unread, compared: false, row }
    }

    /// A conversation that this device starts (again) at `start`.
    pub(crate) fn starting(view: &View, start: Seq) -> Self {
        let row = ConversationRow {
            id: view.conversation,
            kind: view.kind,
            peer: view.peer,
            base: start,
            cursor: start,
            shown: start,
            cursor_id: None,
            head: view.head,
            own: view.own,
            peer_cursors: view.peer_cursors,
            unread: view.unread,
            unread_from: view.own.read,
            unread_upto: view.head,
            mentions: Vec::new(),
        };
        Self { row, durable: view.own, told_unread: 0, compared: true }
    }

    /// A session has begun, perhaps with a server that was restored from a backup. What the last one said of places
    /// beyond the run and of confirmed cursors holds no longer: a head that the server does not have would be asked for
    /// without end, and a cursor that it lost would not be told again. The session's first view says both anew.
    pub(crate) fn session_started(&mut self) {
        self.compared = false;
        self.row.head = self.row.cursor;
        self.durable = Cursors::default();
    }

    pub(crate) fn id(&self) -> ConversationId {
        self.row.id
    }

    /// The rule of the seq.
    pub(crate) fn place(&self, seq: Seq) -> Place {
        if seq <= self.row.cursor {
            Place::Known
        } else if seq == self.row.cursor.next() && self.compared {
            Place::Next
        } else {
            Place::Beyond
        }
    }

    /// Takes the message that comes next into the run.
    pub(crate) fn append(&mut self, message: &Message, me: UserId) {
        debug_assert_eq!(self.place(message.seq), Place::Next);
        let row = &mut self.row;
        row.cursor = message.seq;
        row.cursor_id = Some(message.message_id);
        row.head = row.head.max(message.seq);
        row.own.delivered = row.own.delivered.max(message.seq);
        if message.seq > row.unread_upto {
            let incoming = message.sender != me && message.kind.is_countable();
            row.unread += u64::from(incoming && message.seq > row.own.read);
            row.unread_upto = message.seq;
        }
    }

    /// Where the run begins with these messages before it; `None` if they are not what lies there, or if this session has
    /// not shown yet that the run is of the server's timeline.
    pub(crate) fn precede(&self, messages: &[Message]) -> Option<Seq> {
        let (first, last) = (messages.first()?, messages.last()?);
        let is_dense = messages.iter().zip(first.seq.0..).all(|(message, seq)| message.seq.0 == seq);
        let fits = self.compared && is_dense && last.seq == self.row.base && first.seq > Seq::ZERO;
        fits.then(|| Seq(first.seq.0 - 1))
    }

    /// A message that calls the user was shown.
    pub(crate) fn called(&mut self, seq: Seq) {
        let row = &mut self.row;
        if seq > row.own.read && row.mentions.last().is_none_or(|last| *last < seq) {
            row.mentions.push(seq);
            let too_many = row.mentions.len().saturating_sub(MENTIONS_MAX);
            row.mentions.drain(..too_many);
        }
    }

    /// The message at this place was taken back.
    pub(crate) fn taken_back(&mut self, seq: Seq) {
        self.row.mentions.retain(|known| *known != seq);
    }

    fn forget_mentions(&mut self) {
        let read = self.row.own.read;
        self.row.mentions.retain(|seq| *seq > read);
    }

    /// Messages up to `upto` are gone for this user, here as on the server, and count as read.
    pub(crate) fn clear(&mut self, upto: Seq) {
        if upto > self.row.cursor {
            self.jump(upto);
            self.row.head = self.row.head.max(upto);
        } else {
            self.row.base = self.row.base.max(upto);
            self.row.shown = self.row.shown.max(upto);
        }
        self.own_reached(Cursors { delivered: upto, read: upto });
    }

    /// Something beyond the cursor exists.
    pub(crate) fn heard_of(&mut self, seq: Seq) {
        self.row.head = self.row.head.max(seq);
    }

    /// Messages up to `floor` are gone: the run is empty and goes on after it.
    pub(crate) fn jump(&mut self, floor: Seq) {
        self.row.base = floor;
        self.row.cursor = floor;
        self.row.cursor_id = None;
        self.row.shown = floor;
    }

    /// The server's word on heads, cursors and the unread count. Says whether the other user got further.
    pub(crate) fn learn(&mut self, view: &View) -> bool {
        self.compared = true;
        let row = &mut self.row;
        row.head = row.head.max(view.head);
        row.own = row.own.max(view.own);
        let read = row.own.read;
        row.mentions.retain(|seq| *seq > read);
        self.durable = self.durable.max(view.own);
        row.unread = view.unread;
        row.unread_from = view.own.read;
        row.unread_upto = view.head;
        self.peer_reached(view.peer_cursors)
    }

    /// The other user got so far; says whether that is news.
    pub(crate) fn peer_reached(&mut self, cursors: Cursors) -> bool {
        let known = self.row.peer_cursors;
        self.row.peer_cursors = known.max(cursors);
        self.row.peer_cursors != known
    }

    /// One's own user got so far, here or on another device; says whether that is news.
    pub(crate) fn own_reached(&mut self, cursors: Cursors) -> bool {
        let known = self.row.own;
        self.row.own = known.max(cursors);
        self.forget_mentions();
        self.row.own != known
    }

    /// Whether the unread count is for other cursors than those that are.
    pub(crate) fn wants_recount(&self) -> bool {
        let row = &self.row;
        row.own.read > row.unread_from || row.cursor > row.unread_upto
    }

    /// How the unread count is found for the cursors as they are.
    pub(crate) fn recount(&self) -> Recount {
        let row = &self.row;
        let read = row.own.read;
        let top = row.unread_upto.max(row.cursor);
        if read >= top {
            Recount::Is(0)
        } else if row.base <= read && row.cursor >= row.unread_upto {
            Recount::Count { after: read, upto: row.cursor }
        } else if row.base <= row.unread_from && read <= row.cursor {
            let new = (row.unread_upto.max(read), row.cursor.max(row.unread_upto));
            Recount::Adjust { read: (row.unread_from, read.min(row.unread_upto)), new }
        } else {
            Recount::Ask
        }
    }

    /// The unread count for the cursors as they are.
    pub(crate) fn recounted(&mut self, unread: u64) {
        self.row.unread = unread;
        self.row.unread_from = self.row.own.read;
        self.row.unread_upto = self.row.unread_upto.max(self.row.cursor);
    }
}

/// Where a device begins a conversation that it does not know: never after what no device of the user has received,
/// or that would count as delivered and be nowhere.
pub(crate) fn start_of(view: &View, first_sync: FirstSync) -> Seq {
    let delivered = view.own.delivered.min(view.head);
    let start = match (view.kind, first_sync) {
        // What changed before is in what REST tells.
        (ConversationKind::Private, _) => delivered,
        (ConversationKind::Direct | ConversationKind::Group, FirstSync::Everything) => Seq::ZERO,
        (ConversationKind::Direct | ConversationKind::Group, FirstSync::Recent(count)) => {
            delivered.min(Seq(view.head.0.saturating_sub(count)))
        }
    };
    start.max(view.floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(head: u64, delivered: u64, floor: u64) -> View {
        View {
            conversation: ConversationId::from_bytes([1; 16]),
            kind: ConversationKind::Direct,
            peer: Some(UserId(2)),
            head: Seq(head),
            head_at: 0,
            floor: Seq(floor),
            own: Cursors { delivered: Seq(delivered), read: Seq(0) },
            unread: 0,
            peer_cursors: Cursors::default(),
            reset: false,
            messages: Vec::new(),
            complete: false,
        }
    }

    /// "Recent" would start at 900; what no device has received begins at 41, and that wins. The floor wins over both.
    #[test]
    fn a_fresh_device_starts_no_later_than_the_delivered_cursor() {
        assert_eq!(start_of(&view(1000, 40, 0), FirstSync::Recent(100)), Seq(40));
        assert_eq!(start_of(&view(1000, 950, 0), FirstSync::Recent(100)), Seq(900));
        assert_eq!(start_of(&view(1000, 40, 60), FirstSync::Recent(100)), Seq(60));
        assert_eq!(start_of(&view(1000, 40, 0), FirstSync::Everything), Seq(0));
    }

    /// What is next to the run, whole, and of the same timeline.
    #[test]
    fn only_what_ends_where_the_run_begins_goes_before_it() {
        let message = |seq| Message {
            conversation: ConversationId::from_bytes([1; 16]),
            seq: Seq(seq),
            sender: UserId(2),
            device: whimbrel_core::DeviceId::from_bytes([1; 16]),
            message_id: whimbrel_core::MessageId::from_bytes([seq as u8; 16]),
            kind: whimbrel_core::MessageKind::TEXT,
            key_version: 1,
            body: bytes::Bytes::from_static(b"x"),
            at: seq,
        };
        let mut conversation = Conversation::starting(&view(100, 50, 0), Seq(50));
        let of = |seqs: &[u64]| seqs.iter().map(|seq| message(*seq)).collect::<Vec<_>>();
        assert_eq!(conversation.precede(&of(&[48, 49, 50])), Some(Seq(47)));
        for wrong in [&[][..], &[48, 49], &[48, 50], &[49, 50, 51], &[0, 1]] {
            assert_eq!(conversation.precede(&of(wrong)), None, "{wrong:?}");
        }
        conversation.session_started();
        assert_eq!(conversation.precede(&of(&[50])), None, "another server may have answered");
    }

    #[test]
    fn a_read_cursor_beyond_the_run_asks_the_server() {
        let mut conversation = Conversation::starting(&view(100, 50, 0), Seq(50));
        conversation.row.unread = 30;
        conversation.own_reached(Cursors { delivered: Seq(80), read: Seq(80) });
        assert!(conversation.wants_recount());
        assert_eq!(conversation.recount(), Recount::Ask);
        conversation.own_reached(Cursors { delivered: Seq(100), read: Seq(100) });
        assert_eq!(conversation.recount(), Recount::Is(0));
    }
}
