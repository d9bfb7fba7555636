//! What the screen shows, and how it changes: pure, without a terminal and without a connection.
//!
//! [`App::update`] takes what happened and returns what is to be done. The order of messages is the seq's; drafts that
//! have no place yet stand behind all of them. What is shown to its end counts as read; what is scrolled away from, or
//! under the help, does not.

mod drafts;
mod events;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use whimbrel_client::{
    ConnectionState, ConversationId, ConversationSummary, DeviceId, Event, MessageId, Relation, Seq, StoredMessage,
    UserId,
};

use super::command::{self, Command, Entered};
use super::editor::Editor;
use super::keys::Key;
use drafts::Drafts;
pub(super) use drafts::{Draft, Ticket};

/// Messages that are kept of the open conversation; older ones are in the device's store.
const LINES_MAX: usize = 2000;
/// How long good news stands, in seconds. Bad news stands until the next line is entered, or Esc.
const NOTICE_S: u8 = 8;

/// Something happened.
#[derive(Debug)]
pub(super) enum Happened {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Pasted(String),
    /// The client says.
    Event(Event),
    /// The list of conversations was read.
    Conversations(Vec<ConversationSummary>),
    /// Friend requests were read.
    Requests(Vec<Relation>),
    /// The end of a conversation was read from the device's store.
    Messages(ConversationId, Vec<StoredMessage>),
    /// A text is in the outbox.
    Queued { conversation: ConversationId, ticket: Ticket, message_id: MessageId },
    /// A text could not be put there.
    NotQueued { conversation: ConversationId, ticket: Ticket, why: String },
    /// Something that was asked for worked, or did not.
    Notice(Notice),
    /// The terminal has another size.
    Resized,
    /// A second went by.
    Tick,
}

/// A line for the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    Good(String),
    Bad(String),
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Send { conversation: ConversationId, ticket: Ticket, text: String },
    Load(ConversationId),
    MarkRead(ConversationId, Seq),
    RefreshConversations,
    RefreshRequests,
    Add { handle: String, greeting: String },
    Relation(UserId, String, RelationDeed),
    Quit,
}

/// What can be done about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RelationDeed {
    Accept,
    Decline,
    Block,
    Unblock,
    Remove,
}

/// What stands selected in the list on the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Selected {
    Request(UserId),
    Conversation(ConversationId),
}

/// What the view tells of the last frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Drawn {
    /// What was drawn on the right.
    pub(super) of: Option<Selected>,
    /// Its columns, its rows, and the lines that there would be to show.
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) lines: usize,
    /// Lines that were scrolled away from the end.
    pub(super) scroll: usize,
    /// The first line of the help's next page, when there is one.
    pub(super) help_next: Option<usize>,
}

/// The whole screen.
pub(super) struct App {
    pub(super) me: UserId,
    device: DeviceId,
    pub(super) handle: String,
    pub(super) conversations: Vec<ConversationSummary>,
    pub(super) requests: Vec<Relation>,
    pub(super) selected: Option<Selected>,
    /// The messages of the selected conversation, by place.
    pub(super) messages: BTreeMap<Seq, StoredMessage>,
    pub(super) editor: Editor,
    pub(super) state: ConnectionState,
    pub(super) notice: Option<Notice>,
    /// The first line that is shown of the help, while it is open.
    pub(super) help: Option<usize>,
    drafts: Drafts,
    /// What was being typed elsewhere.
    parked: BTreeMap<Selected, Editor>,
    /// Until the next try, when one is waited for.
    retry_in: Duration,
    /// Seconds that the notice has left.
    notice_left: u8,
    /// Lines scrolled up from the end.
    scroll: usize,
    drawn: Drawn,
    /// How far conversations were marked read from here.
    marked: BTreeMap<ConversationId, Seq>,
    /// To be opened as soon as it is in the list.
    wanted: Option<ConversationId>,
    /// Whom one has asked since the start, to say when they accept.
    asked: BTreeSet<UserId>,
}

impl App {
    pub(super) fn new(me: UserId, device: DeviceId, handle: String) -> Self {
        Self {
            me,
            device,
            handle,
            conversations: Vec::new(),
            requests: Vec::new(),
            selected: None,
            messages: BTreeMap::new(),
            editor: Editor::default(),
            state: ConnectionState::Connecting { attempt: 1 },
            notice: None,
            help: None,
            drafts: Drafts::default(),
            parked: BTreeMap::new(),
            retry_in: Duration::ZERO,
            notice_left: 0,
            scroll: 0,
            drawn: Drawn::default(),
            marked: BTreeMap::new(),
            wanted: None,
            asked: BTreeSet::new(),
        }
    }

