//! A tiny server in this process, for this crate's tests and examples: it speaks the protocol over real sockets, keeps
//! its timelines in memory, and does on demand what a real server does at the worst moment.
//!
//! It is no server: passwords are compared as text, nothing is limited, nothing survives.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use whimbrel_core::{ConversationId, Draft, GoodbyeCode, Message, MessageId, MessageKind, Seq, UserId};

use crate::account::Credentials;
use crate::content::{Content, Outgoing};
use crate::message::draft;

mod files;
mod groups;
mod history;
mod http;
mod socket;
mod state;

pub use files::FakeFile;
pub use state::Answering;
pub(crate) use state::State;

/// A server that lives until it is dropped.
pub struct FakeServer {
    state: Arc<Mutex<State>>,
    api: SocketAddr,
    clients: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl FakeServer {
    /// Listens on two free ports of this machine.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let api = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let clients = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (api_address, clients_address) =
            (api.local_addr().expect("it is bound"), clients.local_addr().expect("it is bound"));
        let tasks =
            vec![tokio::spawn(http::serve(api, state.clone())), tokio::spawn(socket::serve(clients, state.clone()))];
        Self { state, api: api_address, clients: clients_address, tasks }
    }

    /// For [`Client::builder`](crate::Client::builder)'s first argument.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// For its second.
    pub fn server(&self) -> String {
        self.clients.to_string()
    }

    /// Two users with the password "secret" who are friends, and their conversation.
    pub fn friends(&self, first: &str, second: &str) -> (UserId, UserId, ConversationId) {
        let mut state = self.state();
        let (first, second) = (state.user(first, "secret"), state.user(second, "secret"));
        let conversation = state.befriend(first, second);
        (first, second, conversation)
    }

    /// Credentials of a new device.
    pub fn credentials(&self, user: UserId) -> Credentials {
        self.state().open_device(user, None)
    }

    /// A user says something: placed and delivered.
    pub fn say(&self, conversation: ConversationId, sender: UserId, text: &str) -> Message {
        let message = self.say_unheard(conversation, sender, text);
        self.deliver(&message);
        message
    }

    /// Placed, and delivered to nobody.
    pub fn say_unheard(&self, conversation: ConversationId, sender: UserId, text: &str) -> Message {
        let mut state = self.state();
        let key = state.newest_key(conversation);
        let draft = draft(sender, conversation, Content::Text(text.into()), key.as_ref()).expect("text can be sent");
        state.place(conversation, sender, None, draft)
    }

    /// A user says anything, or does something to an earlier message: placed, with what follows from it, and delivered.
    pub fn say_content(&self, conversation: ConversationId, sender: UserId, what: impl Into<Outgoing>) -> Message {
        let mut state = self.state();
        let key = state.newest_key(conversation);
        let draft = draft(sender, conversation, what, key.as_ref()).expect("it can be sent");
        let message = state.place(conversation, sender, None, draft);
        state.deliver(&message);
        message
    }

