//! What history is asked for, and what comes of it.

use whimbrel_core::Seq;

use crate::picture::Pictured;

/// Where a page of history lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryAt {
    /// At the end.
    Newest,
    /// Before this place.
    Before(Seq),
    /// After this place.
    After(Seq),
    /// On both sides of this place, which is among them.
    Around(Seq),
    /// From the first message on that was placed at this time (milliseconds since 1970) or later.
    At(u64),
}

/// A page of history, as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// In their order, as they are now: edited, with their reactions, grown, or gone.
    pub items: Vec<Pictured>,
    /// For what is older ask for [`HistoryAt::Before`] this; `None`: there is nothing older.
    pub older: Option<Seq>,
    /// For what is newer ask for [`HistoryAt::After`] this; `None`: there is nothing newer yet.
    pub newer: Option<Seq>,
}
