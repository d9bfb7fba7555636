//! Groups, and what is done to earlier messages.

use whimbrel_client::{
    ConversationKind, FollowUp, Group, GroupInfo, GroupRequest, JoinMode, Picture, Pictured, Quote, RequestKind, Role,
};

use super::*;
use crate::chat::app::{Person, Sheet};
use crate::chat::command::InGroup;

const ANN: UserId = UserId(2);
const BOB: UserId = UserId(3);
const BIRDS: u8 = 7;

fn group(n: u8, name: &str, unread: u64) -> ConversationSummary {
    let group = Group {
        id: chat(n),
        handle: None,
        name: name.to_owned(),
        avatar: String::new(),
        announcement: String::new(),
        owner: ANN,
        join: JoinMode::Invitation,
        listed: false,
        history_for_all: false,
        member_limit: 10,
        size: 4,
        muted_until: 0,
        revision: Seq(1),
        key_version: 1,
        created_at: START,
        dissolved_at: None,
        keep: whimbrel_client::Keep::default(),
    };
    let info = GroupInfo { group, role: Some(Role::Member), muted_until: 0, until: Seq::ZERO };
    ConversationSummary {
        kind: ConversationKind::Group,
        title: name.to_owned(),
        peer_name: name.to_owned(),
        group: Some(info),
        unread,
        ..ConversationSummary::direct(chat(n), UserId(0))
    }
}

fn person(id: UserId, name: &str) -> Person {
    Person { id, name: name.to_owned(), handle: name.to_lowercase() }
}

/// In Birds, with Ann and Bob, and a friend Carol besides.
fn in_birds() -> App {
    let mut app = App::new(ME, DEVICE, "alice".to_owned());
    app.update(Happened::Event(Event::State(ConnectionState::Online)));
    let list = vec![group(BIRDS, "Birds", 0), summary(9, "Carol", 2)];
    assert_eq!(
        app.update(Happened::Conversations(list)),
        [Effect::Load(chat(BIRDS)), Effect::Members(chat(BIRDS)), Effect::Watch(vec![UserId(9)])],
        "the group's people are asked for with it, and friends are watched"
    );
    app.update(Happened::People(vec![person(ANN, "Ann"), person(BOB, "Bob")]));
    app
}

fn say(app: &mut App, seq: u64, sender: UserId, text: &str) -> Vec<Effect> {
    hear(app, message(BIRDS, seq, sender.0, text))
}

fn row(seq: u64, sender: UserId, kind: MessageKind, content: Content) -> StoredMessage {
    StoredMessage { kind, content, ..message(BIRDS, seq, sender.0, "") }
}

fn news(seq: u64, json: &str) -> StoredMessage {
    let content = Content::System { kind: MessageKind::GROUP, json: json.to_owned().into() };
    row(seq, ANN, MessageKind::GROUP, content)
}

fn about(seq: u64, sender: UserId, target: u64, what: FollowUp) -> StoredMessage {
    let kind = match what {
        FollowUp::Edit(_) => MessageKind::EDIT,
        FollowUp::Recall => MessageKind::RECALL,
        FollowUp::Append(_) => MessageKind::APPEND,
        _ => MessageKind::REACTION,
    };
    row(seq, sender, kind, Content::FollowUp { target: Seq(target), what })
}

fn react(seq: u64, sender: UserId, target: u64, emoji: &str) -> StoredMessage {
    about(seq, sender, target, FollowUp::React { emoji: emoji.to_owned(), removed: false })
}

fn text(text: &str) -> Box<Content> {
    Box::new(Content::Text(text.to_owned()))
}

fn look(app: &mut App, rows: Vec<StoredMessage>) {
    let items: Vec<Pictured> = Picture::of(rows).into_items();
    app.update(Happened::Messages(chat(BIRDS), items));
}

