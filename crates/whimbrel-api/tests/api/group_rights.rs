//! Who may do what in a group: every action, tried by every role. The outcome is a table in docs/groups.md.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Answer, Api, Person};

/// The columns.
const ROLES: [&str; 6] = ["stranger", "invited", "member", "admin", "owner", "former member"];

/// The table's place in the document.
const BEGIN: &str = "<!-- who may do what: written by the test that tries it -->";
const END: &str = "<!-- end of who may do what -->";

/// A time that is not soon over.
const LATER: u64 = 4_000_000_000_000;

/// Set to anything, the test writes the table instead of comparing it.
const REWRITE: &str = "WHIMBREL_REWRITE_DOCS";

/// A group with somebody in each role, and others to do things to. Nobody acts in two of them.
struct Scene {
    group: String,
    /// In the order of the columns.
    cast: Vec<Person>,
    /// To whom things are done.
    other_member: Person,
    other_admin: Person,
    asker: Person,
    newcomer: Person,
}

/// How one comes in, and whether strangers see it.
#[derive(Clone, Copy)]
struct Kind {
    join: &'static str,
    listed: bool,
}

const USUAL: Kind = Kind { join: "approval", listed: true };

async fn scene(api: &Api, kind: Kind, people: Vec<Person>) -> Scene {
    let [stranger, invited, member, admin, owner, former, other_member, other_admin, asker, newcomer] =
        <[Person; 10]>::try_from(people).unwrap_or_else(|_| panic!("ten people"));
    let form = json!({"owner": owner.id, "name": "Birds", "join": "approval", "listed": true});
    let group = api.admin("POST /v1/admin/groups", form).await.good()["id"].as_str().expect("an id").to_owned();
    api.add(&group, &[&member, &admin, &former, &other_member, &other_admin]).await;
    for person in [&admin, &other_admin] {
        api.act(&owner, &group, "role", json!({"user": person.id, "role": "admin"})).await.good();
    }
    api.act(&former, &group, "leave", Value::Null).await.good();
    api.act(&asker, &group, "join", Value::Null).await.good();
    api.act(&owner, &group, "invite", json!({"users": [invited.id]})).await.good();
    let settle = json!({"join": kind.join, "listed": kind.listed});
    if (kind.join, kind.listed) != (USUAL.join, USUAL.listed) {
        api.by(&owner, &format!("PATCH /v1/groups/{group}"), settle).await.good();
    }
    Scene {
        group,
        cast: vec![stranger, invited, member, admin, owner, former],
        other_member,
        other_admin,
        asker,
        newcomer,
    }
}

/// Method, what follows the group's path, and a body.
type Call = fn(&Scene, &Person) -> (&'static str, &'static str, Value);

/// One row of the table: what is tried, and in which group.
struct Row {
    name: &'static str,
    kind: Kind,
    call: Call,
}

fn row(name: &'static str, kind: Kind, call: Call) -> Row {
    Row { name, kind, call }
}

