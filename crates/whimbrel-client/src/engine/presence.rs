//! Who of those whom the user watches is here.

use whimbrel_core::{Presence, UserId};

use super::Engine;
use crate::event::Event;

impl Engine {
    /// The user watches these from now on.
    pub(crate) fn watch(&mut self, users: Vec<UserId>) {
        self.watched.watch(users);
        self.directory.set_presences(self.watched.all());
    }

    pub(super) fn presences(&mut self, presences: Vec<Presence>) {
        let news = self.watched.heard(presences);
        self.show_presences(news);
    }

    pub(super) fn show_presences(&mut self, news: Vec<Presence>) {
        if !news.is_empty() {
            self.directory.set_presences(self.watched.all());
            self.batch.events.extend(news.into_iter().map(Event::Presence));
        }
    }
}