    /// What a user said in a conversation is emptied, and the row that says so placed and delivered.
    pub fn erase(&self, conversation: ConversationId, user: UserId) -> Message {
        let mut state = self.state();
        state.empty(conversation, user);
        let row = system_row(MessageKind::ERASED, format!(r#"{{"user":{user}}}"#));
        let message = state.place(conversation, user, None, row);
        state.deliver(&message);
        message
    }

    /// A group with its owner and these members.
    pub fn group(&self, name: &str, owner: UserId, members: &[UserId]) -> ConversationId {
        self.state().create_group(name, owner, members)
    }

    /// A user comes to a group.
    pub fn join(&self, group: ConversationId, user: UserId) {
        self.state().join_group(group, user, user);
    }

    /// A user is sent away from a group, or leaves it (`by` themselves).
    pub fn remove(&self, group: ConversationId, user: UserId, by: UserId) {
        self.state().leave_group(group, user, by);
    }

    /// Delivers a message (again).
    pub fn deliver(&self, message: &Message) {
        self.state().deliver(message);
    }

    /// Gives the pair another key; nobody is told but by the row in their private conversations.
    pub fn add_key(&self, conversation: ConversationId) {
        self.state().add_key(conversation);
    }

    /// How the next drafts are answered, one after the other; afterwards they are placed and answered SENT.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answering>) {
        self.state().answering.extend(answers);
    }

    /// Says goodbye to every session.
    pub fn goodbye(&self, code: GoodbyeCode, retry_after_ms: u32) {
        self.state().goodbye(code, retry_after_ms);
    }

    /// What the next Hellos are answered instead of Welcome.
    pub fn refuse_next(&self, code: GoodbyeCode, retry_after_ms: u32) {
        self.state().refusing.push_back((code, retry_after_ms));
    }

    /// Breaks every connection.
    pub fn disconnect(&self) {
        self.state().sessions.clear();
    }

    /// The timeline is what it was at `head`, as after restoring a backup.
    pub fn restore(&self, conversation: ConversationId, head: Seq) {
        self.state().restore(conversation, head);
    }

    /// Everything up to `floor` is gone, as by retention.
    pub fn forget(&self, conversation: ConversationId, floor: Seq) {
        self.state().forget(conversation, floor);
    }

    /// At most so many messages in one answer to a sync.
    pub fn limit_sync(&self, messages: usize) {
        self.state().sync_messages = messages;
    }

    /// The next so many refreshes are refused.
    pub fn refuse_refreshes(&self, count: usize) {
        self.state().refused_refreshes = count;
    }

    /// Whether asking for relations fails.
    pub fn fail_relations(&self, fail: bool) {
        self.state().relations_fail = fail;
    }

    /// Whether asking for history fails.
    pub fn fail_history(&self, fail: bool) {
        self.state().history_fails = fail;
    }

    /// Whether history shows bodies of messages that were taken back: the answer was under way meanwhile.
    pub fn stale_history(&self, stale: bool) {
        self.state().stale_history = stale;
    }

    /// The status that searching is refused with, if it is.
    pub fn refuse_searches(&self, status: Option<u16>) {
        self.state().search_fails = status;
    }

    /// Whether sessions from now on are told that bodies are readable here.
    pub fn set_bodies_readable(&self, readable: bool) {
        self.state().bodies_readable = readable;
    }

    /// Access tokens given from now on live so many seconds.
    pub fn set_token_life(&self, seconds: u64) {
        self.state().token_life_s = seconds;
    }

    /// Every Send so far.
    pub fn sends(&self) -> Vec<(ConversationId, Vec<Draft>)> {
        self.state().sends.clone()
    }

    /// How often Hello, refresh, log-in and Sync came.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// A user's cursors: delivered and read.
    pub fn cursors(&self, conversation: ConversationId, user: UserId) -> whimbrel_core::Cursors {
        self.state().cursors(conversation, user)
    }

    /// The timeline.
    pub fn messages(&self, conversation: ConversationId) -> Vec<Message> {
        self.state().timeline(conversation)
    }

    /// Sessions that are open.
    pub fn sessions(&self) -> usize {
        self.state().sessions.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.state.lock().sessions.clear();
    }
}

/// What was asked of a [`FakeServer`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions that were asked for.
    pub hellos: usize,
    /// Tokens that were refreshed.
    pub refreshes: usize,
    /// Log-ins, registrations included.
    pub logins: usize,
    /// Questions.
    pub syncs: usize,
    /// Relations asked for one by one.
    pub relations: usize,
    /// Groups asked for.
    pub groups: usize,
    /// Pages of history.
    pub pages: usize,
}

/// A row that the server places.
fn system_row(kind: MessageKind, json: String) -> Draft {
    Draft { message_id: MessageId::generate(), kind, key_version: 0, body: json.into() }
}
