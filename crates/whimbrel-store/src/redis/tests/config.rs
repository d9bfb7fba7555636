//! What a URL may be.

use secrecy::SecretString;

use crate::redis::{RedisConfig, RedisUserStatus, Roster};

fn refusal(url: &str) -> Option<String> {
    RedisUserStatus::new(RedisConfig::new(SecretString::from(url))).err().map(|error| error.to_string())
}

#[test]
fn urls_of_servers_and_clusters_are_taken() {
    let urls = [
        "redis://localhost",
        "redis://:secret@10.0.0.1:6380/2",
        "redis://user:s%40cret@redis.example:6379",
        "redis+cluster://one:6379,two:6380",
        "redis+cluster://user:secret@one:6379,two:6380/",
        "redis+cluster://:a@b@one:6379",
    ];
    for url in urls {
        assert_eq!(refusal(url), None, "{url}");
    }
}

#[test]
fn a_wrong_url_is_refused_with_what_is_wrong_and_without_the_password() {
    let urls = [
        ("", "does not begin with redis://"),
        ("hunter2", "does not begin with redis://"),
        ("localhost:6379", "does not begin with redis://"),
        ("http://user:hunter2@host", "begins with http://"),
        ("rediss://user:hunter2@host", "TLS"),
        ("rediss+cluster://user:hunter2@host:1", "TLS"),
        ("redis://user:hunter2@", "Redis URL"),
        ("redis://user:hunter2@host:port", "Redis URL"),
        ("redis://user:hunter2@host:99999", "Redis URL"),
        ("redis://user:hunter2@host/name", "database"),
        ("redis+cluster://", "is not host:port"),
        ("redis+cluster://user:hunter2@host", "is not host:port"),
        ("redis+cluster://user:hunter2@host:1,", "is not host:port"),
        ("redis+cluster://user:hunter2@host:1,other:x", "is not host:port"),
        ("redis+cluster://user:hunter2@host:1/3", "database"),
    ];
    for (url, what) in urls {
        let refusal = refusal(url).unwrap_or_else(|| panic!("{url} is taken"));
        assert!(refusal.contains(what) && !refusal.contains("hunter2"), "{url}: {refusal}");
    }
}

#[test]
fn a_prefix_is_a_word_without_braces() {
    for prefix in ["", "{a}", "a b", "a\n"] {
        let config = RedisConfig { prefix: prefix.into(), ..RedisConfig::new("redis://localhost") };
        assert!(Roster::new(config).is_err(), "{prefix:?}");
    }
}

#[test]
fn a_password_is_not_shown() {
    let config = RedisConfig::new("redis://:hunter2@localhost");
    assert!(!format!("{config:?}").contains("hunter2"));
}
