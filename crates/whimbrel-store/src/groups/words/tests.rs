use super::*;
use crate::directory::words::Account;

#[test]
fn bodies_have_the_words_that_clients_read() {
    let said = |what: What, users: &[u64]| {
        let users = users.iter().copied().map(UserId).collect();
        String::from_utf8(Told { what, users }.body(UserId(1)).to_vec()).expect("text")
    };
    assert_eq!(said(What::Created, &[1, 2]), r#"{"what":"created","by":1,"users":[1,2]}"#);
    assert_eq!(said(What::Joined, &[2]), r#"{"what":"joined","by":1,"users":[2]}"#);
    assert_eq!(said(What::Added, &[2, 3]), r#"{"what":"added","by":1,"users":[2,3]}"#);
    assert_eq!(said(What::Left { heir: None }, &[1]), r#"{"what":"left","by":1,"users":[1]}"#);
    let heir = What::Left { heir: Some(UserId(2)) };
    assert_eq!(said(heir, &[1]), r#"{"what":"left","by":1,"users":[1],"owner":2}"#);
    assert_eq!(said(What::Removed, &[2]), r#"{"what":"removed","by":1,"users":[2]}"#);
    assert_eq!(said(What::Role(Role::Admin), &[2]), r#"{"what":"role","by":1,"users":[2],"role":"admin"}"#);
    assert_eq!(said(What::Owner, &[2]), r#"{"what":"owner","by":1,"users":[2]}"#);
    assert_eq!(said(What::Muted { until: 5 }, &[2]), r#"{"what":"muted","by":1,"users":[2],"until":5}"#);
    assert_eq!(said(What::AllMuted { until: 0 }, &[]), r#"{"what":"all_muted","by":1,"until":0}"#);
    let changed = What::Settings { changed: vec!["name", "join"] };
    assert_eq!(said(changed, &[]), r#"{"what":"settings","by":1,"changed":["name","join"]}"#);
    assert_eq!(said(What::Dissolved, &[]), r#"{"what":"dissolved","by":1}"#);
    let id = ConversationId::from_bytes([0; 16]);
    assert_eq!(&membership(id)[..], br#"{"group":"00000000-0000-0000-0000-000000000000"}"#);
    assert_eq!(&setting(id)[..], br#"{"conversation":"00000000-0000-0000-0000-000000000000"}"#);
}

/// Every change, one after the other: what is added is missed here by the compiler.
fn next(what: Option<&What>) -> Option<What> {
    Some(match what {
        None => What::Created,
        Some(What::Created) => What::Joined,
        Some(What::Joined) => What::Added,
        Some(What::Added) => What::Left { heir: Some(UserId(2)) },
        Some(What::Left { .. }) => What::Removed,
        Some(What::Removed) => What::Role(Role::Admin),
        Some(What::Role(_)) => What::Owner,
        Some(What::Owner) => What::Muted { until: 5 },
        Some(What::Muted { .. }) => What::AllMuted { until: 5 },
        Some(What::AllMuted { .. }) => What::Settings { changed: vec!["name"] },
        Some(What::Settings { .. }) => What::Dissolved,
        Some(What::Dissolved) => return None,
    })
}

fn guide() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md")).expect("docs/protocol.md")
}

/// The rows of the table behind these words, without its head.
fn table<'a>(guide: &'a str, behind: &str) -> Vec<Vec<&'a str>> {
    let (_, rest) = guide.split_once(behind).expect(behind);
    let rows = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Each word of kind 1003 has its row, in this order, with what stands beside it; so has each setting that can change.
#[test]
fn the_protocols_words_of_groups_are_the_codes() {
    let guide = guide();
    let rows = table(&guide, "Every change of a group is one row of kind 1003");
    let all: Vec<_> = std::iter::successors(next(None), |what| next(Some(what))).collect();
    assert_eq!(rows.len(), all.len(), "as many rows as there are words");
    for (row, what) in rows.iter().zip(all) {
        let body = Told { what, users: Vec::new() }.body(UserId(1));
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(row[0], format!("`{}`", body["what"].as_str().expect("a word")));
        for name in body.as_object().expect("an object").keys().filter(|name| !["what", "by"].contains(&name.as_str()))
        {
            assert!(row[2].contains(&format!("`{name}`: ")), "{row:?} does not say what {name} is");
        }
    }
    let settings = rows.iter().find(|row| row[0] == "`settings`").expect("a row")[2];
    let source = include_str!("../rules/settle.rs");
    let names = source.split("    set(\"").skip(1).map(|rest| rest.split('"').next().expect("a name"));
    let names: Vec<_> = names.collect();
    assert!(
        names.len() >= 8 && names.iter().all(|name| settings.contains(&format!("`{name}`"))),
        "{names:?}: {settings}"
    );
}

/// Each kind that only the server places has its row, and each word about an account stands there.
#[test]
fn the_protocols_kinds_of_the_server_are_the_codes() {
    let guide = guide();
    let rows = table(&guide, "Not every row is chat.");
    let source = include_str!("../../../../whimbrel-core/src/message.rs");
    let kinds = source.split("MessageKind = MessageKind(").skip(1);
    let kinds = kinds.filter_map(|rest| rest.split(')').next()?.parse::<u32>().ok());
    let kinds: Vec<_> = kinds.filter(|kind| *kind >= 1000).map(|kind| kind.to_string()).collect();
    let shown: Vec<_> = rows.iter().map(|row| row[0]).filter(|kind| kind.len() == 4).collect();
    assert_eq!(shown, kinds);
    let account = rows.iter().find(|row| row[0] == "1001").expect("a row");
    for what in [Account::Profile, Account::Password, Account::DeviceAdded, Account::DeviceRemoved] {
        let body: serde_json::Value = serde_json::from_slice(&what.body()).expect("JSON");
        let word = body["what"].as_str().expect("a word");
        assert!(account[2].contains(&format!("`{word}`")) || account[2].contains(&format!("\"{word}\"")), "{word}");
    }
}
