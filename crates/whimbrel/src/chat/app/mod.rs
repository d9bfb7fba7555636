//! What the screen shows, and how it changes: pure, without a terminal and without a connection.
//!
//! [`App::update`] takes what happened and returns what is to be done. The order of messages is the seq's; drafts that
//! have no place yet stand behind all of them. What is shown to its end counts as read; what is scrolled away from, or
//! under the help, does not.
//!
//! | file | what is in it |
//! |---|---|
//! | `what` | what may happen, and what may be asked for |
//! | `typing` | keys, and going through the list |
//! | `acts` | what was entered, and commands |
//! | `pick` | which message a command is about |
//! | `events` | what the client tells |
//! | `people` | what people are called, who writes |
//! | `presence` | which friends are here |
//! | `drafts` | one's own messages without a place |

mod acts;
mod drafts;
mod events;
mod older;
mod people;
mod pick;
mod presence;
mod typing;
mod what;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use whimbrel_client::{
    ConnectionState, ConversationId, ConversationKind, ConversationSummary, DeviceId, GroupRequest, Pictured, Relation,
    Seq, UserId,
};

use super::editor::Editor;
pub(super) use drafts::Draft;
use drafts::Drafts;
#[cfg(test)]
pub(super) use drafts::Ticket;
pub(super) use events::erased;
use older::Older;
use people::People;
pub(super) use pick::number;
use presence::Presences;
pub(super) use what::{Drawn, Effect, Happened, Notice, Person, RelationDeed, Selected, Sheet};

/// Messages that are kept of the open conversation; older ones are in the device's store.
const LINES_MAX: usize = 2000;
/// How long good news stands, in seconds. Bad news stands until the next line is entered, or Esc.
const NOTICE_S: u8 = 8;

/// The whole screen.
pub(super) struct App {
    pub(super) me: UserId,
    device: DeviceId,
    pub(super) handle: String,
    /// As the list shows them: without those that are put away.
    pub(super) conversations: Vec<ConversationSummary>,
    pub(super) requests: Vec<Relation>,
    pub(super) invitations: Vec<GroupRequest>,
    pub(super) selected: Option<Selected>,
    /// What the selected conversation shows, by place.
    pub(super) messages: BTreeMap<Seq, Pictured>,
    /// The message that the next keys and commands are about.
    pub(super) picked: Option<Seq>,
    pub(super) editor: Editor,
    pub(super) state: ConnectionState,
    pub(super) notice: Option<Notice>,
    /// The first line that is shown of the help, or of the sheet, while one is open.
    pub(super) help: Option<usize>,
    /// What is open instead of the help.
    pub(super) sheet: Option<Sheet>,
    /// The time of what happened last, milliseconds since 1970.
    pub(super) now: u64,
    drafts: Drafts,
    people: People,
    presences: Presences,
    /// What was being typed elsewhere.
    parked: BTreeMap<Selected, Editor>,
    /// Until the next try, when one is waited for.
    retry_in: Duration,
    /// Seconds that the notice has left.
    notice_left: u8,
    /// Lines scrolled up from the end.
    scroll: usize,
    drawn: Drawn,
    older: Older,
    /// The picked message is to be brought into sight.
    reveal: bool,
    /// How far conversations were marked read from here.
    marked: BTreeMap<ConversationId, Seq>,
    /// To be opened as soon as it is in the list.
    wanted: Option<ConversationId>,
    /// Whom one has asked since the start, to say when they accept.
    asked: BTreeSet<UserId>,
    /// Nothing is opened that the person did not ask for: there is no screen.
    headless: bool,
}

impl App {
    pub(super) fn new(me: UserId, device: DeviceId, handle: String) -> Self {
        Self {
            me,
            device,
            handle,
            conversations: Vec::new(),
            requests: Vec::new(),
            invitations: Vec::new(),
            selected: None,
            messages: BTreeMap::new(),
            picked: None,
            editor: Editor::default(),
            state: ConnectionState::Connecting { attempt: 1 },
            notice: None,
            help: None,
            sheet: None,
            now: 0,
            drafts: Drafts::default(),
            people: People::default(),
            presences: Presences::default(),
            parked: BTreeMap::new(),
            retry_in: Duration::ZERO,
            notice_left: 0,
            scroll: 0,
            drawn: Drawn::default(),
            older: Older::default(),
            reveal: false,
            marked: BTreeMap::new(),
            wanted: None,
            asked: BTreeSet::new(),
            headless: false,
        }
    }

