//! Which server it is, and how it is set: what this program cannot do without, and what its promises need.

use std::collections::HashMap;

use sqlx::mysql::MySqlConnection;
use sqlx::{Executor, Row};

use super::error::OpenError;
use super::open::Target;

/// A packet must hold at least this: a few of the longest messages.
const PACKET_MIN: usize = 1024 * 1024;

const SETTINGS: &str = "SHOW VARIABLES WHERE Variable_name IN ('version', 'innodb_flush_log_at_trx_commit', 'log_bin', \
     'sync_binlog', 'binlog_format', 'innodb_doublewrite', 'max_allowed_packet', 'read_only', 'innodb_read_only', \
     'innodb_flush_method', 'innodb_ft_min_token_size', 'innodb_ft_max_token_size')";

/// Letters of the shortest and of the longest word by which messages are found (`search/words.rs`).
const WORDS: (usize, usize) = (4, 24);

/// A server that can be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// Sentences for its owner.
    pub(super) warnings: Vec<String>,
    /// Bytes of the longest statement.
    pub(super) packet_max: usize,
}

/// Asks the server.
pub(super) async fn check(db: &mut MySqlConnection, target: &Target) -> Result<Server, OpenError> {
    let rows = db.fetch_all(SETTINGS).await.map_err(|error| target.explain(&error))?;
    let pairs = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    let settings = pairs.collect::<Result<_, sqlx::Error>>().map_err(|error| target.explain(&error))?;
    judge(&settings)
}

/// What its settings mean.
fn judge(settings: &HashMap<String, String>) -> Result<Server, OpenError> {
    let get = |name: &str| settings.get(name).map_or("", String::as_str);
    supported(get("version"))?;
    if is_on(get("innodb_read_only")) || is_on(get("read_only")) {
        return Err(OpenError::Away("this database server is read-only: it is no primary (yet)".into()));
    }
    let packet_max = get("max_allowed_packet").parse().unwrap_or(0);
    if packet_max < PACKET_MIN {
        return Err(OpenError::Wrong(format!(
            "the database server's max_allowed_packet is {packet_max}: set it to {PACKET_MIN} or more"
        )));
    }
    if is_on(get("log_bin")) && get("binlog_format").eq_ignore_ascii_case("STATEMENT") {
        return Err(OpenError::Wrong("the database server's binlog_format is STATEMENT: set it to ROW".into()));
    }
    Ok(Server { warnings: warnings(get), packet_max })
}

/// MySQL from 8.4, MariaDB from 10.11 on.
fn supported(version: &str) -> Result<(), OpenError> {
    let (name, least) = if version.contains("MariaDB") { ("MariaDB", (10, 11)) } else { ("MySQL", (8, 4)) };
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < least {
        let (major, minor) = least;
        return Err(OpenError::Wrong(format!(
            "the database server has version {version}: {name} {major}.{minor} or later is needed"
        )));
    }
    Ok(())
}

fn warnings<'a>(get: impl Fn(&str) -> &'a str) -> Vec<String> {
    let mut warnings = Vec::new();
    let flush = get("innodb_flush_log_at_trx_commit");
    // 3 is MariaDB's, and syncs as well.
    if !["1", "3"].contains(&flush) {
        warnings.push(format!(
            "innodb_flush_log_at_trx_commit is {flush}: messages that were answered \"sent\" are lost when the database's \
             machine dies; set it to 1"
        ));
    }
    if is_on(get("log_bin")) && get("sync_binlog") != "1" {
        warnings.push(format!(
            "sync_binlog is {}: the binary log, and with it replicas, may lose messages that were answered \"sent\" when \
             the database's machine dies; set it to 1",
            get("sync_binlog")
        ));
    }
    if get("innodb_doublewrite").eq_ignore_ascii_case("OFF") || get("innodb_doublewrite") == "0" {
        warnings.push(
            "innodb_doublewrite is off: a page that is half written when the machine dies is lost, unless the file \
             system writes whole pages"
                .into(),
        );
    }
    if ["nosync", "littlesync"].contains(&get("innodb_flush_method").to_ascii_lowercase().as_str()) {
        warnings.push("innodb_flush_method does not sync: messages are lost when the database's machine dies".into());
    }
    let (shortest, longest) = WORDS;
    let token = |name, default| get(name).parse().unwrap_or(default);
    if token("innodb_ft_min_token_size", shortest) > shortest || token("innodb_ft_max_token_size", longest) < longest {
        warnings.push(format!(
            "innodb_ft_min_token_size is above {shortest}, or innodb_ft_max_token_size below {longest}: searches do not find \
             all that was said"
        ));
    }
    warnings
}

fn is_on(value: &str) -> bool {
    value == "1" || value.eq_ignore_ascii_case("ON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(changes: &[(&str, &str)]) -> HashMap<String, String> {
        let good = [
            ("version", "8.4.6"),
            ("innodb_flush_log_at_trx_commit", "1"),
            ("log_bin", "ON"),
            ("sync_binlog", "1"),
            ("binlog_format", "ROW"),
            ("innodb_doublewrite", "ON"),
            ("max_allowed_packet", "67108864"),
            ("read_only", "OFF"),
        ];
        let all = good.iter().chain(changes);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Each setting alone, against a server that is right in all of them.
    #[test]
    fn every_setting_that_breaks_a_promise_is_named() {
        assert_eq!(judge(&with(&[])).expect("right").warnings, Vec::<String>::new());
        for (name, value) in [
            ("innodb_flush_log_at_trx_commit", "2"),
            ("innodb_flush_log_at_trx_commit", "0"),
            ("sync_binlog", "0"),
            ("innodb_doublewrite", "OFF"),
            ("innodb_flush_method", "nosync"),
            ("innodb_ft_min_token_size", "5"),
        ] {
            let warnings = judge(&with(&[(name, value)])).expect("usable").warnings;
            assert!(matches!(&warnings[..], [one] if one.starts_with(name)), "{name} = {value}: {warnings:?}");
        }
        let no_binlog = judge(&with(&[("log_bin", "OFF"), ("sync_binlog", "0")])).expect("usable");
        assert_eq!(no_binlog.warnings, Vec::<String>::new(), "there is no log to sync");
    }

    #[test]
    fn old_servers_are_refused_by_their_version() {
        for good in ["8.4.0", "9.5.1", "10.11.19-MariaDB-0+deb12u1", "11.8.2-MariaDB", "12.0.1-MariaDB-log"] {
            judge(&with(&[("version", good)])).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for old in ["8.0.43", "5.7.44-log", "10.6.18-MariaDB", "10.10.2-MariaDB", "8.0.11-TiDB-v8.5.1", ""] {
            let Err(OpenError::Wrong(why)) = judge(&with(&[("version", old)])) else { panic!("{old} is good?") };
            assert!(why.contains(old) && why.contains("or later is needed"), "{why}");
        }
    }

    #[test]
    fn servers_that_cannot_serve_are_refused() {
        let of = |name, value| judge(&with(&[(name, value)]));
        assert!(matches!(of("max_allowed_packet", "65536"), Err(OpenError::Wrong(_))));
        assert!(matches!(of("binlog_format", "STATEMENT"), Err(OpenError::Wrong(_))));
        assert!(matches!(of("read_only", "ON"), Err(OpenError::Away(_))), "it may be promoted");
    }
}
