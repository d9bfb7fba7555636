//! What an application does by itself: it says something somewhere, and it reads.

use std::sync::atomic::Ordering;

use whimbrel_client::{Client, ConversationId, Error, Seq};

use super::super::groups::Group;
use super::super::ledger::{Drafted, write};
use super::{Actor, now_ms};

/// Messages to quiet conversations, out of a hundred: there, the next message does not soon bring along what was missed.
const QUIET_PERCENT: usize = 2;
/// Messages to groups, out of a hundred: each goes to many more devices than one to a friend.
const GROUP_PERCENT: usize = 20;
/// Of these to the large one, out of a hundred.
const LARGE_PERCENT: usize = 20;

impl Actor {
    /// Where to say something.
    fn choose(&mut self) -> Option<(ConversationId, Option<Group>)> {
        let (loud, groups) = (self.role.loud, &self.role.groups);
        let dice = &mut self.role.dice;
        if let Some((large, small)) = groups.split_last()
            && dice.percent(GROUP_PERCENT)
        {
            let is_large = small.is_empty() || dice.percent(LARGE_PERCENT);
            let group = if is_large { large } else { &small[dice.below(small.len())] };
            return Some((group.conversation, Some(group.clone())));
        }
        let quiet = self.role.conversations.len() - loud;
        let turn = match loud == 0 || (quiet > 0 && dice.percent(QUIET_PERCENT)) {
            true => loud + dice.below(quiet),
            false => dice.below(loud),
        };
        self.role.conversations.get(turn).map(|conversation| (*conversation, None))
    }

    pub(super) async fn send(&mut self, client: &Client) {
        let Some((conversation, group)) = self.choose() else { return };
        // An application asks nobody to write to a group that one is not in.
        let may = |group: &Group| client.group(group.conversation).is_some_and(|info| info.is_member());
        if group.as_ref().is_some_and(|group| !may(group)) {
            return;
        }
        let (number, at) = (self.talk.next_number(conversation), now_ms());
        let (index, saying) = {
            let book = self.handle.book();
            let shown = book.seen.get(&conversation).map_or(&[][..], Vec::as_slice);
            let owns = group.as_ref().is_some_and(|group| group.owner == book.user);
            (book.index, self.talk.choose(conversation, shown, owns, &mut self.role.dice))
        };
        let text = write(index, number, conversation, &mut self.role.dice);
        match saying.send(client, conversation, &text).await {
            Ok(message_id) => {
                self.talk.drafted(conversation, message_id, saying);
                self.world.drafted.fetch_add(1, Ordering::Relaxed);
                self.drafted.insert(message_id, self.world.began.elapsed());
                let target = saying.target();
                self.handle.book().drafted.push(Drafted { conversation, message_id, number, target, at });
            }
            // The bound of an outbox does its work while the server is away.
            Err(Error::OutboxFull) => {}
            // It was removed a moment ago, or its key cannot be had while the server is away.
            Err(Error::NotInGroup(_) | Error::NoKey(_)) if group.is_some() => {}
            Err(error) => self.fail(format!("a message could not be put into the outbox: {error}")),
        }
    }

    /// Reads a conversation up to the last message that was shown.
    pub(super) async fn read(&mut self, client: &Client) {
        let groups = self.role.groups.iter().map(|group| group.conversation);
        let all: Vec<_> = self.role.conversations.iter().copied().chain(groups).collect();
        let Some(conversation) = all.get(self.role.dice.below(all.len())).copied() else { return };
        let (user, upto) = {
            let book = self.handle.book();
            (book.user, book.end(conversation))
        };
        if upto > Seq::ZERO {
            // Written down first, so that nobody can hear of it before.
            self.world.receipts.lock().expect("nobody panics while writing").reads(user, conversation, upto);
            self.reading.iter_mut().for_each(|reading| reading.says(conversation, upto));
            match client.mark_read(conversation, upto).await {
                Ok(()) => {}
                // A life that begins with nothing says it again once it knows it.
                Err(Error::UnknownConversation(_)) if self.reading.is_some() => {}
                Err(error) => self.fail(format!("nothing could be marked as read: {error}")),
            }
        }
    }

    /// Says again what an earlier life said and perhaps took with it.
    pub(super) async fn read_again(&mut self, client: &Client) {
        for (conversation, upto) in std::mem::take(&mut self.read_again) {
            if let Err(error) = client.mark_read(conversation, upto).await {
                self.fail(format!("nothing could be marked as read again: {error}"));
            }
        }
    }
}
