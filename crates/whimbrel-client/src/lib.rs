//! The Rust SDK of Whimbrel, an instant-messaging server.
//!
//! A [`Client`] is one device of one user. It keeps a connection, sends what is in its outbox until it is answered,
//! keeps each conversation as one gapless run in its own store, and tells the application what happens as a stream of
//! [`Event`]s. Connections break; the client reconnects, repairs gaps and repeats, and the application sees each
//! message once and in order.
//!
//! # Register, make a friend, write
//!
//! Accounts and friendships are REST calls ([`Rest`], or [`Client::rest`] with the client's own tokens); messages go
//! over the client.
//!
//! ```
//! use whimbrel_client::{Client, DeviceInfo, Event, Outcome, Rest};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let fake = whimbrel_client::testing::FakeServer::start().await;
//! # let (api_url, server) = (fake.api_url(), fake.server());
//! // let (api_url, server) = ("http://127.0.0.1:7180", "127.0.0.1:7181");
//! let rest = Rest::new(&api_url)?;
//! let alice = rest.register("alice", "correct horse", &DeviceInfo::default()).await?;
//! let bob = rest.register("bob", "battery staple", &DeviceInfo::default()).await?;
//!
//! let (alice, _) = Client::builder(&api_url, &server).credentials(alice).connect().await?;
//! let (bob, mut bobs_events) = Client::builder(&api_url, &server).credentials(bob).connect().await?;
//! bob.wait_online().await?;
//!
//! let found = alice.rest().find_user("bob").await?.expect("bob has registered");
//! alice.rest().request_friend(found.id, "Hello, it is Alice").await?;
//! let friends = bob.rest().accept(alice.user()).await?;
//! let conversation = friends.conversation.expect("friends have one");
//!
//! alice.wait_online().await?;
//! let id = alice.send_text(conversation, "How do you do?").await?;
//! // Not needed for sending: the outbox goes on until there is an answer.
//! assert!(matches!(alice.sent(conversation, id).await?, Outcome::Sent { .. }));
//!
//! while let Some(event) = bobs_events.next().await {
//!     if let Event::Message(message) = event {
//!         assert_eq!(message.text(), Some("How do you do?"));
//!         bob.mark_read(message.conversation, message.seq).await?;
//!         break;
//!     }
//! }
//! # bob.close().await;
//! # alice.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Groups, and what is done to messages
//!
//! ```
//! use whimbrel_client::{Client, Event, NewGroup, Outcome, Outgoing, Seq};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let fake = whimbrel_client::testing::FakeServer::start().await;
//! # let (alice, bob, _) = fake.friends("alice", "bob");
//! # let builder = |user| Client::builder(&fake.api_url(), &fake.server()).credentials(fake.credentials(user));
//! # let (alice, _) = builder(alice).connect().await?;
//! # let (bob, mut bobs_events) = builder(bob).connect().await?;
//! # alice.wait_online().await?;
//! # bob.wait_online().await?;
//! let group = alice.create_group(&NewGroup::named("Bird watchers", [bob.user()])).await?;
//! let id = alice.send_text(group.id, "Are the waders bakc?").await?;
//! let Outcome::Sent { seq, .. } = alice.sent(group.id, id).await? else { panic!("refused") };
//!
//! while let Some(event) = bobs_events.next().await {
//!     if let Event::Message(message) = event
//!         && message.text().is_some()
//!     {
//!         bob.mark_read(group.id, message.seq).await?;
//!         bob.react(group.id, message.seq, "🎉").await?;
//!         let answer = Outgoing::text("Since this morning").answering(&message);
//!         let id = bob.send(group.id, answer).await?;
//!         bob.sent(group.id, id).await?;
//!         break;
//!     }
//! }
//! let id = alice.edit(group.id, seq, Outgoing::text("Are the waders back?")).await?;
//! alice.sent(group.id, id).await?;
//!
//! // Each message as it is now: edited, with its reactions, or taken back.
//! for item in alice.picture(group.id, Seq::ZERO, 50).await? {
//!     println!("{} {:?}", item.content, item.reactions);
//! }
//! # bob.close().await;
//! # alice.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A device that stays
//!
//! With [`ClientBuilder::store_file`] the outbox, the messages and the tokens are in one file. The next client on that
//! file needs nothing else: it goes on with what is there.
//!
//! ```
//! use whimbrel_client::{Client, Seq};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let fake = whimbrel_client::testing::FakeServer::start().await;
//! # let (api_url, server) = (fake.api_url(), fake.server());
//! # let (alice, bob, conversation) = fake.friends("alice", "bob");
//! # fake.say(conversation, bob, "Are you there?");
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("alice.whimbrel");
//! let builder = Client::builder(&api_url, &server).password("alice", "secret").store_file(&file);
//! let (client, _events) = builder.connect().await?;
//! client.wait_online().await?;
//! client.close().await;
//!
//! // Later, without a password:
//! let (client, _events) = Client::builder(&api_url, &server).store_file(&file).connect().await?;
//! for chat in client.conversations().await? {
//!     println!("{}: {} unread", chat.peer_name, chat.unread);
//!     for message in client.messages(chat.id, Seq::ZERO, 50).await? {
//!         println!("  {:?}", message.text());
//!     }
//! #   assert_eq!(chat.unread, 1);
//! }
//! # client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! * What [`Client::send`] returned an id for is sent, once, whatever happens to connections; with a file store also
//!   whatever happens to the process. It ends as SENT, or refused with a reason.
//! * Each message is stored before it is shown, and shown once, in the order of the conversation.
//! * The server is told DELIVERED of what is stored, and READ of what [`Client::mark_read`] says.
//! * The application may be slow: the event queue is bounded, and [`Event::Lagged`] says that events were left out.
//!   What they told is in the store ([`Client::messages`], [`Client::conversations`]).
//!
//! # What rests on the device
//!
//! Bodies rest as ciphertext, in the outbox too. The keys and the tokens are in the same store, so whoever can read the
//! store can read the messages; the file has mode 0600.
#![forbid(unsafe_code)]

