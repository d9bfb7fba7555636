//! What a key takes: each kind reads a raw value, says in words what it allows, and prints what it read.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;

use super::units::{parse_size, parse_time, show_size, show_time};
use super::value::Raw;

/// What is printed in the place of a secret.
pub(crate) const SECRET_SHOWN: &str = "(secret)";

/// A kind of value.
pub(crate) trait Kind {
    /// What it reads to.
    type Value;
    /// Whether values must never be shown.
    const SECRET: bool = false;
    /// Reads; `None` if it is not allowed.
    fn read(&self, raw: &Raw) -> Option<Self::Value>;
    /// What is allowed, to follow "it must be …".
    fn allowed(&self) -> String;
    /// As JSON; `Null` if there is none. Strings, numbers, booleans and lists of strings print as TOML the same way.
    fn show(&self, value: &Self::Value) -> Json;
}

fn text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Words(text) | Raw::Text(text) => Some(text.trim()),
        _ => None,
    }
}

/// `true` or `false`.
pub(crate) struct Bool;

impl Kind for Bool {
    type Value = bool;
    fn read(&self, raw: &Raw) -> Option<bool> {
        match raw {
            Raw::Bool(value) => Some(*value),
            Raw::Words(words) => words.trim().parse().ok(),
            _ => None,
        }
    }
    fn allowed(&self) -> String {
        "true or false".into()
    }
    fn show(&self, value: &bool) -> Json {
        (*value).into()
    }
}

/// A whole number within bounds, both included.
pub(crate) struct Integer<T>(pub(crate) T, pub(crate) T);

impl<T: Copy + PartialOrd + Display + FromStr + TryFrom<i64> + Into<Json>> Kind for Integer<T> {
    type Value = T;
    fn read(&self, raw: &Raw) -> Option<T> {
        let number = match raw {
            Raw::Integer(number) => T::try_from(*number).ok()?,
            Raw::Words(words) => words.trim().parse().ok()?,
            _ => return None,
        };
        (self.0..=self.1).contains(&number).then_some(number)
    }
    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.0, self.1)
    }
    fn show(&self, value: &T) -> Json {
        (*value).into()
    }
}

/// A time within bounds, both included.
pub(crate) struct Time(pub(crate) Duration, pub(crate) Duration);

impl Time {
    /// Bounds in milliseconds.
    pub(crate) const fn ms(least: u64, most: u64) -> Self {
        Self(Duration::from_millis(least), Duration::from_millis(most))
    }
    /// Bounds in seconds.
    pub(crate) const fn s(least: u64, most: u64) -> Self {
        Self(Duration::from_secs(least), Duration::from_secs(most))
    }
}

impl Kind for Time {
    type Value = Duration;
    fn read(&self, raw: &Raw) -> Option<Duration> {
        let time = parse_time(text(raw)?)?;
        (self.0..=self.1).contains(&time).then_some(time)
    }
    fn allowed(&self) -> String {
        format!("a time from \"{}\" to \"{}\" (units: ms, s, m, h, d)", show_time(self.0), show_time(self.1))
    }
    fn show(&self, value: &Duration) -> Json {
        show_time(*value).into()
    }
}

/// Bytes within bounds, both included.
pub(crate) struct Size<T>(pub(crate) T, pub(crate) T);

impl<T: Copy + PartialOrd + TryFrom<u64> + TryInto<u64>> Size<T> {
    fn print(value: T) -> String {
        show_size(value.try_into().unwrap_or(u64::MAX))
    }
}

impl<T: Copy + PartialOrd + TryFrom<u64> + TryInto<u64>> Kind for Size<T> {
    type Value = T;
    fn read(&self, raw: &Raw) -> Option<T> {
        let bytes = match raw {
            Raw::Integer(number) => u64::try_from(*number).ok()?,
            _ => parse_size(text(raw)?)?,
        };
        T::try_from(bytes).ok().filter(|size| (self.0..=self.1).contains(size))
    }
    fn allowed(&self) -> String {
        let (least, most) = (Self::print(self.0), Self::print(self.1));
        format!("a size from \"{least}\" to \"{most}\" (units: B, KiB, MiB, GiB)")
    }
    fn show(&self, value: &T) -> Json {
        Self::print(*value).into()
    }
}

/// Where to listen.
pub(crate) struct Address;

impl Kind for Address {
    type Value = SocketAddr;
    fn read(&self, raw: &Raw) -> Option<SocketAddr> {
        text(raw)?.parse().ok()
    }
    fn allowed(&self) -> String {
        "an IP address and a port, such as \"127.0.0.1:7100\", \"0.0.0.0:7100\" or \"[::]:7100\"".into()
    }
    fn show(&self, value: &SocketAddr) -> Json {
        value.to_string().into()
    }
}

/// A file or folder; relative ones start from the working folder.
pub(crate) struct Folder;

impl Kind for Folder {
    type Value = PathBuf;
    fn read(&self, raw: &Raw) -> Option<PathBuf> {
        text(raw).filter(|path| !path.is_empty()).map(PathBuf::from)
    }
    fn allowed(&self) -> String {
        "the path of a folder".into()
    }
    fn show(&self, value: &PathBuf) -> Json {
        value.display().to_string().into()
    }
}

/// A file that need not be named; empty is the same as not named.
pub(crate) struct OptionalFile;

