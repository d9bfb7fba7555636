//! Fetching relations, groups and settings by REST, beside the session and one request at a time.

use tokio::time::Instant;
use whimbrel_core::{ConversationId, UserId};

use super::{Driver, End};
use crate::error::Error;
use crate::group::{GroupInfo, Page};
use crate::relation::{Relation, RelationKey};
use crate::relations::Fetch;
use crate::rest::{AuthorizedRest, PAGE, RELATIONS_PAGE};
use crate::setting::Setting;

/// What a request brought.
pub(super) enum Done {
    Page(Result<Vec<Relation>, Error>),
    One(UserId, Result<Relation, Error>),
    Group(ConversationId, Result<(GroupInfo, Vec<RelationKey>), Error>),
    Settings(Result<Page<Setting, ConversationId>, Error>),
    Setting(ConversationId, Result<Option<Setting>, Error>),
}

/// A group, and the versions of its key above `after`.
async fn group(rest: &AuthorizedRest, id: ConversationId, after: u32) -> Result<(GroupInfo, Vec<RelationKey>), Error> {
    let info = rest.group(id).await?;
    let (mut keys, mut after) = (Vec::new(), after);
    // Who never was in it gets none; with the newest known there is none to get.
    while info.role.is_some() && after < info.group.key_version {
        let page = rest.group_keys(id, after, PAGE).await?;
        keys.extend(page.items);
        match page.next {
            Some(next) if next > after => after = next,
            _ => break,
        }
    }
    Ok((info, keys))
}

/// How one conversation is shown. There are only pages to ask for: the one that begins there, with one entry.
async fn setting(rest: &AuthorizedRest, id: ConversationId) -> Result<Option<Setting>, Error> {
    let before = u128::from_be_bytes(*id.as_bytes()).checked_sub(1);
    let before = before.map(|before| ConversationId::from_bytes(before.to_be_bytes()));
    let page = rest.settings(before, 1).await?;
    Ok(page.items.into_iter().find(|setting| setting.conversation == id))
}

async fn fetch(rest: AuthorizedRest, fetch: Fetch, key_after: u32) -> Done {
    match fetch {
        Fetch::Page(after) => Done::Page(rest.relations(after, RELATIONS_PAGE).await),
        Fetch::One(user) => Done::One(user, rest.relation(user).await),
        Fetch::Group(id) => Done::Group(id, group(&rest, id, key_after).await),
        Fetch::Settings(after) => Done::Settings(rest.settings(after, PAGE).await),
        Fetch::Setting(id) => Done::Setting(id, setting(&rest, id).await),
    }
}

/// Whether there is no such user or group (any more), or no such thing on this server at all.
fn is_nobody(error: &Error) -> bool {
    matches!(error, Error::Api(error) if error.status == 404)
}

impl Driver {
    /// Starts the next request, if one is due and none is under way.
    pub(super) fn start_fetch(&mut self, now: Instant) {
        if self.job.is_none()
            && self.engine.may_fetch()
            && let Some(next) = self.engine.due.next(now)
        {
            let key_after = match next {
                Fetch::Group(id) => self.engine.newest_key_version(id),
                _ => 0,
            };
            self.engine.due.begin(next);
            self.job = Some(Box::pin(fetch(AuthorizedRest::new(self.auth.clone()), next, key_after)));
        }
    }

    /// Takes what a request brought, and shows what waited for it.
    pub(super) async fn fetched(&mut self, done: Done) -> Result<(), End> {
        self.job = None;
        let now = Instant::now();
        match done {
            Done::Page(Ok(relations)) => {
                let last = relations.last().filter(|_| relations.len() >= RELATIONS_PAGE).map(|last| last.peer.id);
                self.engine.relations_page(relations, last);
            }
            Done::One(user, Ok(relation)) => self.engine.relation(user, Some(relation)),
            Done::One(user, Err(error)) if is_nobody(&error) => {
                tracing::debug!(%user, %error, "no relation with this user");
                self.engine.relation(user, None);
            }
            Done::Group(id, Ok(fetched)) => self.engine.learn_group(id, Some(fetched)),
            Done::Group(id, Err(error)) if is_nobody(&error) => self.engine.learn_group(id, None),
            Done::Settings(Ok(page)) => self.engine.settings_page(page.items, page.next, now),
            Done::Settings(Err(error)) if is_nobody(&error) => self.engine.settings_page(Vec::new(), None, now),
            Done::Setting(id, Ok(setting)) => self.engine.setting(id, setting, now),
            Done::Setting(id, Err(error)) if is_nobody(&error) => self.engine.setting(id, None, now),
            Done::Page(Err(error))
            | Done::One(_, Err(error))
            | Done::Group(_, Err(error))
            | Done::Settings(Err(error))
            | Done::Setting(_, Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "relations, groups or settings were not fetched"
                );
                self.engine.fetch_failed(now);
            }
        }
        self.unpark();
        self.settle().await?;
        Ok(self.release().await?)
    }
}