    /// Takes what happened; says what to do.
    pub(super) fn update(&mut self, happened: Happened) -> Vec<Effect> {
        match happened {
            Happened::Key(key) => return self.key(key),
            Happened::Pasted(text) => self.editor.insert(&text),
            Happened::Event(event) => return self.event(event),
            Happened::Conversations(list) => return self.list(list),
            Happened::Requests(requests) => {
                self.requests = requests;
                return self.reselect();
            }
            Happened::Messages(conversation, messages) => {
                if self.open() == Some(conversation) {
                    self.messages.extend(messages.into_iter().map(|m| (m.seq, m)));
                    self.trim();
                }
                return self.mark_read();
            }
            Happened::Queued { conversation, ticket, message_id } => {
                self.drafts.queued(conversation, ticket, message_id);
            }
            Happened::NotQueued { conversation, ticket, why } => self.drafts.not_queued(conversation, ticket, why),
            Happened::Notice(notice) => self.notify(notice),
            Happened::Resized => {}
            Happened::Tick => {
                self.retry_in = self.retry_in.saturating_sub(Duration::from_secs(1));
                self.notice_left = self.notice_left.saturating_sub(1);
                if self.notice_left == 0 && matches!(self.notice, Some(Notice::Good(_))) {
                    self.notice = None;
                }
            }
        }
        Vec::new()
    }

    /// The conversation that is shown.
    pub(super) fn open(&self) -> Option<ConversationId> {
        match self.selected {
            Some(Selected::Conversation(id)) => Some(id),
            _ => None,
        }
    }

    /// The shown conversation's row.
    pub(super) fn summary(&self) -> Option<&ConversationSummary> {
        let open = self.open()?;
        self.conversations.iter().find(|row| row.id == open)
    }

    /// The selected friend request.
    pub(super) fn request(&self) -> Option<&Relation> {
        match self.selected {
            Some(Selected::Request(user)) => self.requests.iter().find(|relation| relation.peer.id == user),
            _ => None,
        }
    }

    /// The shown conversation's drafts.
    pub(super) fn open_drafts(&self) -> &[Draft] {
        self.open().map_or(&[], |open| self.drafts.of(open))
    }

    /// Everything that can be selected, from top to bottom: requests first.
    pub(super) fn entries(&self) -> Vec<Selected> {
        let requests = self.requests.iter().map(|relation| Selected::Request(relation.peer.id));
        requests.chain(self.conversations.iter().map(|row| Selected::Conversation(row.id))).collect()
    }

    /// Whether the only request there is, is the one that is shown.
    pub(super) fn selected_request_only(&self) -> bool {
        self.request().is_some() && self.requests.len() == 1
    }

    /// What waits in a conversation. In the one that is read right now it is nothing.
    pub(super) fn unread(&self, row: &ConversationSummary) -> u64 {
        if self.open() == Some(row.id) && self.is_at_end() { 0 } else { row.unread }
    }

    /// One line about the connection.
    pub(super) fn connection(&self) -> String {
        match &self.state {
            ConnectionState::Online => "online".to_owned(),
            ConnectionState::Connecting { attempt: 1 } => "connecting …".to_owned(),
            ConnectionState::Connecting { attempt } => format!("connecting, try {attempt} …"),
            ConnectionState::Waiting { .. } if self.retry_in.is_zero() => "reconnecting …".to_owned(),
            ConnectionState::Waiting { .. } => format!("offline, next try in {} s", self.retry_in.as_secs().max(1)),
            ConnectionState::Closed { .. } => "closed".to_owned(),
        }
    }

    /// How far to scroll from the end in a frame of so many columns, rows and lines. Who has scrolled up keeps seeing
    /// the same lines while new ones come.
    pub(super) fn scroll_in(&self, width: usize, height: usize, lines: usize) -> usize {
        let same = self.drawn.of == self.selected && self.drawn.width == width;
        let came = if self.scroll > 0 && same { lines.saturating_sub(self.drawn.lines) } else { 0 };
        (self.scroll + came).min(lines.saturating_sub(height))
    }

    /// A frame was drawn.
    pub(super) fn drawn(&mut self, drawn: Drawn) {
        self.scroll = drawn.scroll;
        self.drawn = drawn;
    }