    /// The same, for lines instead of a screen.
    pub(super) fn headless(me: UserId, device: DeviceId, handle: String) -> Self {
        Self { headless: true, ..Self::new(me, device, handle) }
    }

    /// Takes what happened; says what to do.
    pub(super) fn update(&mut self, happened: Happened) -> Vec<Effect> {
        let mut effects = match happened {
            Happened::Key(key) => self.typed(|app| app.key(key)),
            Happened::Pasted(text) => self.typed(|app| {
                app.editor.insert(&text);
                Vec::new()
            }),
            Happened::Event(event) => self.event(event),
            Happened::Conversations(list) => self.list(list),
            Happened::Requests(requests) => {
                self.requests = requests;
                self.reselect()
            }
            Happened::Invitations(invitations) => {
                self.invitations = invitations;
                self.reselect()
            }
            Happened::Messages(conversation, messages) => self.loaded(conversation, messages),
            Happened::Older(conversation, before, history) => self.loaded_older(conversation, before, history),
            Happened::Opens(conversation, notice) => {
                self.notify(notice);
                self.wanted = Some(conversation);
                let mut effects = self.reselect();
                effects.extend([Effect::RefreshConversations, Effect::RefreshInvitations]);
                effects
            }
            happened => {
                self.learn(happened);
                Vec::new()
            }
        };
        effects.extend(self.nameless());
        effects.extend(self.watch());
        effects
    }

    /// What asks for nothing.
    fn learn(&mut self, happened: Happened) {
        match happened {
            Happened::Queued { conversation, ticket, message_id } => {
                let refused = self.drafts.queued(conversation, ticket, message_id);
                self.not_done(refused);
            }
            Happened::NotQueued { conversation, ticket, why } => {
                let refused = self.drafts.not_queued(conversation, ticket, why);
                self.not_done(refused);
            }
            Happened::NotOlder(conversation, why) => self.not_older(conversation, why),
            Happened::Looked(item) if self.open() == Some(item.conversation) => self.put(item, true),
            Happened::People(people) => self.people.learn(people),
            Happened::Sheet(sheet) => (self.sheet, self.help) = (Some(sheet), Some(0)),
            Happened::Privacy(own) => self.presences.own = own,
            Happened::Notice(notice) => self.notify(notice),
            Happened::Tick => {
                self.retry_in = self.retry_in.saturating_sub(Duration::from_secs(1));
                self.notice_left = self.notice_left.saturating_sub(1);
                if self.notice_left == 0 && matches!(self.notice, Some(Notice::Good(_))) {
                    self.notice = None;
                }
            }
            _ => {}
        }
    }

    /// The open conversation's end as the store has it. What was cleared meanwhile is not in it.
    fn loaded(&mut self, conversation: ConversationId, messages: Vec<Pictured>) -> Vec<Effect> {
        if self.open() == Some(conversation) {
            let read = self.summary().map_or(Seq::ZERO, |row| row.own.read);
            let upto = messages.last().map_or(read, |last| last.seq);
            self.messages.retain(|seq, _| *seq > upto);
            messages.into_iter().for_each(|item| self.put(item, true));
            self.older = Older::default();
            self.trim();
        }
        self.mark_read()
    }

    /// The conversation that is shown.
    pub(super) fn open(&self) -> Option<ConversationId> {
        match self.selected {
            Some(Selected::Conversation(id)) => Some(id),
            _ => None,
        }
    }

    /// Whether one has come into a group that is not in the list yet.
    pub(super) fn is_waiting_to_open(&self) -> bool {
        self.wanted.is_some()
    }

    /// The shown conversation's row.
    pub(super) fn summary(&self) -> Option<&ConversationSummary> {
        let open = self.open()?;
        self.conversations.iter().find(|row| row.id == open)
    }

    /// Whether a group is shown.
    pub(super) fn in_group(&self) -> bool {
        self.summary().is_some_and(|row| row.kind == ConversationKind::Group)
    }

    /// The selected friend request.
    pub(super) fn request(&self) -> Option<&Relation> {
        match self.selected {
            Some(Selected::Request(user)) => self.requests.iter().find(|relation| relation.peer.id == user),
            _ => None,
        }
    }

    /// The selected invitation.
    pub(super) fn invitation(&self) -> Option<&GroupRequest> {
        match self.selected {
            Some(Selected::Invitation(group)) => self.invitations.iter().find(|request| request.group == group),
            _ => None,
        }
    }

