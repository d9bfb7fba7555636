//! The PROXY protocol, version 2, without I/O: what a proxy says about a client before the client's first byte.
//!
//! Whether it is listened to is decided elsewhere: only trusted proxies are, and they have to speak. What follows the
//! addresses (type-length-values) is skipped. Version 1, a line of text, is recognized and refused. Nothing is taken
//! beyond the header: what comes after it is the client's, a TLS handshake for example.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest header, bytes: what every path carries in one segment, which is what senders of headers count on.
pub(crate) const HEADER_MAX: usize = 536;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const SIGNATURE_V1: &[u8] = b"PROXY";
/// Signature, version and command, family, length of the rest.
const HEAD: usize = 16;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP_V4: u8 = 0x11;
const TCP_V6: u8 = 0x21;

/// What is known of a header so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// At least so many more bytes belong to it.
    Needs(usize),
    /// It is whole. The client's address; `None`: the proxy speaks for itself (a health check), or does not know.
    Whole(Option<IpAddr>),
}

/// Why something is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Another protocol, or a proxy that does not say for whom it speaks.
    #[error("it does not begin with a PROXY protocol header; have the proxy send version 2, or do not trust it")]
    Missing,
    #[error("it begins with a PROXY protocol header of version 1; have the proxy send version 2")]
    VersionOne,
    #[error("its PROXY protocol header is of version {0}, and only 2 is known")]
    Version(u8),
    #[error("its PROXY protocol header has the unknown command {0}")]
    Command(u8),
    #[error("its PROXY protocol header names a client of family and protocol {0:#04x}, and only TCP is served")]
    Family(u8),
    #[error("its PROXY protocol header is too short for the addresses that it announces")]
    Short,
    #[error("its PROXY protocol header of {0} bytes is longer than {HEADER_MAX}")]
    Long(usize),
}

/// Judges what has come so far, as soon as it can be.
pub(crate) fn judge(bytes: &[u8]) -> Result<Header, Fault> {
    let begun = bytes.len().min(SIGNATURE.len());
    if bytes[..begun] != SIGNATURE[..begun] {
        let v1 = bytes.len().min(SIGNATURE_V1.len());
        return match bytes[..v1] == SIGNATURE_V1[..v1] {
            true if v1 < SIGNATURE_V1.len() => Ok(Header::Needs(SIGNATURE_V1.len() - v1)),
            true => Err(Fault::VersionOne),
            false => Err(Fault::Missing),
        };
    }
    let Some(head) = bytes.first_chunk::<HEAD>() else { return Ok(Header::Needs(HEAD - bytes.len())) };
    let [.., command, family, high, low] = *head;
    let whole = HEAD + usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 {
        return Err(Fault::Version(command >> 4));
    }
    if command != LOCAL && command != PROXY {
        return Err(Fault::Command(command & 0x0f));
    }
    if whole > HEADER_MAX {
        return Err(Fault::Long(whole));
    }
    match bytes.get(HEAD..whole) {
        None => Ok(Header::Needs(whole - bytes.len())),
        Some(_) if command == LOCAL => Ok(Header::Whole(None)),
        Some(rest) => source(family, rest).map(Header::Whole),
    }
}

