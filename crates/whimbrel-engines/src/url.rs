//! The parts of a server's address that a probe needs.

use anyhow::{Context, bail};

/// `scheme://user:password@host:port/path?query`, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    /// User and password, decoded.
    pub(crate) login: Option<(String, String)>,
    /// `host:port`.
    pub(crate) address: String,
    /// Decoded, without its slash; none if there is no slash.
    pub(crate) path: Option<String>,
}

impl Url {
    /// Takes an address apart; `port` is meant where it names none.
    pub(crate) fn parse(text: &str, port: u16) -> anyhow::Result<Self> {
        let (scheme, rest) = text.split_once("://").context("It has no scheme, such as redis://")?;
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(decode(path))),
            None => (rest, None),
        };
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        if host.is_empty() || host.contains(',') {
            bail!("It must name one host");
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            (decode(user), decode(password))
        });
        Ok(Self { scheme: scheme.to_owned(), login, address, path })
    }

    /// For people: without the password.
    pub(crate) fn shown(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

/// Percent-decoded; what is not well coded stays as it is.
fn decode(text: &str) -> String {
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => (decoded.push(byte), at += 3),
            None => (decoded.push(bytes[at]), at += 1),
        };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let url = Url::parse("amqp://guest:gu%40est@broker:5673/%2f?heartbeat=5", 5672).unwrap();
        assert_eq!(url.login, Some(("guest".to_owned(), "gu@est".to_owned())));
        assert_eq!((url.address.as_str(), url.path.as_deref()), ("broker:5673", Some("/")));
        assert_eq!(url.shown(), "amqp://broker:5673");
        let url = Url::parse("redis://127.0.0.1", 6379).unwrap();
        assert_eq!((url.login, url.address.as_str(), url.path), (None, "127.0.0.1:6379", None));
        assert_eq!(Url::parse("mysql://root@[::1]/x", 3306).unwrap().address, "[::1]:3306");
        assert_eq!(decode("100%"), "100%");
        for bad in ["localhost:6379", "redis:///", "redis://a,b"] {
            assert!(Url::parse(bad, 1).is_err(), "{bad} is taken for an address");
        }
    }
}