    /// The shown conversation's drafts.
    pub(super) fn open_drafts(&self) -> &[Draft] {
        self.open().map_or(&[], |open| self.drafts.of(open))
    }

    /// Everything that can be selected, from top to bottom: what wants an answer first.
    pub(super) fn entries(&self) -> Vec<Selected> {
        let requests = self.requests.iter().map(|relation| Selected::Request(relation.peer.id));
        let invitations = self.invitations.iter().map(|request| Selected::Invitation(request.group));
        let conversations = self.conversations.iter().map(|row| Selected::Conversation(row.id));
        requests.chain(invitations).chain(conversations).collect()
    }

    /// Requests and invitations, less the one that is shown.
    pub(super) fn asking_elsewhere(&self) -> usize {
        let shown = self.request().is_some() || self.invitation().is_some();
        (self.requests.len() + self.invitations.len()).saturating_sub(usize::from(shown))
    }

    /// What waits in a conversation. In the one that is read right now it is nothing.
    pub(super) fn unread(&self, row: &ConversationSummary) -> u64 {
        if self.open() == Some(row.id) && self.is_at_end() { 0 } else { row.unread }
    }

    /// One line about the connection.
    pub(super) fn connection(&self) -> String {
        match &self.state {
            ConnectionState::Online if self.is_invisible() => "online, invisible".to_owned(),
            ConnectionState::Online => "online".to_owned(),
            ConnectionState::Connecting { attempt: 1 } => "connecting …".to_owned(),
            ConnectionState::Connecting { attempt } => format!("connecting, try {attempt} …"),
            ConnectionState::Waiting { .. } if self.retry_in.is_zero() => "reconnecting …".to_owned(),
            ConnectionState::Waiting { .. } => format!("offline, next try in {} s", self.retry_in.as_secs().max(1)),
            ConnectionState::Closed { .. } => "closed".to_owned(),
        }
    }

    /// How far to scroll from the end in a frame of so many columns, rows and lines. Who has scrolled up keeps seeing
    /// the same lines while new ones come; a message that was just picked (`picked`: its lines) is in sight.
    pub(super) fn scroll_in(&self, width: usize, height: usize, lines: usize, picked: Option<(usize, usize)>) -> usize {
        let same = self.drawn.of == self.selected && self.drawn.width == width;
        let came = if self.scroll > 0 && same { lines.saturating_sub(self.drawn.lines) } else { 0 };
        let most = lines.saturating_sub(height);
        let scroll = (self.scroll + came).min(most);
        match picked {
            // The first of its lines matters more than the last, where there is no room for all.
            Some((first, end)) if self.reveal => scroll.min(lines - end).max(most.saturating_sub(first)).min(most),
            _ => scroll,
        }
    }

    /// A frame was drawn.
    pub(super) fn drawn(&mut self, drawn: Drawn) {
        self.scroll = drawn.scroll;
        self.reveal = false;
        self.drawn = drawn;
    }

    fn notify(&mut self, notice: Notice) {
        self.notice = Some(notice);
        self.notice_left = NOTICE_S;
    }

    /// Says what was refused, of what has no line of its own.
    fn not_done(&mut self, refused: Option<String>) {
        if let Some(why) = refused {
            self.notify(Notice::Bad(why));
        }
    }

    /// Whether the end of the open conversation is on the screen.
    fn is_at_end(&self) -> bool {
        self.scroll == 0 && self.help.is_none()
    }

    /// The end of the open conversation is on the screen: everything up to it is read.
    fn mark_read(&mut self) -> Vec<Effect> {
        let (Some(conversation), Some((last, _))) = (self.open(), self.messages.last_key_value()) else {
            return Vec::new();
        };
        if !self.is_at_end() {
            return Vec::new();
        }
        let last = *last;
        let read = self.summary().map_or(Seq::ZERO, |row| row.own.read);
        let marked = self.marked.entry(conversation).or_default();
        if last <= read.max(*marked) {
            return Vec::new();
        }
        *marked = last;
        vec![Effect::MarkRead(conversation, last)]
    }

    /// Who reads further up keeps what they have come to.
    fn trim(&mut self) {
        while self.scroll == 0 && self.messages.len() > LINES_MAX {
            self.messages.pop_first();
            self.older.reached_first = false;
        }
    }
}
