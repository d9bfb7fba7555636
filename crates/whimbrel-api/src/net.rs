//! Whose address a request has.
//!
//! A forwarded address is believed only from a trusted proxy; otherwise it is the socket's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::{Extensions, HeaderMap};
pub use whimbrel_core::address::{AddressRange, ParseRangeError};

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
