//! Fetching relations by REST, beside the session and one request at a time.

use tokio::time::Instant;
use whimbrel_core::UserId;

use super::{Driver, End};
use crate::error::Error;
use crate::relation::Relation;
use crate::relations::Fetch;
use crate::rest::{AuthorizedRest, RELATIONS_PAGE};

/// What a request brought.
pub(super) enum Done {
    Page(Result<Vec<Relation>, Error>),
    One(UserId, Result<Relation, Error>),
}

async fn fetch(rest: AuthorizedRest, fetch: Fetch) -> Done {
    match fetch {
        Fetch::Page(after) => Done::Page(rest.relations(after, RELATIONS_PAGE).await),
        Fetch::One(user) => Done::One(user, rest.relation(user).await),
    }
}

/// Whether there is no such user (any more).
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
            self.job = Some(Box::pin(fetch(AuthorizedRest::new(self.auth.clone()), next)));
        }
    }

    /// Takes what a request brought, and shows what waited for it.
    pub(super) async fn fetched(&mut self, done: Done) -> Result<(), End> {
        self.job = None;
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
            Done::Page(Err(error)) | Done::One(_, Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "relations could not be fetched");
                self.engine.fetch_failed(Instant::now());
            }
        }
        self.unpark();
        self.settle().await?;
        Ok(self.release().await?)
    }
}