    fn key(&mut self, key: Key) -> Vec<Effect> {
        if self.help.is_some() && key != Key::Quit {
            self.help = self.drawn.help_next.filter(|_| key != Key::Escape);
            return self.mark_read();
        }
        let page = self.drawn.height.saturating_sub(1).max(1);
        match key {
            Key::Quit => return vec![Effect::Quit],
            Key::Enter => return self.enter(),
            Key::Next => return self.step(1),
            Key::Previous => return self.step(-1),
            Key::PageUp => self.scroll += page,
            Key::PageDown => {
                self.scroll = self.scroll.saturating_sub(page);
                return self.mark_read();
            }
            Key::Help => self.help = Some(0),
            Key::Char('?') if self.editor.text().is_empty() => self.help = Some(0),
            Key::Char(c) => self.editor.insert(c.encode_utf8(&mut [0; 4])),
            Key::Escape => {
                self.notice = None;
                if let Some(open) = self.open() {
                    self.drafts.dismiss(open);
                }
            }
            Key::Left => self.editor.left(),
            Key::Right => self.editor.right(),
            Key::Home => self.editor.home(),
            Key::End => self.editor.end(),
            Key::Backspace => self.editor.backspace(),
            Key::Delete => self.editor.delete(),
            Key::DeleteWord => self.editor.delete_word(),
            Key::DeleteToStart => self.editor.delete_to_start(),
        }
        Vec::new()
    }

    fn enter(&mut self) -> Vec<Effect> {
        let line = self.editor.take();
        self.notice = None;
        match command::read(&line) {
            None => Vec::new(),
            Some(Entered::Text(text)) => match self.open() {
                Some(conversation) => {
                    self.scroll = 0;
                    let ticket = self.drafts.enter(conversation, text.clone());
                    let mut effects = vec![Effect::Send { conversation, ticket, text }];
                    effects.extend(self.mark_read());
                    effects
                }
                None => {
                    let what =
                        if self.request().is_some() { "/accept or /decline first" } else { "/add somebody first" };
                    self.wrong(&line, &format!("there is nobody to say that to: {what}"))
                }
            },
            Some(Entered::Wrong(sentence)) => self.wrong(&line, &sentence),
            Some(Entered::Command(command)) => self.command(command),
        }
    }

    fn command(&mut self, command: Command) -> Vec<Effect> {
        let deed = match command {
            Command::Quit => return vec![Effect::Quit],
            Command::Help => {
                self.help = Some(0);
                return Vec::new();
            }
            Command::Add { handle, greeting } => return vec![Effect::Add { handle, greeting }],
            Command::Accept => RelationDeed::Accept,
            Command::Decline => RelationDeed::Decline,
            Command::Block => RelationDeed::Block,
            Command::Unblock => RelationDeed::Unblock,
            Command::Remove => RelationDeed::Remove,
        };
        let answers_request = matches!(deed, RelationDeed::Accept | RelationDeed::Decline);
        let person = match (self.request(), self.summary()) {
            (Some(relation), _) => Some((relation.peer.id, relation.peer.handle.clone())),
            (None, Some(row)) if !answers_request => Some((row.peer, row.peer_name.clone())),
            _ => None,
        };
        match person {
            Some((user, name)) => vec![Effect::Relation(user, name, deed)],
            None if answers_request => self.wrong("", "select a friend request first (Tab)"),
            None => self.wrong("", "select a conversation first (Tab)"),
        }
    }

    /// Says what is wrong, and gives the line back to be put right.
    fn wrong(&mut self, line: &str, sentence: &str) -> Vec<Effect> {
        self.notify(Notice::Bad(sentence.to_owned()));
        self.editor.insert(line);
        Vec::new()
    }

    fn notify(&mut self, notice: Notice) {
        self.notice = Some(notice);
        self.notice_left = NOTICE_S;
    }

    /// The person goes through the list. What was being typed stays where it was meant for.
    fn step(&mut self, by: isize) -> Vec<Effect> {
        let entries = self.entries();
        if entries.is_empty() {
            return Vec::new();
        }
        let at = self.selected.and_then(|selected| entries.iter().position(|entry| *entry == selected));
        let next = match at {
            Some(at) => (at as isize + by).rem_euclid(entries.len() as isize) as usize,
            None => 0,
        };
        let next = entries[next];
        if matches!(self.notice, Some(Notice::Good(_))) {
            self.notice = None;
        }
        if let Some(selected) = self.selected.filter(|selected| *selected != next) {
            let typed = std::mem::replace(&mut self.editor, self.parked.remove(&next).unwrap_or_default());
            self.parked.insert(selected, typed);
        }
        self.select(next)
    }

    fn select(&mut self, entry: Selected) -> Vec<Effect> {
        if self.selected == Some(entry) {
            return Vec::new();
        }
        self.selected = Some(entry);
        self.messages.clear();
        self.scroll = 0;
        match entry {
            Selected::Conversation(id) => vec![Effect::Load(id)],
            Selected::Request(_) => Vec::new(),
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

    fn trim(&mut self) {
        while self.messages.len() > LINES_MAX {
            self.messages.pop_first();
        }
    }
}
