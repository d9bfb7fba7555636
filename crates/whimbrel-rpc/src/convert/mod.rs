//! Words ↔ the cluster's messages.
//!
//! Every conversion out is lossless, and every one in checks what the proto file promises: an id that is missing and a
//! number that stands for nothing are [`Malformed`], named by their field. Nothing here panics whatever was received.
//! Bodies are shared, never copied.

mod announce;
mod ask;
mod common;
mod group;
mod presence;
mod push;
mod request;
#[cfg(test)]
mod tests;
pub(crate) mod weight;

pub(crate) use announce::{placed_batch, through, through_out, told};
pub(crate) use ask::{attach_result, attach_result_out};
pub(crate) use presence::{looks, looks_out, sights, sights_out};

use whimbrel_core::{
    BatchId, ConnectorId, ConversationId, DeviceId, Incarnation, MessageId, SessionId, TransferId, UserId,
};

/// The generated types.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
pub(crate) mod pb {
    tonic::include_proto!("whimbrel.cluster.v1");
}

/// A field that is not what the proto file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is missing, or stands for nothing")]
#[allow(unreachable_pub, reason = "it is the error of conversions into public types")]
pub struct Malformed(pub(crate) &'static str);

pub(crate) type Result<T> = std::result::Result<T, Malformed>;

/// The identifiers of 16 bytes.
pub(crate) trait Uuid: Copy {
    fn bytes(&self) -> &[u8; 16];
    fn of(bytes: [u8; 16]) -> Self;
}

macro_rules! uuids {
    ($($name:ident)*) => {$(
        impl Uuid for $name {
            fn bytes(&self) -> &[u8; 16] {
                self.as_bytes()
            }
            fn of(bytes: [u8; 16]) -> Self {
                Self::from_bytes(bytes)
            }
        }
    )*};
}

uuids! { BatchId ConnectorId ConversationId DeviceId Incarnation MessageId SessionId TransferId }

/// An id on its way out.
pub(crate) fn out<T: Uuid>(id: T) -> pb::Id {
    let number = u128::from_be_bytes(*id.bytes());
    pb::Id { high: (number >> 64) as u64, low: number as u64 }
}

/// An id that came.
pub(crate) fn id<T: Uuid>(id: pb::Id) -> T {
    T::of((u128::from(id.high) << 64 | u128::from(id.low)).to_be_bytes())
}

/// An id that must have come.
pub(crate) fn need<T: Uuid>(field: &'static str, came: Option<pb::Id>) -> Result<T> {
    came.map(id).ok_or(Malformed(field))
}

/// A part that must have come.
pub(crate) fn part<T>(field: &'static str, came: Option<T>) -> Result<T> {
    came.ok_or(Malformed(field))
}

/// A user: anybody but nobody.
pub(crate) fn user(field: &'static str, number: u64) -> Result<UserId> {
    if number == 0 { Err(Malformed(field)) } else { Ok(UserId(number)) }
}

/// Each of a list.
pub(crate) fn all<A, B, C: FromIterator<B>>(list: Vec<A>, each: impl FnMut(A) -> Result<B>) -> Result<C> {
    list.into_iter().map(each).collect()
}

/// Each of a list, on its way out.
pub(crate) fn each<'a, A: 'a, B: From<&'a A>>(list: impl IntoIterator<Item = &'a A>) -> Vec<B> {
    list.into_iter().map(B::from).collect()
}