/// Everything that can stand in a group.
fn lively() -> App {
    let mut app = in_birds();
    let answer = StoredMessage {
        quote: Some(Quote {
            seq: Seq(2),
            message_id: id(102),
            sender: ANN,
            excerpt: "Are the waders back? I could not see any from the tower, but the light was poor.".to_owned(),
        }),
        ..message(BIRDS, 3, ME.0, "Since this morning.")
    };
    let calling = StoredMessage { mentions: vec![ME], ..message(BIRDS, 8, BOB.0, "@alice bring the long lens?") };
    look(
        &mut app,
        vec![
            news(1, r#"{"what":"created","by":2,"users":[1,3,4]}"#),
            message(BIRDS, 2, ANN.0, "Are the waders back?"),
            answer,
            message(BIRDS, 4, BOB.0, "Three hundrd of them"),
            about(5, BOB, 4, FollowUp::Edit(text("Three hundred of them, on the east side, where the fence ends"))),
            message(BIRDS, 6, BOB.0, "and the secret place"),
            about(7, BOB, 6, FollowUp::Recall),
            calling,
            react(9, ANN, 4, "👍"),
            react(10, ME, 4, "👍"),
            react(11, BOB, 4, "🎉"),
            news(12, r#"{"what":"added","by":2,"users":[5]}"#),
            row(13, ANN, MessageKind::STREAM, Content::Stream("Tide: low at 14:10,".to_owned())),
            about(14, ANN, 13, FollowUp::Append(" high at".to_owned())),
            message(BIRDS, 15, ME.0, "On my way"),
            react(16, ANN, 15, "❤"),
        ],
    );
    app.update(Happened::People(vec![person(UserId(4), "Dora"), person(UserId(5), "Emil")]));
    app.update(Happened::Event(Event::Typing { conversation: chat(BIRDS), user: BOB, typing: true }));
    app
}

#[test]
fn a_group_shows_who_said_what_and_what_became_of_it() {
    snapshots("group", lively);
}

#[test]
fn numbers_stand_beside_the_messages_while_a_command_wants_one() {
    snapshots("replying", || {
        let mut app = lively();
        app.update(Happened::Pasted("/reply #4 I'll bring".to_owned()));
        app
    });
}

#[test]
fn a_picked_message_is_marked_and_the_letters_are_explained() {
    snapshots("picked", || {
        let mut app = lively();
        (0..3).for_each(|_| drop(app.update(Happened::Key(Key::Older))));
        app
    });
}

#[test]
fn commands_are_listed_while_their_name_is_typed() {
    snapshots("completing", || {
        let mut app = lively();
        app.update(Happened::Pasted("/re".to_owned()));
        app
    });
    let mut app = in_birds();
    app.update(Happened::Pasted("/rec".to_owned()));
    app.update(Happened::Key(Key::Tab));
    assert_eq!((app.editor.text(), app.open()), ("/recall ", Some(chat(BIRDS))));
    app.update(Happened::Key(Key::DeleteToStart));
    app.update(Happened::Key(Key::Tab));
    assert_eq!(app.open(), Some(chat(9)), "without a command it switches");
}

#[test]
fn who_has_read_it_is_a_sheet() {
    snapshots("readers", || {
        let mut app = lively();
        let lines = ["✓✓ read  Ann (@ann)", "✓✓ read  Bob (@bob)", "✓        Dora (@dora)"].map(str::to_owned);
        app.update(Happened::Sheet(Sheet {
            title: "read by 2 of 3".to_owned(),
            lines: lines.into(),
            ..Sheet::default()
        }));
        app
    });
    let mut app = lively();
    app.update(Happened::Sheet(Sheet {
        title: "1 member".to_owned(),
        lines: vec!["you".to_owned()],
        ..Sheet::default()
    }));
    screen(&mut app, (80, 24));
    app.update(Happened::Key(Key::Escape));
    assert_eq!((app.help, app.sheet), (None, None));
}

#[test]
fn the_list_shows_what_is_pinned_quiet_and_calls() {
    snapshots("marks_of_the_list", || {
        let mut app = in_birds();
        let mut pinned = group(20, "Tide tables of the whole bay", 3);
        (pinned.pinned_at, pinned.muted_until, pinned.mentions) = (1, u64::MAX, 2);
        let mut quiet = group(21, "Chatter", 120);
        quiet.muted_until = u64::MAX;
        let mut unpinned = group(22, "Ringing", 4);
        unpinned.mentions = 1;
        let mut hidden = group(23, "Hidden", 1);
        hidden.hidden = true;
        let birds = group(BIRDS, "Birds", 0);
        app.update(Happened::Conversations(vec![birds, quiet, pinned, unpinned, hidden, summary(9, "Carol", 2)]));
        app
    });
}

/// The server keeps the time for which one wanted quiet; that it is over nobody tells.
#[test]
fn a_quiet_time_that_is_over_is_none() {
    let mut app = in_birds();
    let mut quiet = group(BIRDS, "Birds", 3);
    quiet.muted_until = 1000;
    app.update(Happened::Conversations(vec![quiet]));
    for (now, is_quiet) in [(999, true), (1000, false), (2000, false)] {
        app.now = now;
        let shown = screen(&mut app, (80, 24));
        let mut list = shown.lines().filter_map(|line| line.split('│').next());
        let line = list.find(|line| line.contains("Birds")).expect("in the list");
        assert_eq!(line.contains('z'), is_quiet, "at {now}: {line}");
        assert_eq!(type_line(&mut app, "/quiet"), [Effect::Quiet(chat(BIRDS), !is_quiet)], "at {now}");
    }
}

fn invitation() -> GroupRequest {
    let user = Profile { id: ME, handle: "alice".to_owned(), display_name: String::new(), avatar: None };
    GroupRequest {
        group: chat(30),
        group_name: "Night watch".to_owned(),
        user,
        kind: RequestKind::Invited,
        by: UserId(9),
        message: String::new(),
        at: START,
    }
}

#[test]
fn an_invitation_says_who_asks_and_how_to_answer() {
    snapshots("invitation", || {
        let mut app = in_birds();
        app.update(Happened::Invitations(vec![invitation()]));
        app.update(Happened::Key(Key::Previous));
        app
    });
    let mut app = in_birds();
    app.update(Happened::Invitations(vec![invitation()]));
    let answer = |accept| [Effect::Invitation { group: chat(30), name: "Night watch".to_owned(), accept }];
    assert_eq!(type_line(&mut app, "/decline night watch"), answer(false), "by its name, from anywhere");
    app.update(Happened::Key(Key::Previous));
    assert_eq!(type_line(&mut app, "/accept"), answer(true));
    app.update(Happened::Opens(chat(30), Notice::Good("you are in".to_owned())));
    app.update(Happened::Invitations(Vec::new()));
    let list = vec![group(BIRDS, "Birds", 0), group(30, "Night watch", 0)];
    app.update(Happened::Conversations(list));
    assert_eq!(app.open(), Some(chat(30)), "who has joined sees the group");
}

// Which message is meant.

fn edit_of(effects: &[Effect]) -> (Seq, String) {
    match effects {
        [Effect::Edit(_, seq, what)] => (*seq, what.content.line()),
        other => panic!("no edit but {other:?}"),
    }
}

#[test]
fn a_number_names_a_message_and_stays_the_same_while_others_come() {
    let mut app = in_birds();
    for seq in 98..=103 {
        say(&mut app, seq, if seq == 100 { ME } else { ANN }, "hm");
    }
    app.update(Happened::Pasted("/edit #0 well".to_owned()));
    say(&mut app, 104, BOB, "in between");
    assert_eq!(edit_of(&app.update(Happened::Key(Key::Enter))), (Seq(100), "well".to_owned()));
    assert_eq!(edit_of(&type_line(&mut app, "/edit 0 well")), (Seq(100), "well".to_owned()));
    assert_eq!(
        edit_of(&type_line(&mut app, "/edit 7 o'clock")),
        (Seq(100), "7 o'clock".to_owned()),
        "no number of any"
    );
    assert_eq!(type_line(&mut app, "/edit #77 well"), []);
    assert!(matches!(&app.notice, Some(Notice::Bad(text)) if text.contains("#77")));
    assert_eq!(app.editor.text(), "/edit #77 well", "to be put right");
}

#[test]
fn without_a_number_it_is_the_picked_message_or_the_last_that_fits() {
    let mut app = in_birds();
    say(&mut app, 1, ANN, "first");
    say(&mut app, 2, ME, "mine");
    say(&mut app, 3, BOB, "last");
    say(&mut app, 4, ME, "mine again");
    assert_eq!(type_line(&mut app, "/recall"), [Effect::Recall(chat(BIRDS), Seq(4))]);
    let reaction =
        |seq, removed| Effect::React { conversation: chat(BIRDS), seq: Seq(seq), emoji: "👍".into(), removed };
    assert_eq!(type_line(&mut app, "/react 👍"), [reaction(3, false)]);
    (0..4).for_each(|_| drop(app.update(Happened::Key(Key::Older))));
    assert_eq!(app.picked, Some(Seq(1)));
    app.update(Happened::Key(Key::Char('+')));
    app.update(Happened::Pasted("👍".to_owned()));
    assert_eq!(app.update(Happened::Key(Key::Enter)), [reaction(1, false)]);
    assert_eq!(app.picked, None);
    assert_eq!(type_line(&mut app, "/readers"), [Effect::Readers(chat(BIRDS), Seq(4))]);
    look(&mut app, vec![message(BIRDS, 4, ME.0, "mine again"), react(5, ME, 4, "👍")]);
    assert_eq!(type_line(&mut app, "/react #4 👍"), [reaction(4, true)], "again takes it back");
}

#[test]
fn a_reply_quotes_and_an_edit_keeps_its_quote() {
    let mut app = in_birds();
    say(&mut app, 1, ANN, "Are the waders back?");
    let quote = Quote { seq: Seq(1), message_id: id(101), sender: ANN, excerpt: "Are the waders back?".to_owned() };
    let effects = type_line(&mut app, "/reply since today, @bob");
    let what = match &effects[..] {
        [Effect::Send { what, .. }] => what.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((what.quote.as_ref(), &what.mentions[..]), (Some(&quote), &[BOB][..]));
    hear(&mut app, StoredMessage { quote: Some(quote.clone()), ..message(BIRDS, 2, ME.0, "since today, @bob") });
    match &type_line(&mut app, "/edit since Monday")[..] {
        [Effect::Edit(_, Seq(2), what)] => assert_eq!((what.quote.as_ref(), what.mentions.len()), (Some(&quote), 0)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_done_to_a_message_is_looked_at_and_what_came_later_does_not_undo_it() {
    let mut app = in_birds();
    say(&mut app, 1, ANN, "first");
    assert_eq!(hear(&mut app, about(2, ANN, 1, FollowUp::Edit(text("second")))), []);
    let changed = Happened::Event(Event::Changed { conversation: chat(BIRDS), seq: Seq(1) });
    assert_eq!(app.update(changed), [Effect::Look(chat(BIRDS), Seq(1))]);
    let rows = vec![message(BIRDS, 1, ANN.0, "first"), about(2, ANN, 1, FollowUp::Edit(text("second")))];
    Picture::of(rows).into_items().into_iter().for_each(|item| drop(app.update(Happened::Looked(item))));
    assert!(screen(&mut app, (80, 24)).contains("Ann second (edited)"));
    // The event of a row that was loaded with what followed it.
    say(&mut app, 1, ANN, "first");
    assert!(screen(&mut app, (80, 24)).contains("Ann second (edited)"));
}

/// The conversation was loaded before the group's key was there.
#[test]
fn a_message_that_was_sealed_is_looked_at_when_it_is_told() {
    let mut app = in_birds();
    look(&mut app, vec![row(1, ANN, MessageKind::TEXT, Content::Sealed), react(2, BOB, 1, "👍")]);
    assert!(say(&mut app, 1, ANN, "opened").contains(&Effect::Look(chat(BIRDS), Seq(1))));
    assert!(!say(&mut app, 3, ANN, "another").contains(&Effect::Look(chat(BIRDS), Seq(3))));
}

#[test]
fn a_refusal_of_what_was_done_to_a_message_is_told_in_the_servers_words() {
    for is_draft_under_way in [false, true] {
        let mut app = in_birds();
        say(&mut app, 1, ME, "mine");
        let sent = if is_draft_under_way { type_line(&mut app, "hello") } else { Vec::new() };
        assert_eq!(type_line(&mut app, "/recall #1"), [Effect::Recall(chat(BIRDS), Seq(1))]);
        let refusal = NotPlaced::Refused(Refusal::TooLate);
        app.update(Happened::Event(Event::Refused { conversation: chat(BIRDS), message_id: id(50), refusal }));
        if is_draft_under_way {
            assert_eq!(app.notice, None, "it may be the draft's");
            let ticket = ticket(&sent);
            app.update(Happened::Queued { conversation: chat(BIRDS), ticket, message_id: id(51) });
        }
        assert_eq!(app.notice, Some(Notice::Bad(refusal.sentence().to_owned())), "{is_draft_under_way}");
    }
}

// In the group.

#[test]
fn commands_of_groups_want_one_open_and_those_for_friends_want_a_friend() {
    let mut app = in_birds();
    let remove = Effect::InGroup(chat(BIRDS), InGroup::Remove("bob".to_owned()));
    assert_eq!(type_line(&mut app, "/remove @bob"), [remove]);
    let made = [Effect::NewGroup { name: "Night watch".to_owned(), handles: vec!["bob".to_owned()] }];
    assert_eq!(type_line(&mut app, "/group Night watch @bob"), made);
    assert_eq!(type_line(&mut app, "/pin"), [Effect::Pin(chat(BIRDS), true)]);
    for (line, hint) in [("/remove", "/leave"), ("/block", "one person")] {
        assert_eq!(type_line(&mut app, line), []);
        assert!(matches!(&app.notice, Some(Notice::Bad(text)) if text.contains(hint)), "{line}: {:?}", app.notice);
        app.update(Happened::Key(Key::DeleteToStart));
    }
    app.update(Happened::Key(Key::Next));
    for line in ["/leave", "/members", "/remove bob"] {
        assert_eq!(type_line(&mut app, line), [], "{line} is for groups");
        app.update(Happened::Key(Key::DeleteToStart));
    }
    let gone = Effect::Relation(UserId(9), "Carol".to_owned(), RelationDeed::Remove);
    assert_eq!(type_line(&mut app, "/remove"), [gone]);
}

#[test]
fn names_that_are_not_known_are_asked_for_once() {
    let mut app = in_birds();
    let names = Effect::Names(vec![UserId(40)]);
    assert!(hear(&mut app, news(1, r#"{"what":"joined","by":40,"users":[40]}"#)).contains(&names));
    assert!(!say(&mut app, 2, UserId(40), "hello").contains(&names));
    assert!(screen(&mut app, (80, 24)).contains("user 40 joined"));
    app.update(Happened::People(vec![person(UserId(40), "Fay")]));
    assert!(screen(&mut app, (80, 24)).contains("Fay joined"));
}

#[test]
fn others_hear_that_one_writes_and_never_a_command() {
    let mut app = in_birds();
    let typing = |is| Effect::Typing(chat(BIRDS), is);
    assert_eq!(app.update(Happened::Key(Key::Char('h'))), [typing(true)]);
    assert_eq!(app.update(Happened::Key(Key::Backspace)), [typing(false)]);
    for letter in "/leave".chars() {
        assert_eq!(app.update(Happened::Key(Key::Char(letter))), []);
    }
    app.update(Happened::Key(Key::DeleteToStart));
    assert_eq!(app.update(Happened::Pasted("/reply of course".to_owned())), [typing(true)]);
    let typing = |user, typing| Happened::Event(Event::Typing { conversation: chat(BIRDS), user, typing });
    app.update(typing(ANN, true));
    assert_eq!(app.writing().as_deref(), Some("Ann is typing"));
    app.update(typing(BOB, true));
    assert_eq!(app.writing().as_deref(), Some("Ann and Bob are typing"));
    app.update(typing(ANN, false));
    app.update(Happened::Event(Event::State(ConnectionState::Waiting { retry_in: Duration::from_secs(1) })));
    assert_eq!(app.writing(), None, "who is offline hears nobody");
}

#[test]
fn messages_that_call_are_counted_until_they_are_read() {
    let mut app = in_birds();
    app.update(Happened::Key(Key::Next));
    hear(&mut app, StoredMessage { mentions: vec![ME], ..message(BIRDS, 1, ANN.0, "@alice?") });
    app.update(Happened::Event(Event::Unread { conversation: chat(BIRDS), unread: 1 }));
    assert_eq!(app.conversations[0].mentions, 1);
    app.update(Happened::Event(Event::Unread { conversation: chat(BIRDS), unread: 0 }));
    assert_eq!(app.conversations[0].mentions, 0);
}

#[test]
fn a_conversation_that_was_cleared_is_empty() {
    let mut app = in_birds();
    say(&mut app, 1, ANN, "first");
    let mut cleared = group(BIRDS, "Birds", 0);
    cleared.own = Cursors { delivered: Seq(1), read: Seq(1) };
    let setting = Happened::Event(Event::SettingChanged { conversation: chat(BIRDS) });
    assert_eq!(app.update(setting), [Effect::RefreshConversations, Effect::Load(chat(BIRDS))]);
    app.update(Happened::Conversations(vec![cleared]));
    say(&mut app, 2, ANN, "new");
    app.update(Happened::Messages(chat(BIRDS), Vec::new()));
    assert_eq!(app.messages.keys().collect::<Vec<_>>(), [&Seq(2)]);
}

/// In the conversation that is open it is said in one line, and read anew; elsewhere only the list is.
#[test]
fn what_is_erased_is_read_anew_and_said_once() {
    let mut app = in_birds();
    say(&mut app, 1, ANN, "first");
    let erased = |of| Happened::Event(Event::Erased { conversation: chat(of), user: ANN, seq: Seq(2) });
    assert_eq!(app.update(erased(4)), [Effect::RefreshConversations]);
    assert_eq!(app.notice, None);
    assert_eq!(app.update(erased(BIRDS)), [Effect::RefreshConversations, Effect::Load(chat(BIRDS))]);
    assert_eq!(app.notice, Some(Notice::Good("what Ann said before is erased, everywhere".to_owned())));
    let said = StoredMessage { content: Content::Gone, ..message(BIRDS, 1, ANN.0, "") };
    app.update(Happened::Messages(chat(BIRDS), Picture::of([said]).into_items()));
    assert!(app.messages[&Seq(1)].gone.is_some());
}

#[test]
fn changes_of_a_group_are_sentences() {
    let mut app = in_birds();
    for (seq, (json, sentence)) in [
        (r#"{"what":"created","by":2,"users":[2]}"#, "Ann made the group"),
        (r#"{"what":"added","by":2,"users":[3]}"#, "Ann added Bob"),
        (r#"{"what":"added","by":0,"users":[1,3]}"#, "the operator added you and Bob"),
        (r#"{"what":"left","by":2,"users":[2],"owner":3}"#, "Ann left; the owner is Bob now"),
        (r#"{"what":"removed","by":2,"users":[3]}"#, "Ann removed Bob"),
        (r#"{"what":"role","by":2,"users":[1],"role":"admin"}"#, "Ann made you an admin"),
        (r#"{"what":"owner","by":2,"users":[3]}"#, "Ann gave the group to Bob"),
        (r#"{"what":"muted","by":2,"users":[3],"until":0}"#, "Ann let Bob speak again"),
        (r#"{"what":"muted","by":2,"users":[3],"until":1795132680000}"#, "Ann muted Bob until 2026-11-19 23:58"),
        (r#"{"what":"muted","by":2,"users":[3],"until":9007199254740991}"#, "Ann muted Bob for good"),
        (r#"{"what":"all_muted","by":2,"users":[],"until":18446744073709551615}"#, "Ann muted everybody for good"),
        (r#"{"what":"settings","by":2,"users":[],"changed":["name"]}"#, "Ann changed the group: name"),
        (r#"{"what":"dissolved","by":2,"users":[]}"#, "Ann dissolved the group"),
        (r#"{"what":"sung","by":2,"users":[]}"#, "the group changed: sung"),
    ]
    .into_iter()
    .enumerate()
    {
        hear(&mut app, news(seq as u64 + 1, json));
        let shown = screen(&mut app, (80, 24));
        assert!(shown.contains(&format!("· {sentence} ")), "{sentence}:\n{shown}");
    }
}