fn rows() -> Vec<Row> {
    let hidden = Kind { listed: false, ..USUAL };
    let open = Kind { join: "open", ..USUAL };
    let closed = Kind { join: "invitation", ..USUAL };
    vec![
        row("see a listed group", USUAL, |_, _| ("GET", "", Value::Null)),
        row("see one that is not listed", hidden, |_, _| ("GET", "", Value::Null)),
        row("list its members", USUAL, |_, _| ("GET", "/members", Value::Null)),
        row("get its keys", USUAL, |_, _| ("GET", "/keys", Value::Null)),
        row("ask who has read a message", USUAL, |_, _| ("GET", "/messages/1/read_by", Value::Null)),
        row("see what waits for an answer", USUAL, |_, _| ("GET", "/requests", Value::Null)),
        row("join an open group", open, |_, _| ("POST", "/join", Value::Null)),
        row("join one with approval", USUAL, |_, _| ("POST", "/join", Value::Null)),
        row("join one by invitation", closed, |_, _| ("POST", "/join", Value::Null)),
        row("join one that is not listed", hidden, |_, _| ("POST", "/join", Value::Null)),
        row("decline", USUAL, |_, _| ("POST", "/decline", Value::Null)),
        row("leave", USUAL, |_, _| ("POST", "/leave", Value::Null)),
        row("invite to an open group", open, |scene, _| ("POST", "/invite", json!({"users": [scene.newcomer.id]}))),
        row("invite to one with approval", USUAL, |scene, _| {
            ("POST", "/invite", json!({"users": [scene.newcomer.id]}))
        }),
        row("invite to one by invitation", closed, |scene, _| {
            ("POST", "/invite", json!({"users": [scene.newcomer.id]}))
        }),
        row("approve who asked", USUAL, |scene, _| ("POST", "/approve", json!({"user": scene.asker.id}))),
        row("reject who asked", USUAL, |scene, _| ("POST", "/reject", json!({"user": scene.asker.id}))),
        row("remove a member", USUAL, |scene, _| ("POST", "/remove", json!({"user": scene.other_member.id}))),
        row("remove an admin", USUAL, |scene, _| ("POST", "/remove", json!({"user": scene.other_admin.id}))),
        row("remove the owner", USUAL, |scene, _| ("POST", "/remove", json!({"user": scene.cast[4].id}))),
        row("mute a member", USUAL, |scene, _| {
            ("POST", "/mute", json!({"user": scene.other_member.id, "until": LATER}))
        }),
        row("mute an admin", USUAL, |scene, _| {
            ("POST", "/mute", json!({"user": scene.other_admin.id, "until": LATER}))
        }),
        row("mute the owner", USUAL, |scene, _| ("POST", "/mute", json!({"user": scene.cast[4].id, "until": LATER}))),
        row("mute everybody", USUAL, |_, _| ("POST", "/mute_all", json!({"until": LATER}))),
        row("change name, handle, how one joins", USUAL, |_, _| ("PATCH", "", json!({"name": "Others"}))),
        row("say how long messages are kept", USUAL, |_, _| {
            ("PATCH", "", json!({"keep": {"age_s": 100_000_000, "messages": 1000}}))
        }),
        row("make a member an admin", USUAL, |scene, _| {
            ("POST", "/role", json!({"user": scene.other_member.id, "role": "admin"}))
        }),
        row("make an admin a member", USUAL, |scene, _| {
            ("POST", "/role", json!({"user": scene.other_admin.id, "role": "member"}))
        }),
        row("give the group away", USUAL, |scene, _| ("POST", "/transfer", json!({"user": scene.other_member.id}))),
        row("dissolve it", USUAL, |_, _| ("POST", "/dissolve", Value::Null)),
    ]
}

/// What the answer says, and what it led to: who joins may be a member or have asked, whom somebody invites may be
/// invited or only proposed.
async fn outcome(api: &Api, scene: &Scene, who: &Person, call: &str, answer: &Answer) -> String {
    if !answer.status.is_success() {
        return answer.code().to_owned();
    }
    let waiting = async |user: &Person| {
        let page = format!("GET /v1/groups/{}/requests", scene.group);
        let page = api.by(&scene.cast[4], &page, Value::Null).await.good();
        let mine =
            page["requests"].as_array().expect("a list").iter().find(|one| one["user"]["id"] == user.id).cloned();
        mine.map(|one| one["kind"].as_str().expect("a kind").to_owned())
    };
    match call {
        "/join" => match waiting(who).await {
            Some(kind) => kind,
            None => {
                let seen = api.see(who, &scene.group).await.good();
                assert_eq!((&seen["role"], &seen["until"]), (&json!("member"), &json!(0)));
                "yes".to_owned()
            }
        },
        "/invite" => match waiting(&scene.newcomer).await.as_deref() {
            Some("invited") => "yes".to_owned(),
            other => other.expect("something waits").to_owned(),
        },
        _ => "yes".to_owned(),
    }
}