/// Both addresses and both ports have to be there; the client's address comes first.
fn source(family: u8, rest: &[u8]) -> Result<Option<IpAddr>, Fault> {
    match family {
        UNSPECIFIED => Ok(None),
        TCP_V4 => {
            let [a, b, c, d, ..] = *rest.first_chunk::<12>().ok_or(Fault::Short)?;
            Ok(Some(Ipv4Addr::new(a, b, c, d).into()))
        }
        TCP_V6 => {
            let addresses = rest.first_chunk::<36>().ok_or(Fault::Short)?;
            let source: [u8; 16] = *addresses.first_chunk().ok_or(Fault::Short)?;
            Ok(Some(Ipv6Addr::from(source).to_canonical()))
        }
        family => Err(Fault::Family(family)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).expect("short");
        [&SIGNATURE[..], &[command, family], &len.to_be_bytes(), rest].concat()
    }

    const V4: [u8; 12] = [203, 0, 113, 9, 10, 0, 0, 1, 0xc3, 0x50, 0x1b, 0xbc];

    fn v6() -> Vec<u8> {
        let source: Ipv6Addr = "2001:db8::7".parse().expect("an address");
        [&source.octets()[..], &[0; 16], &[0xc3, 0x50, 0x1b, 0xbc]].concat()
    }

    #[test]
    fn a_clients_address_is_read_and_what_follows_it_is_skipped() {
        let golden = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x0a\x00\x00\x01\xc3\x50\x1b\xbc";
        assert_eq!(judge(golden), Ok(Header::Whole(Some("203.0.113.9".parse().expect("an address")))));
        let tlvs = [&V4[..], &[0x04, 0, 3, 1, 2, 3, 0xea, 0, 1, 9]].concat();
        assert_eq!(judge(&header(PROXY, TCP_V4, &tlvs)), judge(golden));
        let v6 = judge(&header(PROXY, TCP_V6, &v6()));
        assert_eq!(v6, Ok(Header::Whole(Some("2001:db8::7".parse().expect("an address")))));
    }

    #[test]
    fn a_proxy_may_speak_for_itself_or_not_know_for_whom() {
        for (command, family, rest) in
            [(LOCAL, 0, &[][..]), (LOCAL, TCP_V4, &V4), (LOCAL, 0x31, &[7; 216]), (PROXY, UNSPECIFIED, &[1, 2, 3])]
        {
            assert_eq!(judge(&header(command, family, rest)), Ok(Header::Whole(None)));
        }
    }

    #[test]
    fn what_is_no_header_of_version_2_over_tcp_has_its_name() {
        for (bytes, fault) in [
            (b"\x16\x03\x01".to_vec(), Fault::Missing),
            (b"PRIVMSG".to_vec(), Fault::Missing),
            (b"PROXY TCP4 1.2.3.4".to_vec(), Fault::VersionOne),
            (header(0x31, TCP_V4, &V4), Fault::Version(3)),
            (header(0x22, TCP_V4, &V4), Fault::Command(2)),
            (header(PROXY, 0x12, &V4), Fault::Family(0x12)),
            (header(PROXY, 0x31, &[0; 216]), Fault::Family(0x31)),
            (header(PROXY, TCP_V4, &V4[..11]), Fault::Short),
            (header(PROXY, TCP_V6, &v6()[..35]), Fault::Short),
            (header(PROXY, TCP_V4, &[0; HEADER_MAX - HEAD + 1]), Fault::Long(HEADER_MAX + 1)),
        ] {
            assert_eq!(judge(&bytes), Err(fault));
        }
    }

    #[test]
    fn a_header_needs_what_belongs_to_it_and_not_a_byte_more() {
        // The idea: whoever reads what is asked for and no more has read the header and no more.
        let whole = header(PROXY, TCP_V4, &V4);
        let mut have = 0;
        while let Ok(Header::Needs(more)) = judge(&whole[..have]) {
            assert!(more > 0);
            have += more;
        }
        assert_eq!(have, whole.len());
        assert_eq!(judge(b"PRO"), Ok(Header::Needs(2)), "version 1 is a line, and may be shorter than a head");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_judged(
            signed in any::<bool>(),
            command in prop_oneof![Just(PROXY), Just(LOCAL), any::<u8>()],
            family in prop_oneof![Just(TCP_V4), Just(TCP_V6), any::<u8>()],
            rest in prop::collection::vec(any::<u8>(), 0..700),
            cut in 0..800usize,
        ) {
            let bytes = if signed { header(command, family, &rest) } else { rest };
            let bytes = &bytes[..cut.min(bytes.len())];
            if let Ok(Header::Needs(more)) = judge(bytes) {
                prop_assert!(more > 0 && bytes.len() + more <= HEADER_MAX);
            }
        }
    }
}
