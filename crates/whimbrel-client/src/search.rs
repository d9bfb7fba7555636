//! What is searched for among messages, and what comes of it; the rules are [`whimbrel_core::search`]'s, the server's too.

use whimbrel_core::search::{Snippet, Terms, TermsError};
use whimbrel_core::{ConversationId, MessageKind, Seq, UserId};

use crate::content::Content;

/// Messages within one another (merged, fleeting) are looked into so deep.
const DEPTH: usize = 4;

/// What is searched for. Everything but the words is left open by [`Search::new`]:
///
/// ```
/// use whimbrel_client::{Search, UserId};
///
/// let search = Search { sender: Some(UserId(12)), ..Search::new("tickets \"night train\"")? };
/// # Ok::<(), whimbrel_client::TermsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// All of them occur in what the message says, also within words; upper and lower case are the same.
    pub terms: Terms,
    /// In this conversation only.
    pub conversation: Option<ConversationId>,
    /// Said by this user only.
    pub sender: Option<UserId>,
    /// Of these kinds only; empty: of any.
    pub kinds: Vec<MessageKind>,
    /// Placed at this time or later, milliseconds since 1970.
    pub since: Option<u64>,
    /// Placed before this time.
    pub until: Option<u64>,
}

impl Search {
    /// What a person typed: words, and "phrases" in quotes.
    ///
    /// # Errors
    /// [`TermsError`]: no word, or too many.
    pub fn new(typed: &str) -> Result<Self, TermsError> {
        let terms = Terms::parse(typed)?;
        Ok(Self { terms, conversation: None, sender: None, kinds: Vec::new(), since: None, until: None })
    }

    /// Whether a message is one of those that are looked for, whatever it says.
    pub(crate) fn is_about(&self, sender: UserId, kind: MessageKind, at: u64) -> bool {
        self.sender.is_none_or(|wanted| wanted == sender)
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.since.is_none_or(|since| since <= at)
            && self.until.is_none_or(|until| at < until)
    }
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// The conversation that it stands in.
    pub conversation: ConversationId,
    /// Its place there: [`HistoryAt::Around`](crate::HistoryAt::Around) it shows it.
    pub seq: Seq,
    /// Who said it.
    pub sender: UserId,
    /// What it is.
    pub kind: MessageKind,
    /// When it was placed, milliseconds since 1970.
    pub at: u64,
    /// What it says, around what was found.
    pub snippet: Snippet,
}

/// Where a page of what was found ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPlace(pub(crate) Behind);

/// In the order of time, then of conversations, then of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stand {
    pub(crate) at: u64,
    pub(crate) conversation: ConversationId,
    pub(crate) seq: Seq,
}

/// See [`SearchPlace`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Of what this device has.
    Here(Stand),
    /// Of what the server has, in its words.
    There(String),
}

/// Who looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchedBy {
    /// This device, among the messages that it has stored.
    Device,
    /// The server, among all that one sees.
    Server,
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searched {
    /// The newest first. There may be none in a page that is not the last.
    pub hits: Vec<SearchHit>,
    /// Ask again with this for what is older; `None`: that was all.
    pub next: Option<SearchPlace>,
    /// Who looked.
    pub by: SearchedBy,
}

/// The words of a message, the parts one below the other; empty if it has none.
pub(crate) fn text(content: &Content) -> String {
    let mut text = String::new();
    push(&mut text, content, DEPTH);
    text
}

fn push(text: &mut String, content: &Content, depth: usize) {
    if depth == 0 {
        return;
    }
    let mut add = |part: &str| {
        if !text.is_empty() && !part.is_empty() {
            text.push('\n');
        }
        text.push_str(part);
    };
    match content {
        Content::Text(said) | Content::Call(said) | Content::Stream(said) => add(said),
        Content::Custom { fallback, .. } | Content::Sticker { fallback, .. } => add(fallback),
        Content::Location(place) => [&place.name, &place.address].into_iter().for_each(|part| add(part)),
        Content::Card { name, .. } | Content::File { name, .. } => add(name),
        Content::Link { url, title, description, .. } => {
            [title, description, url].into_iter().for_each(|part| add(part))
        }
        Content::Attachment(file) => [&file.caption, &file.name].into_iter().for_each(|part| add(part)),
        Content::Merged { title, messages } => {
            add(title);
            messages.iter().for_each(|message| push(text, &message.content, depth - 1));
        }
        Content::Fleeting { content, .. } => push(text, content, depth - 1),
        Content::Gone
        | Content::Sealed
        | Content::Unknown { .. }
        | Content::FollowUp { .. }
        | Content::System { .. } => {}
    }
}