impl Kind for OptionalFile {
    type Value = Option<PathBuf>;
    fn read(&self, raw: &Raw) -> Option<Option<PathBuf>> {
        text(raw).map(|path| (!path.is_empty()).then(|| path.into()))
    }
    fn allowed(&self) -> String {
        "the path of a file".into()
    }
    fn show(&self, value: &Option<PathBuf>) -> Json {
        value.as_ref().map_or(Json::Null, |path| path.display().to_string().into())
    }
}

/// A text that `.1` accepts; `.0` says what that is.
pub(crate) struct Text(pub(crate) &'static str, pub(crate) fn(&str) -> bool);

impl Kind for Text {
    type Value = String;
    fn read(&self, raw: &Raw) -> Option<String> {
        text(raw).filter(|text| (self.1)(text)).map(str::to_owned)
    }
    fn allowed(&self) -> String {
        self.0.into()
    }
    fn show(&self, value: &String) -> Json {
        value.clone().into()
    }
}

/// One of some words.
pub(crate) struct OneOf<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for OneOf<T> {
    type Value = T;
    fn read(&self, raw: &Raw) -> Option<T> {
        let word = text(raw)?;
        self.0.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
    }
    fn allowed(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        format!("one of {}", names.join(", "))
    }
    fn show(&self, value: &T) -> Json {
        self.0.iter().find(|(_, v)| v == value).map_or(Json::Null, |(name, _)| (*name).into())
    }
}

/// A list of what `T` reads from a text; `.0` says what that is, in the plural.
pub(crate) struct ListOf<T>(pub(crate) &'static str, pub(crate) std::marker::PhantomData<T>);

impl<T: FromStr + Display> Kind for ListOf<T> {
    type Value = Vec<T>;
    fn read(&self, raw: &Raw) -> Option<Vec<T>> {
        match raw {
            Raw::List(items) => items.iter().map(|item| item.trim().parse().ok()).collect(),
            Raw::Words(words) => {
                words.split(',').map(str::trim).filter(|w| !w.is_empty()).map(|w| w.parse().ok()).collect()
            }
            _ => None,
        }
    }
    fn allowed(&self) -> String {
        format!("a list of {}", self.0)
    }
    fn show(&self, value: &Vec<T>) -> Json {
        value.iter().map(ToString::to_string).collect()
    }
}

/// A secret of at least so many characters that need not be given; empty is the same as not given.
pub(crate) struct OptionalSecret(pub(crate) usize);

impl Kind for OptionalSecret {
    type Value = Option<SecretString>;
    const SECRET: bool = true;
    fn read(&self, raw: &Raw) -> Option<Option<SecretString>> {
        let secret = text(raw)?;
        if secret.is_empty() {
            return Some(None);
        }
        (secret.chars().count() >= self.0).then(|| Some(secret.into()))
    }
    fn allowed(&self) -> String {
        format!("a text of at least {} characters", self.0)
    }
    fn show(&self, value: &Option<SecretString>) -> Json {
        value.as_ref().filter(|s| !s.expose_secret().is_empty()).map_or(Json::Null, |_| SECRET_SHOWN.into())
    }
}

/// A text that `.1` accepts and that need not be given; empty is the same as not given. `.0` says what is accepted.
pub(crate) struct OptionalText(pub(crate) &'static str, pub(crate) fn(&str) -> bool);

impl Kind for OptionalText {
    type Value = Option<String>;
    fn read(&self, raw: &Raw) -> Option<Option<String>> {
        let text = text(raw)?;
        if text.is_empty() {
            return Some(None);
        }
        (self.1)(text).then(|| Some(text.to_owned()))
    }
    fn allowed(&self) -> String {
        self.0.into()
    }
    fn show(&self, value: &Option<String>) -> Json {
        value.as_ref().map_or(Json::Null, |text| text.clone().into())
    }
}

/// Where an engine is: a URL with one of these schemes. It may hold a password, so it is shown without.
pub(crate) struct Url(pub(crate) &'static [&'static str]);

impl Kind for Url {
    type Value = SecretString;
    const SECRET: bool = true;
    fn read(&self, raw: &Raw) -> Option<SecretString> {
        let (scheme, rest) = text(raw)?.split_once("://")?;
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let named = !host.is_empty() && !host.starts_with(['/', ':']);
        (self.0.contains(&scheme) && named).then(|| format!("{scheme}://{rest}").into())
    }
    fn allowed(&self) -> String {
        let schemes: Vec<_> = self.0.iter().map(|scheme| format!("{scheme}://")).collect();
        format!("a URL that begins with {} and names a host", schemes.join(" or "))
    }
    fn show(&self, value: &SecretString) -> Json {
        without_password(value.expose_secret()).into()
    }
}

/// A URL as it may be shown.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return SECRET_SHOWN.to_owned() };
    match rest.rsplit_once('@') {
        None => url.to_owned(),
        Some((who, host)) => {
            let user = who.split_once(':').map_or_else(|| who.to_owned(), |(user, _)| format!("{user}:…"));
            format!("{scheme}://{user}@{host}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        assert_eq!(without_password("mysql://w:s:e@cr:et@db:3306/x"), "mysql://w:…@db:3306/x");
        assert_eq!(without_password("mysql://root@db:3306/x"), "mysql://root@db:3306/x");
        assert_eq!(without_password("redis://cache:6379"), "redis://cache:6379");
        let url = |text: &str| Url(&["redis"]).read(&Raw::Text(text.into())).is_some();
        assert_eq!(
            ["redis://x", "redis://", "redis:///0", "amqp://x", "x"].map(url),
            [true, false, false, false, false]
        );
    }
}
