use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::reader::Entry;
use super::value::Raw;
use super::*;

fn flag(key: &str, value: &str) -> (String, Given) {
    (key.into(), Given { raw: Raw::Words(value.into()), origin: Origin::Flag("--set".into()) })
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

/// What is wrong with a file of this text.
fn wrong(text: &str) -> Vec<String> {
    let layer = file::parse("w.toml", text).expect("it is TOML");
    layered(layer, &[], Vec::new()).err().map(|Wrong(sentences)| sentences).unwrap_or_default()
}

fn entries_of(text: &str) -> Vec<Entry> {
    layered(file::parse("w.toml", text).expect("it is TOML"), &[], Vec::new()).expect("it is good").1
}

/// The same key is set in one more layer each time: the last one counts, and is named as the origin.
#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let key = "clients.max_connections";
    let from_file = || file::parse("w.toml", "[clients]\nmax_connections = 1").expect("it is TOML");
    let from_variable = variables(&[("WHIMBREL_CLIENTS__MAX_CONNECTIONS", "2")]);
    let count = |file, variables: &[_], flags| {
        let (config, entries) = layered(file, variables, flags).expect("it is good");
        let entry = entries.into_iter().find(|entry| entry.key == key).expect("it is a key");
        (config.connector.max_connections, entry.origin.to_string())
    };
    assert_eq!(count(Vec::new(), &[], Vec::new()), (100_000, "default".into()));
    assert_eq!(count(from_file(), &[], Vec::new()), (1, "w.toml:2".into()));
    let variable = "environment variable WHIMBREL_CLIENTS__MAX_CONNECTIONS";
    assert_eq!(count(from_file(), &from_variable, Vec::new()), (2, variable.into()));
    assert_eq!(count(from_file(), &from_variable, vec![flag(key, "3")]), (3, "flag --set".into()));
}

/// Every key is given a value of a type that no key takes: each is refused in one sentence with its name, its place,
/// what stands there, and what is allowed.
#[test]
fn every_key_refuses_nonsense_by_name_with_its_place_and_what_is_allowed() {
    for entry in entries_of("") {
        let (section, name) = entry.key.split_once('.').expect("section.name");
        let sentences = wrong(&format!("[{section}]\n{name} = 1979-05-27"));
        assert_eq!(sentences.len(), 1, "{}: {sentences:?}", entry.key);
        assert!(sentences[0].starts_with(&format!("{} (w.toml:2) is ", entry.key)), "{}", sentences[0]);
        assert!(sentences[0].contains("must be "), "{}", sentences[0]);
    }
}

