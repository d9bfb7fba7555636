//! Groups and settings as rows and REST tell of them, what was taken back, and what is to vanish.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use whimbrel_core::{ConversationId, ConversationKind, Message, MessageKind, Seq, UserId};

use super::fleeting::Seen;
use super::people::Sendable;
use super::{Engine, user_in};
use crate::content::{Content, FollowUp, Outgoing};
use crate::event::Event;
use crate::group::{GroupInfo, GroupNews};
use crate::keys::device_now;
use crate::message::{StoredMessage, show};
use crate::relation::RelationKey;
use crate::setting::Setting;

/// A conversation that a row of one's private conversation names.
pub(super) fn conversation_in(json: &[u8]) -> Option<ConversationId> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(alias = "group")]
        conversation: String,
    }
    serde_json::from_slice::<Row>(json).ok()?.conversation.parse().ok()
}

impl Engine {
    /// A group has to be fetched.
    pub(super) fn group_due(&mut self, id: ConversationId) {
        self.due.group(id);
        self.batch.commit.groups_settled.retain(|settled| *settled != id);
        self.batch.commit.groups_due.push(id);
    }

    pub(super) fn setting_due(&mut self, id: ConversationId) {
        self.due.setting(id);
        self.batch.commit.settings_settled.retain(|settled| *settled != id);
        self.batch.commit.settings_due.push(id);
    }

    /// A change of a group. Others' coming and going is taken from the row: in a large group everybody would ask REST for
    /// each of them otherwise. Who goes leaves a new key behind, which is fetched when something is to be sent, or opened.
    pub(super) fn group_row(&mut self, message: &Message) {
        let id = message.conversation;
        let row = GroupNews::read(&message.body);
        let Some(mut info) = self.directory.group(id) else { return self.group_due(id) };
        if message.seq <= info.group.revision {
            return;
        }
        let users = row.as_ref().map_or(0, |row| row.users.len()) as u32;
        let about_me = row.as_ref().is_none_or(|row| row.users.contains(&self.habits.user));
        let has_heir = row.as_ref().is_some_and(|row| row.owner.is_some());
        match row.as_ref().map(|row| row.what.as_str()) {
            _ if about_me || has_heir => return self.group_due(id),
            Some("joined" | "added") => info.group.size = info.group.size.saturating_add(users),
            Some("left" | "removed") => {
                info.group.size = info.group.size.saturating_sub(users);
                info.group.key_version += 1;
            }
            Some("role" | "muted") => {}
            _ => return self.group_due(id),
        }
        info.group.revision = message.seq;
        self.directory.put_group(info.clone());
        self.batch.commit.groups.retain(|known| known.group.id != id);
        self.batch.commit.groups.push(info);
        self.batch.events.push(Event::GroupChanged { group: id });
    }

    /// A group as REST tells of it; `None`: there is none that one may know of.
    pub(crate) fn learn_group(&mut self, id: ConversationId, fetched: Option<(GroupInfo, Vec<RelationKey>)>) {
        if self.due.group_settled(id) {
            self.batch.commit.groups_due.retain(|due| *due != id);
            self.batch.commit.groups_settled.push(id);
        }
        let Some((info, keys)) = fetched else {
            return self.batch.events.push(Event::GroupChanged { group: id });
        };
        if !keys.is_empty() {
            self.keyless.retain(|(conversation, _)| *conversation != id);
        }
        for key in keys {
            self.directory.put_group_key(id, &key);
            self.batch.commit.group_keys.push((id, key));
        }
        if info.is_member() && !self.conversations.contains_key(&id) {
            self.syncs.gap(id);
        }
        if self.directory.group(id).as_ref() != Some(&info) {
            self.directory.put_group(info.clone());
            self.batch.commit.groups.retain(|known| known.group.id != id);
            self.batch.commit.groups.push(info);
        }
        self.batch.events.push(Event::GroupChanged { group: id });
    }

    /// A page of settings; `next`: where to go on.
    pub(crate) fn settings_page(&mut self, settings: Vec<Setting>, next: Option<ConversationId>, now: Instant) {
        settings.into_iter().for_each(|setting| self.learn_setting(setting, now));
        if self.due.settings_page(next) {
            self.batch.commit.settings_loaded = Some(true);
        }
    }

    /// One setting, asked for; `None`: it was never changed.
    pub(crate) fn setting(&mut self, id: ConversationId, setting: Option<Setting>, now: Instant) {
        if self.due.setting_settled(id) {
            self.batch.commit.settings_due.retain(|due| *due != id);
            self.batch.commit.settings_settled.push(id);
        }
        if let Some(setting) = setting {
            self.learn_setting(setting, now);
        }
    }

