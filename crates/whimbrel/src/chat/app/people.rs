//! What people are called, and who writes just now.

use std::collections::{BTreeSet, HashMap};

use whimbrel_client::{Content, ConversationId, GroupNews, Pictured, UserId};

use super::{App, Effect, Person};

/// People whose names are remembered; beyond that all are forgotten, and asked for anew as they are needed.
const PEOPLE_MAX: usize = 5000;
/// Names that are asked for at once.
const NAMES_AT_ONCE: usize = 50;

/// Everybody who was heard of. `None`: their name was asked for.
#[derive(Debug, Default)]
pub(super) struct People {
    known: HashMap<UserId, Option<Person>>,
    /// Shown, and not looked for among the known yet.
    shown: BTreeSet<UserId>,
    writing: BTreeSet<(ConversationId, UserId)>,
}

impl People {
    pub(super) fn learn(&mut self, people: Vec<Person>) {
        if self.known.len() + people.len() > PEOPLE_MAX {
            self.known.clear();
        }
        self.known.extend(people.into_iter().map(|person| (person.id, Some(person))));
    }

    /// Names that could not be had are asked for again.
    pub(super) fn ask_again(&mut self) {
        self.shown.extend(self.known.iter().filter(|(_, person)| person.is_none()).map(|(user, _)| *user));
        self.known.retain(|_, person| person.is_some());
    }

    /// Those whose handles stand behind an @ in a text.
    pub(super) fn called_in(&self, text: &str) -> Vec<UserId> {
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        let handles: Vec<_> = text
            .split_whitespace()
            .filter_map(|word| word.strip_prefix('@'))
            .map(|word| word.split(is_end).next().unwrap_or(word).trim_end_matches('.').to_lowercase())
            .collect();
        if handles.is_empty() {
            return Vec::new();
        }
        let mut called: Vec<_> =
            self.known.values().flatten().filter(|person| handles.contains(&person.handle)).map(|p| p.id).collect();
        called.sort_unstable();
        called
    }

    pub(super) fn writes(&mut self, conversation: ConversationId, user: UserId, typing: bool) {
        if typing {
            self.writing.insert((conversation, user));
        } else {
            self.writing.remove(&(conversation, user));
        }
    }

    /// Nothing is heard any more.
    pub(super) fn nobody_writes(&mut self) {
        self.writing.clear();
    }
}

impl App {
    /// What somebody is called.
    pub(in crate::chat) fn name(&self, user: UserId) -> String {
        if user == self.me {
            return "you".to_owned();
        }
        if let Some(Some(person)) = self.people.known.get(&user) {
            return person.name.clone();
        }
        let friend = self.conversations.iter().find(|row| row.peer == user && user != UserId(0));
        friend.map_or_else(|| format!("user {user}"), |row| row.peer_name.clone())
    }

    /// Who writes in the open conversation.
    pub(in crate::chat) fn writing(&self) -> Option<String> {
        let open = self.open()?;
        let users: Vec<_> = self.people.writing.iter().filter(|(at, _)| *at == open).map(|(_, user)| *user).collect();
        match users[..] {
            [] => None,
            [one] => Some(format!("{} is typing", self.name(one))),
            [one, other] => Some(format!("{} and {} are typing", self.name(one), self.name(other))),
            _ => Some(format!("{} people are typing", users.len())),
        }
    }

    /// Shows an item of the open conversation: as it is now, or as it came, where more may be known of it already.
    pub(super) fn put(&mut self, item: Pictured, is_current: bool) {
        if self.in_group() {
            self.people.shown.extend(named_by(&item));
        }
        if is_current || !self.messages.contains_key(&item.seq) {
            self.messages.insert(item.seq, item);
        }
    }

    /// Asks for the names that the open group shows and that are not known.
    pub(super) fn nameless(&mut self) -> Option<Effect> {
        if self.people.shown.is_empty() {
            return None;
        }
        let is_friend = |user: UserId| self.conversations.iter().any(|row| row.peer == user);
        let unknown = |user: &UserId| {
            *user != UserId(0) && *user != self.me && !self.people.known.contains_key(user) && !is_friend(*user)
        };
        let wanted: Vec<_> = self.people.shown.iter().copied().filter(unknown).take(NAMES_AT_ONCE).collect();
        if wanted.len() < NAMES_AT_ONCE {
            self.people.shown.clear();
        }
        self.people.known.extend(wanted.iter().map(|user| (*user, None)));
        (!wanted.is_empty()).then_some(Effect::Names(wanted))
    }
}

fn named_by(item: &Pictured) -> Vec<UserId> {
    let mut users = vec![item.sender];
    users.extend(item.quote.as_ref().map(|quote| quote.sender));
    users.extend(item.gone.and_then(|gone| gone.by));
    users.extend(item.reactions.iter().flat_map(|reaction| reaction.users.iter().take(1)));
    if let Content::System { json, .. } = &item.content
        && let Some(news) = GroupNews::read(json)
    {
        users.push(news.by);
        users.extend(news.owner);
        users.extend(news.users.into_iter().take(NAMES_AT_ONCE));
    }
    users
}