#[test]
fn a_bad_value_is_one_sentence_that_says_what_is_allowed() {
    let table = [
        ("[clients]\nlisten = \"7100\"", "clients.listen (w.toml:2) is \"7100\"; it must be an IP address and a port"),
        ("[clients]\ntls = \"yes\"", "clients.tls (w.toml:2) is \"yes\"; it must be true or false."),
        ("[clients]\nmax_connections = 0", "it must be a whole number from 1 to 10000000."),
        ("[clients]\nmax_connections = -1", "clients.max_connections (w.toml:2) is -1;"),
        ("[clients]\nheartbeat = 30", "it must be a time from \"100ms\" to \"10m\" (units: ms, s, m, h, d)."),
        (
            "[clients]\nmailbox_bytes = \"1TB\"",
            "it must be a size from \"256KiB\" to \"1GiB\" (units: B, KiB, MiB, GiB).",
        ),
        ("[http]\nmetrics = \"mine\"", "it must be one of \"loopback\", \"everyone\"."),
        ("[http]\ntrusted_proxies = [\"10.0.0.0/99\"]", "it must be a list of addresses or ranges"),
        ("[http]\nallowed_origins = [\"chat.example.com\"]", "http.allowed_origins (w.toml:2) cannot be used:"),
        ("[log]\nfilter = \"verbose\"", "log.filter (w.toml:2) is \"verbose\"; it must be a level"),
        ("[data]\nfolder = \"\"", "it must be the path of a folder."),
        ("[tls]\ncertificate = \"/nowhere/x.pem\"\nprivate_key = \"/dev/null\"", "which cannot be read"),
        ("[tls]\ncertificate = \"/dev/null\"", "tls.certificate (w.toml:2) is set and tls.private_key is not"),
        ("[clients]\nsilence = \"30s\"", "silence must be at least twice as long"),
        (
            "[retention]\ngroup_age = \"30d\"",
            "retention.group_age (w.toml:2) is \"30d\" and messages.oldest_draft (default) is \"30d\"",
        ),
        ("[process]\nstop_within = \"5s\"", "process.stop_within (w.toml:2) is \"5s\""),
        ("[clients]\nlisten = \"127.0.0.1:7180\"", "clients.listen and http.listen are both 127.0.0.1:7180"),
        (
            "[clients]\nmax_conections = 5",
            "clients.max_conections (w.toml:2) is not a key of the configuration; did you mean",
        ),
        ("[client]\nlisten = \"x\"", "did you mean clients.listen?"),
        ("[weather]\ntomorrow = 1", "`whimbrel config default` prints all keys."),
    ];
    for (text, expected) in table {
        let sentences = wrong(text);
        assert_eq!(sentences.len(), 1, "{text}: {sentences:?}");
        assert!(sentences[0].contains(expected), "{text}: {}", sentences[0]);
        assert!(sentences[0].ends_with(['.', '?']), "{}", sentences[0]);
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    assert_eq!(wrong("[clients]\ntls = 3\nlisten = 4\n[nowhere]\nx = 1").len(), 3);
}

/// Beyond loopback each socket needs TLS or the operator's word; each key is its own.
#[test]
fn plaintext_beyond_loopback_is_refused_until_it_is_allowed() {
    for section in ["clients", "http"] {
        let listen = format!("[{section}]\nlisten = \"0.0.0.0:9\"\n");
        let sentences = wrong(&listen);
        assert_eq!(sentences.len(), 1, "{sentences:?}");
        assert!(sentences[0].contains(&format!("{section}.allow_plaintext = true")), "{}", sentences[0]);
        assert_eq!(wrong(&format!("{listen}allow_plaintext = true")), Vec::<String>::new());
        // Any readable files: that they hold a certificate is checked when they are loaded, before a port is bound.
        let tls = "\n[tls]\ncertificate = \"/dev/null\"\nprivate_key = \"/dev/null\"";
        assert_eq!(wrong(&format!("{listen}{tls}")), Vec::<String>::new());
        assert_eq!(wrong(&format!("{listen}tls = false{tls}")).len(), 1);
    }
    assert_eq!(wrong("[clients]\nlisten = \"[::1]:9\""), Vec::<String>::new());
}

#[test]
fn secrets_are_never_printed_not_even_wrong_ones() {
    let secret = "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789";
    let entries = entries_of(&format!("[admin]\nkey = \"{secret}\"\n[master_key]\nkeys = \"{secret}\""));
    let printed = format!("{}{}", print::toml(&entries), print::json(&entries));
    assert!(printed.contains("# key is set and not shown") && !printed.contains(secret), "{printed}");
    let sentences = wrong("[admin]\nkey = \"too short\"");
    assert!(sentences[0].starts_with("admin.key (w.toml:2)") && !sentences[0].contains("too short"), "{sentences:?}");
}

#[test]
fn a_variable_with_one_underscore_too_few_is_named_and_those_of_others_are_not() {
    let given = variables(&[
        ("WHIMBREL_CLIENTS_LISTEN", "x"),
        ("WHIMBREL_PORT_7100_TCP", "tcp://10.0.0.1:7100"),
        ("WHIMBREL_SERVICE_HOST", "10.0.0.1"),
    ]);
    let Err(Wrong(sentences)) = layered(Vec::new(), &given, Vec::new()) else { panic!("it is wrong") };
    let expected = "Environment variable WHIMBREL_CLIENTS_LISTEN sets nothing; did you mean WHIMBREL_CLIENTS__LISTEN?";
    assert_eq!(sentences, [expected]);
}

#[test]
fn lists_and_booleans_are_read_from_words() {
    let given = variables(&[
        ("WHIMBREL_HTTP__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("WHIMBREL_HTTP__ALLOW_PLAINTEXT", "true"),
        ("WHIMBREL_TLS__CERTIFICATE", ""),
    ]);
    let (config, _) = layered(Vec::new(), &given, Vec::new()).expect("it is good");
    assert_eq!((config.api.trusted_proxies.len(), config.http.allow_plaintext), (2, true));
    assert_eq!(config.tls.certificate, None, "empty is the same as not set");
}

/// Every value in the manual is the default, every key stands in it once (in a comment if it has no default), and
/// nothing else does.
#[test]
fn the_manual_holds_every_key_with_its_default() {
    let entries = entries_of(DEFAULT_FILE);
    for entry in &entries {
        assert_eq!(entry.value, entry.default, "{} has another default", entry.key);
        let is_set = entry.origin != Origin::Default;
        assert_eq!(is_set, entry.default != Json::Null, "{} stands in the manual, if it has a default", entry.key);
    }
    let mut mentioned: BTreeMap<String, usize> = BTreeMap::new();
    let mut section = "";
    for line in DEFAULT_FILE.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if let Some((name, _)) = line.trim_start_matches("# ").split_once(" = ")
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        {
            *mentioned.entry(format!("{section}.{name}")).or_default() += 1;
        }
    }
    let keys: BTreeMap<String, usize> = entries.iter().map(|entry| (entry.key.to_owned(), 1)).collect();
    assert_eq!(mentioned, keys);
}

#[test]
fn the_keys_stand_in_the_order_of_the_manual() {
    let place = |section: &str| DEFAULT_FILE.find(&format!("\n[{section}]\n")).expect("the section is there");
    let sections: Vec<_> =
        entries_of("").iter().map(|entry| place(entry.key.split('.').next().unwrap_or(""))).collect();
    assert!(sections.is_sorted(), "print and manual differ in the order of sections");
}

/// What is printed, read back as a file, leads to the same values.
#[test]
fn what_is_printed_reads_back() {
    let given = vec![
        flag("http.trusted_proxies", "10.0.0.0/8,::1"),
        flag("data.folder", "a \"quoted\" \\ folder"),
        flag("clients.heartbeat", "1500ms"),
    ];
    let (_, entries) = layered(Vec::new(), &[], given).expect("it is good");
    let again = entries_of(&print::toml(&entries));
    for (a, b) in entries.iter().zip(&again) {
        assert_eq!((a.key, &a.value), (b.key, &b.value));
    }
}