    /// How a conversation is shown now.
    pub(crate) fn learn_setting(&mut self, setting: Setting, now: Instant) {
        let (id, cleared) = (setting.conversation, setting.cleared);
        let known = self.directory.setting(id);
        if known.as_ref() == Some(&setting) || known.is_some_and(|known| known.changed_at > setting.changed_at) {
            return;
        }
        self.directory.put_setting(setting.clone());
        self.batch.commit.settings.push(setting);
        if let Some(conversation) = self.conversations.get_mut(&id)
            && cleared > conversation.row.base
        {
            conversation.clear(cleared);
            self.batch.commit.cleared.push((id, cleared));
            self.batch.touched.insert(id);
            self.fleeting.dropped(id, cleared);
            self.tell(id, false, now);
        }
        self.batch.events.push(Event::SettingChanged { conversation: id });
    }

    /// A row that takes a message back was stored.
    pub(super) fn took_back(&mut self, message: &Message) {
        let Some(target) = message.kind.target(&message.body).filter(|_| message.kind.takes_back()) else { return };
        let id = message.conversation;
        self.batch.commit.taken_back.push((id, target));
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.taken_back(target);
        }
        self.fleeting.taken_back(id, target);
        self.directory.hide(id, target, false);
    }

    /// What follows from a message that is shown.
    pub(super) fn shown(&mut self, message: &StoredMessage, now: Instant) {
        let id = message.conversation;
        if let Some(seq) = message.target() {
            self.batch.events.push(Event::Changed { conversation: id, seq });
        }
        if let Content::System { kind: MessageKind::ERASED, json } = &message.content
            && let Some(user) = user_in(json)
        {
            self.batch.events.push(Event::Erased { conversation: id, user, seq: message.seq });
        }
        if message.calls(self.habits.user)
            && let Some(conversation) = self.conversations.get_mut(&id)
        {
            conversation.called(message.seq);
        }
        if message.kind.is_countable() {
            self.batch.events.extend(self.passing.stopped(id, message.sender));
        }
        self.learn_fleeting(message, now);
    }

    pub(super) fn learn_fleeting(&mut self, message: &StoredMessage, now: Instant) {
        let Content::Fleeting { after_ms, once_read, .. } = message.content else { return };
        let (id, seq) = (message.conversation, message.seq);
        let Some(conversation) = self.conversations.get(&id) else { return };
        let row = &conversation.row;
        let is_own = message.sender == self.habits.user;
        let read = if is_own { row.peer_cursors.read } else { row.own.read };
        let began_ms_ago = if once_read && row.kind == ConversationKind::Direct {
            (read >= seq).then(|| self.began_ms_ago(id, seq))
        } else {
            Some(self.directory.server_now().saturating_sub(message.at))
        };
        let seen = Seen { conversation: id, seq, sender: message.sender, after_ms, is_own, began_ms_ago };
        self.fleeting.learn(seen, self.pause(), now);
    }

    /// Somebody has read up to `upto`.
    pub(super) fn fleeting_read(&mut self, id: ConversationId, upto: Seq, by: UserId, now: Instant) {
        for seq in self.fleeting.read(id, upto, by == self.habits.user, self.pause(), now) {
            self.began_ms_ago(id, seq);
        }
    }

    /// How long ago the time of a fleeting message began: with this, if nothing else is known, and that is kept. A clock that
    /// was put back since makes it later and never sooner.
    fn began_ms_ago(&mut self, id: ConversationId, seq: Seq) -> u64 {
        let now = device_now();
        let (at, is_news) = self.fleeting.began(id, seq, now);
        if is_news {
            self.batch.commit.fleeting_begun.push((id, seq, at));
        }
        now.saturating_sub(at)
    }

    /// This device's own pause, so that not all tell the server at once: up to some 25 s.
    fn pause(&self) -> Duration {
        Duration::from_millis(u64::from(self.habits.device.as_bytes()[15]) * 100)
    }

    /// Hides what is over, and drafts the rows that say so.
    pub(super) fn vanish_what_is_over(&mut self, now: Instant) {
        let over = self.fleeting.tick(now);
        for (conversation, seq) in over.hide {
            self.directory.hide(conversation, seq, true);
            self.batch.events.push(Event::Changed { conversation, seq });
        }
        for (conversation, seq) in over.tell {
            let drafted = self.send(conversation, Outgoing::about(seq, FollowUp::Vanish));
            if !matches!(drafted, Ok(Sendable::Drafted(_))) {
                self.fleeting.not_told(conversation, seq, now);
            }
        }
    }

    /// The fleeting messages that an earlier client left.
    pub(super) fn remember_fleeting(
        &mut self,
        messages: Vec<Message>,
        begun: Vec<(ConversationId, Seq, u64)>,
        now: Instant,
    ) {
        self.fleeting.remember(begun);
        for message in messages {
            let message = show(&self.directory, message);
            self.learn_fleeting(&message, now);
        }
    }

    /// Whether the kind of conversation that this is asks REST for a group.
    pub(super) fn is_group(&self, id: ConversationId) -> bool {
        self.conversations.get(&id).is_some_and(|conversation| conversation.row.kind == ConversationKind::Group)
    }
}

/// What was refused because it has happened already is as wanted.
pub(super) fn is_done_already(kind: MessageKind, refusal: whimbrel_core::Refusal) -> bool {
    use whimbrel_core::Refusal::{NoTarget, Recalled};
    kind == MessageKind::VANISH && matches!(refusal, NoTarget | Recalled)
}
