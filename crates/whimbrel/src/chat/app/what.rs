//! The words between the state and the world: what happened, and what is to be done.

use whimbrel_client::{
    Attachment, ConversationId, ConversationSummary, Event, GroupRequest, History, MessageId, Outgoing, Pictured,
    Privacy, Relation, Seq, UserId,
};

use super::drafts::Ticket;
use crate::chat::command::{FileAct, InGroup};
use crate::chat::keys::Key;

/// Something happened.
#[derive(Debug)]
pub(in crate::chat) enum Happened {
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
    /// Invitations were read.
    Invitations(Vec<GroupRequest>),
    /// The end of a conversation was read from the device's store.
    Messages(ConversationId, Vec<Pictured>),
    /// What was said before the message at this place.
    Older(ConversationId, Seq, History),
    /// That could not be had.
    NotOlder(ConversationId, String),
    /// One message was looked at again.
    Looked(Pictured),
    /// These people are called so.
    People(Vec<Person>),
    /// How one lets oneself be seen.
    Privacy(Privacy),
    /// A text is in the outbox.
    Queued { conversation: ConversationId, ticket: Ticket, message_id: MessageId },
    /// A text could not be put there.
    NotQueued { conversation: ConversationId, ticket: Ticket, why: String },
    /// Something about an earlier message is in the outbox.
    FollowedUp { conversation: ConversationId, message_id: MessageId },
    /// One is in this group now, and wants to see it.
    Opens(ConversationId, Notice),
    /// Something to read.
    Sheet(Sheet),
    /// Something that was asked for worked, or did not.
    Notice(Notice),
    /// The terminal has another size.
    Resized,
    /// A second went by.
    Tick,
}

/// A line for the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::chat) enum Notice {
    Good(String),
    Bad(String),
}

/// Lines to read, over everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::chat) struct Sheet {
    pub(in crate::chat) title: String,
    pub(in crate::chat) lines: Vec<String>,
    /// A picture above them: rows of two pixels, upper and lower.
    pub(in crate::chat) picture: Vec<Vec<[[u8; 3]; 2]>>,
}

/// What somebody is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::chat) struct Person {
    pub(in crate::chat) id: UserId,
    pub(in crate::chat) name: String,
    pub(in crate::chat) handle: String,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::chat) enum Effect {
    Send {
        conversation: ConversationId,
        ticket: Ticket,
        what: Outgoing,
    },
    Edit(ConversationId, Seq, Outgoing),
    Recall(ConversationId, Seq),
    React {
        conversation: ConversationId,
        seq: Seq,
        emoji: String,
        removed: bool,
    },
    Load(ConversationId),
    /// What was said before this place.
    Older(ConversationId, Seq),
    Look(ConversationId, Seq),
    MarkRead(ConversationId, Seq),
    Typing(ConversationId, bool),
    RefreshConversations,
    RefreshRequests,
    RefreshInvitations,
    RefreshPrivacy,
    Watch(Vec<UserId>),
    Invisible(bool),
    Members(ConversationId),
    Names(Vec<UserId>),
    Add {
        handle: String,
        greeting: String,
    },
    Relation(UserId, String, RelationDeed),
    NewGroup {
        name: String,
        handles: Vec<String>,
    },
    Join(String),
    Invitation {
        group: ConversationId,
        name: String,
        accept: bool,
    },
    InGroup(ConversationId, InGroup),
    Readers(ConversationId, Seq),
    Search(String),
    /// A path, and perhaps what is said with it.
    SendFile(ConversationId, String),
    /// To this folder; empty: here.
    SaveFile(Box<Attachment>, String),
    ShowFile(Box<Attachment>),
    Files(FileAct),
    Pin(ConversationId, bool),
    Quiet(ConversationId, bool),
    Quit,
}

impl Effect {
    /// Whether the server is asked by REST, or much is read, which may take its time.
    pub(in crate::chat) fn asks_rest(&self) -> bool {
        use Effect::{
            Add, InGroup, Invisible, Invitation, Join, Members, Names, NewGroup, Older, Pin, Quiet, Readers,
            RefreshInvitations, RefreshPrivacy, RefreshRequests, Relation, Search,
        };
        matches!(
            self,
            RefreshRequests
                | RefreshInvitations
                | RefreshPrivacy
                | Invisible(_)
                | Members(_)
                | Names(_)
                | Add { .. }
                | Relation(..)
                | NewGroup { .. }
                | Join(_)
                | Invitation { .. }
                | InGroup(..)
                | Readers(..)
                | Search(_)
                | Older(..)
                | Pin(..)
                | Quiet(..)
        )
    }

    /// Whether a file moves, which may take long: beside everything else.
    pub(in crate::chat) fn moves_a_file(&self) -> bool {
        matches!(self, Effect::SendFile(..) | Effect::SaveFile(..))
    }

    /// Whether it is something that the person said: it is not to get lost when they leave.
    pub(in crate::chat) fn says(&self) -> bool {
        matches!(self, Effect::Send { .. } | Effect::Edit(..) | Effect::Recall(..) | Effect::React { .. })
    }
}

/// What can be done about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chat) enum RelationDeed {
    Accept,
    Decline,
    Block,
    Unblock,
    Remove,
}

/// What stands selected in the list on the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::chat) enum Selected {
    Request(UserId),
    Invitation(ConversationId),
    Conversation(ConversationId),
}

/// What the view tells of the last frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::chat) struct Drawn {
    /// What was drawn on the right.
    pub(in crate::chat) of: Option<Selected>,
    /// Its columns, its rows, and the lines that there would be to show.
    pub(in crate::chat) width: usize,
    pub(in crate::chat) height: usize,
    pub(in crate::chat) lines: usize,
    /// Lines that were scrolled away from the end.
    pub(in crate::chat) scroll: usize,
    /// The first line of the help's next page, when there is one.
    pub(in crate::chat) help_next: Option<usize>,
}
