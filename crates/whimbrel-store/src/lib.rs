//! Where things rest: the traits, and one folder for each engine that keeps them.
//!
//! | trait | holds | standalone | cluster |
//! |---|---|---|---|
//! | [`Timeline`] | messages in their places, cursors | `sqlite` | `mysql` |
//! | [`History`], [`Keeping`] | pages of the timeline; what retention does to it | `sqlite` | `mysql` |
//! | [`Search`] | what messages say, where bodies are readable | `sqlite` | `mysql` |
//! | [`Directory`] | accounts, devices, relations with their keys, members | `sqlite` | `mysql` |
//! | [`Groups`] | groups, their members, requests and keys | `sqlite` | `mysql` |
//! | [`Settings`] | how users have conversations shown | `sqlite` | `mysql` |
//! | [`Presences`] | whether users want to be seen, and when they were here last | `sqlite` | `mysql` |
//! | [`Files`] | what is known of files, and who may read them | `sqlite` | `mysql` |
//! | [`Blobs`] | the content of files | `blobs::folder` | `blobs::folder`, shared, or `blobs::bucket` |
//! | [`UserStatus`] | who is online, and where | `memory` | `redis` |
//! | [`Log`] | submitted batches that are not placed yet | `memory` | `rabbit` |
//! | [`Park`] | drafts that cannot be placed | `memory` | `rabbit` |
//!
//! The traits give mechanisms; the rules (who may speak, which seq comes next, what a repeat is) are the roles'. Each
//! trait has one conformance suite (`conformance`) that every engine passes.

pub mod blobs;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod copy;
pub mod directory;
pub mod error;
mod files;
pub mod filing;
pub mod groups;
pub mod history;
pub mod keeping;
pub mod keyring;
pub mod log;
pub mod memory;
pub mod mysql;
pub mod park;
pub mod presence;
pub mod rabbit;
pub mod redis;
pub mod search;
pub mod settings;
pub mod sqlite;
#[cfg(any(test, feature = "conformance"))]
pub mod testing;
pub mod timeline;
pub mod user_status;

pub use blobs::Blobs;
pub use directory::Directory;
pub use error::StoreError;
pub use filing::Files;
pub use groups::Groups;
pub use history::History;
pub use keeping::Keeping;
pub use keyring::{Keyring, MasterKey};
pub use log::{Confirm, Consumer, Delivered, DraftsEntry, Entry, Log, LogError, Record};
pub use park::{DeadLetter, MemoryPark, Park};
pub use presence::Presences;
pub use search::Search;
pub use settings::Settings;
pub use timeline::{CommitError, CursorWrite, FoundRow, Head, NewRow, PlaceBatch, Target, Timeline};
pub use user_status::{Renewed, Route, UserStatus};
