//! What no key can say alone: values that must fit each other, and the machine.
//!
//! Reads files' existence at most; opens no port and writes nothing.

use std::path::Path;
use std::time::Duration;

use super::Config;
use super::reader::Reader;
use super::sections::Listen;
use super::units::show_time;

/// Notes what does not fit.
pub(super) fn check(config: &Config, r: &mut Reader) {
    tls(config, r);
    listeners(config, r);
    times(config, r);
    retention(config, r);
    api(config, r);
    secrets(config, r);
    cluster(config, r);
    config.files.check(r);
}

fn tls(config: &Config, r: &mut Reader) {
    let pair = [("tls.certificate", &config.tls.certificate), ("tls.private_key", &config.tls.private_key)];
    for ((key, file), (other, other_file)) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        if file.is_some() && other_file.is_none() {
            r.problem(format!("{key} ({}) is set and {other} is not; TLS needs both.", r.origin(key)));
        }
        readable(key, file.as_deref(), r);
    }
}

fn listeners(config: &Config, r: &mut Reader) {
    let certificate = config.tls.certificate.is_some();
    for (section, listen) in [("clients", &config.clients), ("http", &config.http)] {
        let open = !listen.address.ip().to_canonical().is_loopback();
        if open && !(listen.tls && certificate) && !listen.allow_plaintext {
            r.problem(plaintext(section, listen, r));
        }
    }
    let (clients, http) = (config.clients.address, config.http.address);
    if clients == http && clients.port() != 0 {
        r.problem(format!("clients.listen and http.listen are both {clients}; each needs a port of its own."));
    }
}

fn plaintext(section: &str, listen: &Listen, r: &Reader) -> String {
    let key = format!("{section}.listen");
    let way = match listen.tls {
        true => "set tls.certificate and tls.private_key".to_owned(),
        false => format!("set {section}.tls = true"),
    };
    format!(
        "{key} ({}) is {}, which others can reach, and would not be encrypted; {way}, or {section}.allow_plaintext = \
         true if something in front of it encrypts.",
        r.origin(&key),
        listen.address
    )
}

fn times(config: &Config, r: &mut Reader) {
    let (heartbeat, silence) = (config.connector.heartbeat, config.connector.silence);
    if silence < heartbeat * 2 {
        r.problem(format!(
            "clients.silence ({}) is \"{}\" and clients.heartbeat ({}) is \"{}\"; silence must be at least twice as \
             long, or sessions end over one late heartbeat.",
            r.origin("clients.silence"),
            show_time(silence),
            r.origin("clients.heartbeat"),
            show_time(heartbeat)
        ));
    }
    let (drain, stop) = (config.api.drain_timeout, config.process.stop_within);
    if drain >= stop {
        r.problem(format!(
            "http.drain_timeout ({}) is \"{}\" and process.stop_within ({}) is \"{}\"; the first must be shorter, or a \
             stop ends before requests under way have finished.",
            r.origin("http.drain_timeout"),
            show_time(drain),
            r.origin("process.stop_within"),
            show_time(stop)
        ));
    }
}

/// What goes must be older than what may still be sent again: a repeat would not be known any more.
fn retention(config: &Config, r: &mut Reader) {
    let retention = &config.archiver.retention;
    let ages = [
        ("retention.age", retention.all),
        ("retention.direct_age", retention.direct),
        ("retention.group_age", retention.group),
        ("retention.private_age", retention.private),
    ];
    let least = retention.young;
    for (key, keep) in ages {
        let age = Duration::from_millis(keep.age_ms);
        if !age.is_zero() && age < least {
            r.problem(format!(
                "{key} ({}) is \"{}\" and messages.oldest_draft ({}) is \"{}\"; messages are kept for at least 25 hours \
                 longer than drafts are taken, here \"{}\": set oldest_draft lower, or keep longer.",
                r.origin(key),
                show_time(age),
                r.origin("messages.oldest_draft"),
                show_time(config.transfer.oldest_draft),
                show_time(least)
            ));
        }
    }
}

/// The API's own check, under the names that the keys have here.
fn api(config: &Config, r: &mut Reader) {
    let Err(error) = config.api.check() else { return };
    let key = match error.key {
        "allowed_origins" => "http.allowed_origins",
        "admin_key" => "admin.key",
        "access_token_ttl" => "auth.access_token_ttl",
        "hashing" => "auth.argon2_memory",
        other => other,
    };
    r.problem(format!("{key} ({}) cannot be used: {}.", r.origin(key), error.reason));
}

fn secrets(config: &Config, r: &mut Reader) {
    let both = [
        ("admin.key", config.admin.key.is_some(), "admin.key_file", &config.admin.key_file),
        ("master_key.keys", config.master_key.keys.is_some(), "master_key.file", &config.master_key.file),
        ("cluster.secret", config.cluster.secret.is_some(), "cluster.secret_file", &config.cluster.secret_file),
    ];
    for (key, set, file_key, file) in both {
        if set && file.is_some() {
            r.problem(format!(
                "{key} ({}) and {file_key} ({}) are both set; only one of them can count.",
                r.origin(key),
                r.origin(file_key)
            ));
        }
        readable(file_key, file.as_deref(), r);
    }
}

/// Mutual TLS between roles: all three files, or none.
fn cluster(config: &Config, r: &mut Reader) {
    let files = [
        ("cluster.certificate", &config.cluster.certificate),
        ("cluster.private_key", &config.cluster.private_key),
        ("cluster.authority", &config.cluster.authority),
    ];
    let set = files.iter().find(|(_, file)| file.is_some());
    let missing = files.iter().find(|(_, file)| file.is_none());
    if let (Some((set, _)), Some((missing, _))) = (set, missing) {
        r.problem(format!("{set} ({}) is set and {missing} is not; TLS between roles needs all three.", r.origin(set)));
    }
    for (key, file) in files {
        readable(key, file.as_deref(), r);
    }
}

fn readable(key: &str, file: Option<&Path>, r: &mut Reader) {
    if let Some(file) = file
        && let Err(error) = std::fs::File::open(file)
    {
        let origin = r.origin(key).clone();
        r.problem(format!("{key} ({origin}) is \"{}\", which cannot be read: {error}.", file.display()));
    }
}
