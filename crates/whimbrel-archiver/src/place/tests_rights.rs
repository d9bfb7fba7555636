//! Who may say what in a group: every draft, tried by everybody. The outcome is a table in docs/groups.md.

use std::path::{Path, PathBuf};

use whimbrel_core::{ConversationId, Draft, MessageKind, Refusal, Role, UserId};

use super::tests::{House, house, refused, seqs};
use crate::testing::{ANN, BOB, EVE, about, draft, of_kind, said};

const BEGIN: &str = "<!-- who may say what: written by the test that tries it -->";
const END: &str = "<!-- end of who may say what -->";
/// Set to anything, the test writes the table instead of comparing it.
const REWRITE: &str = "WHIMBREL_REWRITE_DOCS";

const MUTED: UserId = UserId(4);
const FORMER: UserId = UserId(5);
/// To whose messages things are done.
const OTHER: UserId = UserId(6);
const OTHER_ADMIN: UserId = UserId(7);
const GONE: UserId = UserId(8);

/// The columns.
const CAST: [(&str, UserId); 5] =
    [("member", EVE), ("admin", BOB), ("owner", ANN), ("muted member", MUTED), ("former member", FORMER)];

/// What is tried: a draft about the place of this one's text (their own, where nobody is named).
struct Row {
    name: &'static str,
    of: Option<UserId>,
    /// It was said longer ago than one may take one's own back.
    is_late: bool,
    draft: fn(u64) -> Draft,
}

fn rows() -> Vec<Row> {
    let row = |name, of, draft| Row { name, of, is_late: true, draft };
    let recall: fn(u64) -> Draft = |seq| about(MessageKind::RECALL, seq, "");
    let edit: fn(u64) -> Draft = |seq| about(MessageKind::EDIT, seq, "other");
    vec![
        row("write", None, |_| draft("hello")),
        row("call everybody", None, |_| of_kind(MessageKind::CALL, "all")),
        row("react to a message", Some(OTHER), |seq| about(MessageKind::REACTION, seq, "+")),
        row("edit an own message", None, edit),
        row("edit another's message", Some(OTHER), edit),
        Row { name: "take back an own message in time", of: None, is_late: false, draft: recall },
        row("take back an own message later", None, recall),
        row("take back what a member said", Some(OTHER), recall),
        row("take back what an admin said", Some(OTHER_ADMIN), recall),
        row("take back what the owner said", Some(ANN), recall),
        row("take back what somebody said who has left", Some(GONE), recall),
    ]
}

/// A group in which everybody has said something; where each one's text stands.
async fn scene() -> (House, ConversationId, impl Fn(UserId) -> u64) {
    let (mut house, group) = (house(), ConversationId::generate());
    let member = |user| (user, Role::Member);
    let (admins, owner) = ([BOB, OTHER_ADMIN].map(|user| (user, Role::Admin)), (ANN, Role::Owner));
    let all = [[EVE, MUTED, FORMER, OTHER, GONE].map(member).as_slice(), &admins, &[owner]].concat();
    house.shelf.found(group, &all);
    let said = all.iter().map(|(user, _)| said(group, *user, &[draft("said")])).collect();
    assert_eq!(seqs(&house.place(said).await).len(), all.len());
    house.shelf.change_group(group, |group| {
        group.members.retain(|user, _| ![FORMER, GONE].contains(user));
        group.members.get_mut(&MUTED).expect("a member").muted_until = u64::MAX;
    });
    // The row of the beginning is the first.
    let place = move |user| 2 + all.iter().position(|(one, _)| *one == user).expect("has said something") as u64;
    (house, group, place)
}

async fn cell(row: &Row, by: UserId) -> String {
    if row.of == Some(by) {
        return "–".into();
    }
    let (mut house, group, place) = scene().await;
    if row.is_late {
        house.shelf.state.lock().rows.values_mut().for_each(|row| row.message.at = 1);
    }
    let before = house.shelf.state.lock().rows.len();
    let placed = house.place(vec![said(group, by, &[(row.draft)(place(row.of.unwrap_or(by)))])]).await;
    let more = house.shelf.state.lock().rows.len() - before;
    match refused(&placed)[..] {
        [] => {
            assert_eq!((seqs(&placed).len(), more), (1, 1), "{}", row.name);
            "**yes**".into()
        }
        [why] => {
            assert_eq!(more, 0, "{}: refused and yet placed", row.name);
            why.name().into()
        }
        _ => unreachable!("one draft"),
    }
}

async fn table() -> Vec<(&'static str, Vec<String>)> {
    let mut table = Vec::new();
    for row in rows() {
        let mut cells = Vec::new();
        for (_, by) in CAST {
            cells.push(cell(&row, by).await);
        }
        table.push((row.name, cells));
    }
    table
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/groups.md")
}

#[tokio::test]
async fn the_table_of_who_may_say_what_in_the_documentation_is_what_happens() {
    let names: Vec<&str> = CAST.iter().map(|(name, _)| *name).collect();
    let mut lines = vec![format!("| | {} |", names.join(" | ")), "|---|---|---|---|---|---|".to_owned()];
    lines.extend(table().await.into_iter().map(|(name, cells)| format!("| {name} | {} |", cells.join(" | "))));
    let table = lines.join("\n");
    let text = std::fs::read_to_string(document()).expect("docs/groups.md");
    let (before, rest) = text.split_once(BEGIN).expect("the mark before the table");
    let (written, after) = rest.split_once(END).expect("the mark after the table");
    if std::env::var_os(REWRITE).is_some() {
        let text = format!("{before}{BEGIN}\n\n{table}\n\n{END}{after}");
        return std::fs::write(document(), text).expect("written");
    }
    assert_eq!(written.trim(), table, "run this test with {REWRITE}=1 if the new table is right");
}

/// What is right whatever the table says: one takes back what those below oneself said, and nobody else's.
#[tokio::test]
async fn admins_take_back_what_members_said_and_neither_the_owners_nor_another_admins() {
    let table = table().await;
    let of = |name: &str| {
        let (_, cells) = table.iter().find(|(row, _)| *row == name).expect("a row");
        cells.iter().map(String::as_str).collect::<Vec<_>>()
    };
    let (not_yours, muted, outside) = (Refusal::NotYours.name(), Refusal::Muted.name(), Refusal::NotMember.name());
    let yes = "**yes**";
    assert_eq!(of("take back what a member said"), [not_yours, yes, yes, muted, outside]);
    assert_eq!(of("take back what an admin said"), [not_yours, not_yours, yes, muted, outside]);
    assert_eq!(of("take back what the owner said"), [not_yours, not_yours, "–", muted, outside]);
    assert_eq!(of("take back what somebody said who has left"), [not_yours, yes, yes, muted, outside]);
    assert_eq!(of("take back an own message in time"), [yes, yes, yes, yes, outside]);
}
