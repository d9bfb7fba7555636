//! Addresses: ranges that are trusted, and whose address a request has.
//!
//! A forwarded address is believed only from a trusted proxy; otherwise it is the socket's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use axum::http::{Extensions, HeaderMap};

/// A range of addresses in CIDR form: `10.0.0.0/8`, `::1`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    base: IpAddr,
    prefix: u8,
}

/// A text is not an address range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no address range such as 10.0.0.0/8 or ::1")]
pub struct ParseRangeError(String);

impl FromStr for AddressRange {
    type Err = ParseRangeError;

    fn from_str(text: &str) -> Result<Self, ParseRangeError> {
        let wrong = || ParseRangeError(text.to_owned());
        let (base, prefix) = text.split_once('/').map_or((text, None), |(base, prefix)| (base, Some(prefix)));
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| wrong())?;
        if prefix > longest { Err(wrong()) } else { Ok(Self { base, prefix }) }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl AddressRange {
    /// Whether the address is in the range. An IPv4 address in IPv6 form counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                let cut = |a: Ipv4Addr| u32::from(a).checked_shr(shift).unwrap_or(0);
                cut(base) == cut(address)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                u128::from(base).checked_shr(shift).unwrap_or(0) == u128::from(address).checked_shr(shift).unwrap_or(0)
            }
            _ => false,
        }
    }
}

/// The other end of the socket; the server puts it into each request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

const FORWARDED: &str = "x-forwarded-for";

/// The socket's address; nobody's when the request came by no socket.
fn peer(extensions: &Extensions) -> IpAddr {
    extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical())
}

/// Whose request it is: from the right of X-Forwarded-For the first address that is no trusted proxy's, if the socket
/// is a trusted proxy's; otherwise the socket's.
pub(crate) fn client_address(extensions: &Extensions, headers: &HeaderMap, trusted: &[AddressRange]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut client = peer(extensions);
    if !is_trusted(client) {
        return client;
    }
    let named = headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.iter().rev() {
        let Ok(address) = hop.parse::<IpAddr>() else { break };
        client = address.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// Whether the one who asks is on this machine: not somebody for whom a proxy on this machine speaks, whoever that
/// proxy says it is.
pub(crate) fn is_local(extensions: &Extensions, headers: &HeaderMap) -> bool {
    peer(extensions).is_loopback() && !headers.contains_key(FORWARDED) && !headers.contains_key("forwarded")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn from(peer: &str) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(Peer(SocketAddr::new(peer.parse().expect("an address"), 1)));
        extensions
    }

    fn forwarded(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(FORWARDED.parse().expect("a name"), HeaderValue::from_static(value))])
    }

    fn ranges(texts: &[&str]) -> Vec<AddressRange> {
        texts.iter().map(|text| text.parse().expect("a range")).collect()
    }

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "::ffff:1.2.3.4", "::1"),
        ] {
            let range: AddressRange = range.parse().expect("a range");
            assert!(range.contains(inside.parse().expect("an address")), "{range} {inside}");
            assert!(!range.contains(outside.parse().expect("an address")), "{range} {outside}");
        }
        for wrong in ["", "10.0.0.0/33", "::/129", "x", "1.2.3.4/", "1.2.3.4/-1"] {
            assert!(wrong.parse::<AddressRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_forwarded_address_is_believed_from_trusted_proxies_only() {
        let trusted = ranges(&["10.0.0.0/8"]);
        let see = |peer, header| client_address(&from(peer), &forwarded(header), &trusted).to_string();
        assert_eq!(see("1.2.3.4", "9.9.9.9"), "1.2.3.4", "a stranger's word");
        assert_eq!(see("10.0.0.1", "9.9.9.9"), "9.9.9.9");
        assert_eq!(see("10.0.0.1", "6.6.6.6, 9.9.9.9, 10.0.0.2"), "9.9.9.9", "what stands left of it was forged");
        assert_eq!(see("10.0.0.1", "nonsense"), "10.0.0.1");
    }

    #[test]
    fn a_proxy_on_this_machine_makes_nobody_local() {
        assert!(is_local(&from("127.0.0.1"), &HeaderMap::new()));
        assert!(!is_local(&from("9.9.9.9"), &HeaderMap::new()));
        assert!(!is_local(&from("127.0.0.1"), &forwarded("9.9.9.9")));
        assert!(!is_local(&from("127.0.0.1"), &forwarded("127.0.0.1")));
        assert!(!is_local(&Extensions::new(), &HeaderMap::new()));
    }
}