mod account;
mod builder;
mod client;
mod connection;
mod content;
mod cursors;
mod driver;
mod engine;
mod error;
mod event;
mod files;
mod group;
mod history;
mod inbox;
mod keys;
mod message;
mod outbox;
mod picture;
mod presence;
mod reconnect;
mod relation;
mod relations;
mod rest;
mod search;
mod setting;
pub mod store;
mod sync;
#[doc(hidden)]
pub mod testing;
mod tls;

pub use account::{Credentials, DeviceInfo, SavedCredentials};
pub use builder::{ClientBuilder, EVENT_CAPACITY, FirstSync};
pub use client::{Client, MESSAGES_MAX};
pub use content::{
    Attachment, AttachmentKind, CardOf, Content, EMOJI_MAX, EXCERPT_MAX, FollowUp, Location, MergedMessage, Origin,
    Outgoing, Quote, Thumbnail,
};
pub use error::{ApiError, Error, StoreError};
pub use event::{Closed, ConnectionState, Event, Events, NotPlaced, Outcome};
pub use files::{FileTransfer, Progress, Sending, Stage};
pub use group::{
    Group, GroupAction, GroupInfo, GroupMember, GroupNews, GroupRequest, GroupSettings, JoinMode, Keep, NewGroup, Page,
    ReadBy, Reader, RequestKind,
};
pub use history::{History, HistoryAt};
pub use message::{ConversationSummary, StoredMessage};
pub use picture::{Earlier, Gone, Picture, Pictured, Reacted};
pub use presence::PrivacyChange;
pub use relation::{Device, Profile, ProfileChange, Relation, RelationKey, RelationState};
pub use rest::{
    AuthorizedRest, FileForm, FileProof, FileRange, FileState, FileUsage, OwnFile, OwnFiles, PAGE, RELATIONS_PAGE,
    Rest, ServerFollowUps, ServerPage, ServerSearched,
};
pub use search::{Search, SearchHit, SearchPlace, Searched, SearchedBy};
pub use setting::{Setting, SettingChange};

pub use whimbrel_core::search::{Snippet, Terms, TermsError};
pub use whimbrel_core::{
    ConversationId, ConversationKind, Cursors, DeviceId, FileId, GoodbyeCode, MessageId, MessageKind, Presence,
    PresenceState, Privacy, Refusal, Role, Seq, UserId,
};

/// What this SDK calls itself.
pub(crate) const SDK_VERSION: &str = concat!("whimbrel-rust/", env!("CARGO_PKG_VERSION"));
