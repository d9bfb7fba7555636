//! Connector → transfer.

use async_trait::async_trait;
use whimbrel_core::{
    ConnectorId, ConversationId, Cursors, DeviceId, Draft, GoodbyeCode, Incarnation, SessionId, Sight, SyncQuestion,
    UserId,
};

/// Which session speaks, and for whom. Authenticated by the connector; transfers believe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionRef {
    /// The session.
    pub session: SessionId,
    /// Its user.
    pub user: UserId,
    /// Its device.
    pub device: DeviceId,
}

/// A session that wants to be reachable. The connector must be ready to take pushes for it before it asks.
#[derive(Debug, Clone)]
pub struct Attach {
    /// The session.
    pub session: SessionRef,
    /// Where it is connected.
    pub connector: ConnectorId,
    /// When it said Hello, by the connector's clock, milliseconds since 1970: of two sessions of one device the older
    /// one goes.
    pub since: u64,
    /// As the client named it.
    pub platform: String,
}

/// A session was attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// UserStatus knows it. Otherwise UserStatus was away: the connector asserts the session until that succeeds, and
    /// pokes it then.
    pub registered: bool,
}

/// A session that a connector holds, as it asserts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The session.
    pub session: SessionRef,
    /// As in [`Attach::since`].
    pub since: u64,
}

/// What a connector learns when it renews its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The life of UserStatus; another one than last time: everything that was registered may be gone. `None`:
    /// UserStatus does not answer.
    pub incarnation: Option<Incarnation>,
    /// Which unbroken lease this is, when there is an incarnation; another one than last time: somebody may have taken
    /// this connector for dead, and messages may have passed it by, so that it asserts its sessions, and pokes them. An
    /// answer that is lost does no harm: the next one has the same number.
    pub term: u64,
    /// False: between this call and the last one there was a time in which no transfer could have reached this
    /// connector, which means the same. Told once, by what knows it in the connector's own process.
    pub kept: bool,
}

/// Why a session was not attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachRefused {
    /// What the client is told.
    pub code: GoodbyeCode,
    /// For `UNAVAILABLE`: not before this many milliseconds.
    pub retry_after_ms: u32,
}

/// What a client asked for, decoded and checked for its form (ids, counts, lengths).
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub from: SessionRef,
    /// What.
    pub body: RequestBody,
}

/// The kinds of request.
#[derive(Debug)]
pub enum RequestBody {
    /// Drafts for one conversation, in their order; every one is answered by [`PushBody::Answers`](crate::PushBody).
    Send {
        /// Where to.
        conversation: ConversationId,
        /// At least one, at most [`SEND_BATCH_MAX`](whimbrel_core::limits::SEND_BATCH_MAX).
        drafts: Vec<Draft>,
    },
    /// Cursors of the session's user; answered by [`PushBody::Advanced`](crate::PushBody) once durable.
    Advance(Vec<(ConversationId, Cursors)>),
    /// Something that passes, for whoever is online in the conversation; not answered, and dropped where it is not
    /// allowed or there is no room.
    Signal {
        /// Where to.
        conversation: ConversationId,
        /// At most [`SIGNAL_MAX`](whimbrel_core::limits::SIGNAL_MAX) bytes, for the clients to read.
        body: bytes::Bytes,
    },
    /// What follows? Answered by [`PushBody::Synced`](crate::PushBody).
    Sync(SyncQuestion),
}

/// A connector's question about those whom its sessions watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stirring {
    /// All of them, or a part: at most [`PRESENCE_USERS_ASKED`](whimbrel_core::limits::PRESENCE_USERS_ASKED).
    pub users: Vec<UserId>,
    /// [`Stirred::as_of`] of the last answer; 0: only who is here.
    pub since: u64,
    /// Users who went without saying so, and when they were last known to be here.
    pub gone: Vec<(UserId, u64)>,
}

/// What has become of watched users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stirred {
    /// The transfer's clock when it began to look; if the directory does not answer, as it was asked.
    pub as_of: u64,
    /// Those who are here. `None`: UserStatus does not say who is where.
    pub here: Option<Vec<UserId>>,
    /// Those of whom something else may be shown than before, or to others. `None`: anybody.
    pub changed: Option<Vec<UserId>>,
}

/// Decides what happens to a message.
#[async_trait]
pub trait Transfer: Send + Sync + 'static {
    /// Makes sessions reachable, each answered for itself, and closes earlier sessions of the same devices with
    /// [`REPLACED`](GoodbyeCode::REPLACED). Registers first and reads the devices' rows after it, so that a log-out
    /// either finds the session or is seen here. Asking again for the same session is harmless.
    async fn attach(&self, attaches: Vec<Attach>) -> Vec<Result<Attached, AttachRefused>>;

    /// Takes requests from sessions of one connector, in their order, without waiting. Every one is answered by a push
    /// to its session there sooner or later, if only by "retry"; what does not fit into the transfer's bounds is
    /// answered so at once.
    fn submit(&self, from: ConnectorId, requests: Vec<Request>);

    /// Ends the reachability of these sessions, and of no newer ones of their devices.
    async fn detach(&self, sessions: Vec<SessionRef>);

    /// Renews the connector's lease, which lasts [`LEASE`](whimbrel_core::limits::LEASE).
    async fn renew(&self, connector: ConnectorId) -> Lease;

    /// Registers sessions again that this connector holds; false: UserStatus did not take them, ask again. Of two
    /// sessions of one device the older one is closed.
    async fn assert(&self, connector: ConnectorId, sessions: Vec<Standing>) -> bool;

    /// The connector ends: its lease ends with it.
    async fn leave(&self, connector: ConnectorId);

    /// What the first of each pair may be shown of the second, in their order: at most
    /// [`PRESENCE_PAIRS_ASKED`](whimbrel_core::limits::PRESENCE_PAIRS_ASKED). `None`: nobody knows at the moment; a
    /// transfer without presence never does.
    async fn sights(&self, _: Vec<(UserId, UserId)>) -> Option<Vec<Option<Sight>>> {
        None
    }

    /// Who of these users is here, and of whom something else may be shown than before. `None`: nobody knows at the
    /// moment; a transfer without presence never does.
    async fn stirred(&self, _: Stirring) -> Option<Stirred> {
        None
    }
}
