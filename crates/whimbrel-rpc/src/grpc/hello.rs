//! Who speaks, and whether both speak the same language.

use tonic::{Status, Streaming};
use whimbrel_core::TransferId;

use crate::convert::{out, pb};

/// The number of the cluster's protocol. It is raised when something is added that the other side must know of; what
/// is removed must not have been needed for one number before.
///
/// | number | added |
/// |---|---|
/// | 1 | |
/// | 2 | groups, signals, refusals 10 to 16, presence (`older` says how number 1 is spoken to) |
pub const PROTOCOL: u32 = 2;

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Holds sockets.
    Connector,
    /// Decides.
    Transfer,
    /// Places.
    Archiver,
    /// REST.
    Api,
}

impl Role {
    /// As in labels and logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Connector => "connector",
            Self::Transfer => "transfer",
            Self::Archiver => "archiver",
            Self::Api => "api",
        }
    }

    fn of(number: i32) -> Option<Self> {
        match pb::Role::try_from(number).ok()? {
            pb::Role::NotSaid => None,
            pb::Role::Connector => Some(Self::Connector),
            pb::Role::Transfer => Some(Self::Transfer),
            pb::Role::Archiver => Some(Self::Archiver),
            pb::Role::Api => Some(Self::Api),
        }
    }
}

/// The peer's Hello, judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) role: Role,
    pub(crate) id: pb::Id,
    pub(crate) protocol: u32,
}

/// The Hello for one transfer and no other: where it listened, another one may listen now, and is on the list by its
/// own id as well.
pub(crate) fn addressed(hello: &pb::Hello, to: TransferId) -> pb::Hello {
    pb::Hello { to: Some(out(to)), ..hello.clone() }
}

/// Judges whom a Hello is for.
pub(crate) fn meant(hello: &pb::Hello, me: pb::Id) -> Result<(), Unlike> {
    match hello.to {
        Some(to) if to != me => Err(Unlike {
            why: "elsewhere",
            sentence: "the transfer that is meant has ended, and another one listens at its address".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// This side's Hello. `protocol` is [`PROTOCOL`] outside tests.
pub(crate) fn hello(protocol: u32, role: Role, id: pb::Id) -> pb::Hello {
    let role = match role {
        Role::Connector => pb::Role::Connector,
        Role::Transfer => pb::Role::Transfer,
        Role::Archiver => pb::Role::Archiver,
        Role::Api => pb::Role::Api,
    };
    pb::Hello { protocol, role: role.into(), id: Some(id), version: env!("CARGO_PKG_VERSION").to_owned(), to: None }
}

/// Why a Hello was not accepted, for labels, and the sentence.
pub(crate) struct Unlike {
    pub(crate) why: &'static str,
    pub(crate) sentence: String,
}

/// Judges a Hello that should come from one of these roles; `mine`: what this side speaks.
pub(crate) fn judge(hello: &pb::Hello, mine: u32, expected: &[Role]) -> Result<Peer, Unlike> {
    let unlike = |why, sentence| Err(Unlike { why, sentence });
    // Before everything else: another protocol may say the rest differently.
    if hello.protocol.abs_diff(mine) > 1 {
        let sentence = format!(
            "whimbrel {} speaks cluster protocol {} and this is {} with {mine}: only neighbouring versions run together",
            hello.version,
            hello.protocol,
            env!("CARGO_PKG_VERSION")
        );
        return unlike("protocol", sentence);
    }
    match (Role::of(hello.role), hello.id) {
        (Some(role), Some(id)) if expected.contains(&role) => Ok(Peer { role, id, protocol: hello.protocol }),
        (Some(role), Some(_)) => unlike("role", format!("this stream is not for a {}", role.name())),
        _ => unlike("role", "Hello does not say who speaks".to_owned()),
    }
}

/// What a server's first message holds; gives the protocol that it speaks.
pub(crate) fn answered(hello: Option<pb::Hello>, refused: Option<pb::Refused>, mine: u32) -> Result<u32, Status> {
    if let Some(pb::Refused { sentence }) = refused {
        return Err(Status::failed_precondition(sentence));
    }
    let hello = hello.ok_or_else(|| Status::invalid_argument("the first message is not Hello"))?;
    let judged = judge(&hello, mine, &[Role::Transfer]);
    judged.map(|peer| peer.protocol).map_err(|unlike| Status::failed_precondition(unlike.sentence))
}

/// The first message of a stream; an end before it is an error.
pub(crate) async fn first<T>(stream: &mut Streaming<T>) -> Result<T, Status> {
    stream.message().await?.ok_or_else(|| Status::invalid_argument("the stream ended before Hello"))
}