async fn table(api: &Api) -> String {
    let mut lines = vec![format!("| | {} |", ROLES.join(" | ")), "|---|---|---|---|---|---|---|".to_owned()];
    for (number, row) in rows().into_iter().enumerate() {
        let mut people = api.people(&format!("row{number}-"), 10 * ROLES.len()).await;
        let mut cells = Vec::new();
        for (column, role) in ROLES.iter().enumerate() {
            let scene = scene(api, row.kind, people.split_off(people.len() - 10)).await;
            let who = &scene.cast[column];
            let (method, path, body) = (row.call)(&scene, who);
            let before = api.see(&scene.cast[4], &scene.group).await.good();
            let answer = api.by(who, &format!("{method} /v1/groups/{}{path}", scene.group), body).await;
            let cell = outcome(api, &scene, who, path, &answer).await;
            if !answer.status.is_success() {
                let after = api.see(&scene.cast[4], &scene.group).await.good();
                assert_eq!(after, before, "{} by {role}: refused and yet done", row.name);
            }
            cells.push(if cell == "yes" { "**yes**".to_owned() } else { cell });
        }
        lines.push(format!("| {} | {} |", row.name, cells.join(" | ")));
    }
    lines.join("\n")
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/groups.md")
}

#[tokio::test]
async fn the_table_of_rights_in_the_documentation_is_what_happens() {
    // Idea: for each cell a group of its own with fresh people, one call, and what came of it. The owner's view before and
    // after shows that what is refused is not done.
    let table = table(&Api::new()).await;
    let text = std::fs::read_to_string(document()).expect("docs/groups.md");
    let (before, rest) = text.split_once(BEGIN).expect("the mark before the table");
    let (written, after) = rest.split_once(END).expect("the mark after the table");
    if std::env::var_os(REWRITE).is_some() {
        let text = format!("{before}{BEGIN}\n\n{table}\n\n{END}{after}");
        return std::fs::write(document(), text).expect("written");
    }
    assert_eq!(written.trim(), table, "run this test with {REWRITE}=1 if the new table is right");
}

/// What is right whatever the table says: the rules for which the roles are there.
#[tokio::test]
async fn nobody_outside_a_group_does_anything_in_it_and_members_keep_no_order() {
    let text = std::fs::read_to_string(document()).expect("docs/groups.md");
    let (_, rest) = text.split_once(BEGIN).expect("the mark");
    let (table, _) = rest.split_once(END).expect("the other mark");
    let cell = |name: &str, role: &str| {
        let row = table.lines().find(|line| line.starts_with(&format!("| {name} |"))).expect("a row");
        let column = ROLES.iter().position(|known| *known == role).expect("a column");
        row.split('|').nth(2 + column).expect("a cell").trim().trim_matches('*').to_owned()
    };
    let keeping_order = [
        "see what waits for an answer",
        "approve who asked",
        "reject who asked",
        "remove a member",
        "mute a member",
        "mute everybody",
        "change name, handle, how one joins",
    ];
    let owning = [
        "remove an admin",
        "mute an admin",
        "make a member an admin",
        "make an admin a member",
        "give the group away",
        "dissolve it",
    ];
    for name in keeping_order.iter().chain(&owning) {
        for role in ["stranger", "invited", "former member"] {
            assert!(["forbidden", "no_such_group"].contains(&&*cell(name, role)), "{name} by {role}");
        }
        assert_eq!(cell(name, "member"), "forbidden", "{name}");
        assert_eq!(cell(name, "owner"), "yes", "{name}");
        let by_admin = if owning.contains(name) { "forbidden" } else { "yes" };
        assert_eq!(cell(name, "admin"), by_admin, "{name}");
    }
    for role in ROLES {
        for name in ["remove the owner", "mute the owner"] {
            assert_ne!(cell(name, role), "yes", "{name} by {role}");
        }
    }
    for name in ["list its members", "ask who has read a message"] {
        let by: Vec<_> = ROLES.iter().map(|role| cell(name, role)).collect();
        assert_eq!(by, ["forbidden", "forbidden", "yes", "yes", "yes", "forbidden"], "{name}");
    }
}
