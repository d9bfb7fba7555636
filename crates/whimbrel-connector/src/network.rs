//! Where a client comes from, in eight bytes: what sessions keep for their log line, and what is counted per address.
//!
//! An IPv4 address is itself; of an IPv6 address its first 64 bits count, since whoever has one has all of the rest.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A client's IPv4 address or IPv6 network.
///
/// IPv4 addresses stand in the lower half with nothing above: as IPv6 networks these would be in `::/8`, where no
/// client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(u64);

impl Network {
    /// A proxy's own connection, or one that was not looked at yet: nobody has this address.
    pub(crate) const UNKNOWN: Self = Self(0);

    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u32::from(address).into()),
            IpAddr::V6(address) if address.is_loopback() => Self(u32::from(Ipv4Addr::LOCALHOST).into()),
            IpAddr::V6(address) => Self((u128::from(address) >> 64) as u64),
        }
    }

    /// This machine itself.
    pub(crate) fn is_loopback(self) -> bool {
        self.v4().is_some_and(|address| address.is_loopback())
    }

    fn v4(self) -> Option<Ipv4Addr> {
        u32::try_from(self.0).ok().map(Ipv4Addr::from)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.v4() {
            Some(address) => write!(f, "{address}"),
            None => write!(f, "{}/64", Ipv6Addr::from(u128::from(self.0) << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Network {
        Network::of(address.parse().expect("an address"))
    }

    #[test]
    fn an_address_is_itself_and_an_ipv6_address_is_its_network() {
        assert_eq!(of("203.0.113.9").to_string(), "203.0.113.9");
        assert_eq!(of("::ffff:203.0.113.9"), of("203.0.113.9"));
        assert_ne!(of("203.0.113.9"), of("203.0.113.10"));
        assert_eq!(of("2001:db8:1:2::7").to_string(), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2:a:b:c:d"), of("2001:db8:1:2::7"));
        assert_ne!(of("2001:db8:1:3::7"), of("2001:db8:1:2::7"));
        assert!(["127.0.0.1", "127.9.9.9", "::1"].into_iter().all(|address| of(address).is_loopback()));
        assert!(!of("10.0.0.1").is_loopback() && !of("fd00::1").is_loopback());
    }
}
