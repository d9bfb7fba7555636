//! A user's sessions, as they lie in one value: 56 bytes each, in no order.

use whimbrel_core::{ConnectorId, DeviceId, SessionId};

use super::script::Unreadable;
use crate::Route;

/// Session, device, connector, since. `lua/online.lua` and `lua/offline.lua` know it too.
const BYTES: usize = 56;

pub(super) fn pack(route: &Route) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..16].copy_from_slice(route.session.as_bytes());
    bytes[16..32].copy_from_slice(route.device.as_bytes());
    bytes[32..48].copy_from_slice(route.connector.as_bytes());
    bytes[48..].copy_from_slice(&route.since.to_be_bytes());
    bytes
}

pub(super) fn routes(bytes: &[u8]) -> Result<impl Iterator<Item = Route>, Unreadable> {
    let (routes, rest) = bytes.as_chunks::<BYTES>();
    if rest.is_empty() { Ok(routes.iter().map(unpack)) } else { Err(Unreadable("a user's routes")) }
}

fn unpack(bytes: &[u8; BYTES]) -> Route {
    let id = |from: usize| {
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[from..from + 16]);
        id
    };
    let mut since = [0; 8];
    since.copy_from_slice(&bytes[48..]);
    Route {
        session: SessionId::from_bytes(id(0)),
        device: DeviceId::from_bytes(id(16)),
        connector: ConnectorId::from_bytes(id(32)),
        since: u64::from_be_bytes(since),
    }
}
