//! The state by itself, then the screen by itself: what is shown at 80×24, 40×12 and 120×40, as text.

use std::time::Duration;

use chrono::FixedOffset;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use whimbrel_client::{
    Closed, ConnectionState, Content, ConversationId, ConversationSummary, Cursors, DeviceId, Event, GoodbyeCode,
    History, MessageId, MessageKind, NotPlaced, Outgoing, Profile, Refusal, Relation, RelationState, Seq,
    StoredMessage, UserId,
};

use super::app::{App, Effect, Happened, Notice, RelationDeed, Selected, Ticket};
use super::keys::Key;
use super::view::{self, Look};

mod groups;
mod presence;

const ME: UserId = UserId(1);
const DEVICE: DeviceId = DeviceId::from_bytes([9; 16]);
/// 2026-11-19 23:58 UTC.
const START: u64 = 1_795_132_680_000;
const MINUTE: u64 = 60_000;
const SIZES: [(u16, u16); 3] = [(80, 24), (40, 12), (120, 40)];

fn chat(n: u8) -> ConversationId {
    ConversationId::from_bytes([n; 16])
}

fn id(n: u8) -> MessageId {
    MessageId::from_bytes([n; 16])
}

fn summary(n: u8, name: &str, unread: u64) -> ConversationSummary {
    ConversationSummary {
        title: name.to_owned(),
        peer_name: name.to_owned(),
        peer_handle: name.to_lowercase(),
        unread,
        ..ConversationSummary::direct(chat(n), UserId(n.into()))
    }
}

fn message(conversation: u8, seq: u64, sender: u64, text: &str) -> StoredMessage {
    StoredMessage {
        conversation: chat(conversation),
        seq: Seq(seq),
        sender: UserId(sender),
        device: DEVICE,
        message_id: id(100 + seq as u8),
        kind: MessageKind::TEXT,
        key_version: 1,
        at: START + seq * MINUTE,
        content: Content::Text(text.to_owned()),
        quote: None,
        mentions: Vec::new(),
        origin: None,
    }
}

fn relation(n: u8, handle: &str, state: RelationState) -> Relation {
    let peer = Profile { id: UserId(n.into()), handle: handle.to_owned(), display_name: String::new(), avatar: None };
    let greeting = Some("Hello, we met at the mudflats. 你好！".to_owned());
    Relation { peer, state, blocked: false, greeting, conversation: Some(chat(n)), keys: Vec::new(), changed_at: 0 }
}

/// Online, with Bob (open) and Carol.
fn app() -> App {
    let mut app = App::new(ME, DEVICE, "alice".to_owned());
    app.update(Happened::Event(Event::State(ConnectionState::Online)));
    app.update(Happened::Conversations(vec![summary(2, "Bob", 0), summary(3, "Carol", 2)]));
    app
}

fn type_line(app: &mut App, line: &str) -> Vec<Effect> {
    app.update(Happened::Pasted(line.to_owned()));
    app.update(Happened::Key(Key::Enter))
}

fn ticket(effects: &[Effect]) -> Ticket {
    match effects.first() {
        Some(Effect::Send { ticket, .. }) => *ticket,
        other => panic!("no Send but {other:?}"),
    }
}

fn hear(app: &mut App, message: StoredMessage) -> Vec<Effect> {
    app.update(Happened::Event(Event::Message(message)))
}

fn screen(app: &mut App, (width, height): (u16, u16)) -> String {
    let look = Look { colour: true, offset: FixedOffset::east_opt(0).expect("UTC") };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("no terminal fails in memory");
    let mut drawn = None;
    terminal.draw(|frame| drawn = Some(view::draw(frame, app, look))).expect("memory takes every frame");
    app.drawn(drawn.expect("a frame was drawn"));
    terminal.backend().to_string()
}

fn snapshots(name: &str, mut app: impl FnMut() -> App) {
    for size in SIZES {
        let mut app = app();
        let shown = screen(&mut app, size);
        assert!(shown.contains("Ctrl-Q quit"), "{size:?} does not say how to quit:\n{shown}");
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), shown);
    }
}

// The state.

#[test]
fn a_draft_stands_from_enter_until_its_message_comes() {
    let mut app = app();
    let effects = type_line(&mut app, "hi");
    assert_eq!(effects, [Effect::Send { conversation: chat(2), ticket: ticket(&effects), what: Outgoing::text("hi") }]);
    assert_eq!(app.open_drafts().len(), 1);
    app.update(Happened::Queued { conversation: chat(2), ticket: ticket(&effects), message_id: id(101) });
    assert_eq!(app.open_drafts().len(), 1);
    hear(&mut app, message(2, 1, 1, "hi"));
    assert_eq!((app.open_drafts().len(), app.messages.len()), (0, 1));
}

/// The answer to `send_text` and the event of its message come by two ways, and the event may be first: also in a
/// conversation that is not open (any more), of which no messages are kept.
#[test]
fn a_message_that_comes_before_its_draft_has_a_name_leaves_no_draft_behind() {
    let mut app = app();
    let effects = type_line(&mut app, "hi");
    app.update(Happened::Key(Key::Next));
    hear(&mut app, message(2, 1, 1, "hi"));
    app.update(Happened::Queued { conversation: chat(2), ticket: ticket(&effects), message_id: id(101) });
    app.update(Happened::Key(Key::Previous));
    assert_eq!(app.open(), Some(chat(2)));
    assert_eq!(app.open_drafts(), []);
}

#[test]
fn a_refusal_names_its_reason_whenever_it_comes_and_goes_with_esc() {
    for early in [true, false] {
        let mut app = app();
        let effects = type_line(&mut app, "hi");
        let queued = Happened::Queued { conversation: chat(2), ticket: ticket(&effects), message_id: id(7) };
        let refusal = NotPlaced::Refused(Refusal::Blocked);
        let refused = Happened::Event(Event::Refused { conversation: chat(2), message_id: id(7), refusal });
        let (first, second) = if early { (refused, queued) } else { (queued, refused) };
        app.update(first);
        app.update(second);
        assert_eq!(app.open_drafts()[0].refused.as_deref(), Some(refusal.sentence()), "early: {early}");
        app.update(Happened::Key(Key::Escape));
        assert_eq!(app.open_drafts(), []);
    }
}

#[test]
fn what_is_shown_to_its_end_is_read_and_nothing_else() {
    let mut app = app();
    assert_eq!(hear(&mut app, message(2, 1, 2, "hi")), [Effect::MarkRead(chat(2), Seq(1))]);
    assert_eq!(hear(&mut app, message(3, 1, 3, "not open")), []);
    app.update(Happened::Key(Key::Help));
    assert_eq!(hear(&mut app, message(2, 2, 2, "under the help")), []);
    assert_eq!(app.update(Happened::Key(Key::Escape)), [Effect::MarkRead(chat(2), Seq(2))]);
    for seq in 3..60 {
        hear(&mut app, message(2, seq, 2, "long ago"));
    }
    screen(&mut app, (80, 24));
    app.update(Happened::Key(Key::PageUp));
    screen(&mut app, (80, 24));
    assert_eq!(hear(&mut app, message(2, 60, 2, "out of sight")), []);
    screen(&mut app, (80, 24));
    app.update(Happened::Key(Key::PageDown));
    screen(&mut app, (80, 24));
    assert_eq!(app.update(Happened::Key(Key::PageDown)), [Effect::MarkRead(chat(2), Seq(60))]);
}

/// Twenty lines come while somebody reads further up: the frame stays the same but for the count of what is below.
#[test]
fn who_has_scrolled_up_keeps_seeing_the_same_lines() {
    let mut app = app();
    for seq in 1..80 {
        hear(&mut app, message(2, seq, 2, &format!("line {seq}")));
    }
    screen(&mut app, (80, 24));
    app.update(Happened::Key(Key::PageUp));
    let lines = |shown: String| shown.lines().skip(1).take(19).map(str::to_owned).collect::<Vec<_>>();
    let before = lines(screen(&mut app, (80, 24)));
    for seq in 80..100 {
        hear(&mut app, message(2, seq, 2, &format!("line {seq}")));
    }
    assert_eq!(lines(screen(&mut app, (80, 24))), before);
    for _ in 0..50 {
        app.update(Happened::Key(Key::PageUp));
    }
    assert!(screen(&mut app, (80, 24)).contains("line 1 "), "the beginning");
    app.update(Happened::Key(Key::PageDown));
    assert!(
        !screen(&mut app, (80, 24)).contains("line 1 "),
        "one page down is one page down, however far up one asked"
    );
}

/// The first of what is shown comes into sight: what was said before is asked for, once, and put above; so on to the first
/// message. The frame stays the same meanwhile.
#[test]
fn who_scrolls_back_comes_to_the_first_message() {
    let mut app = app();
    for seq in 61..100 {
        hear(&mut app, message(2, seq, 2, &format!("line {seq}")));
    }
    screen(&mut app, (80, 24));
    assert_eq!(app.update(Happened::Key(Key::PageUp)), [Effect::Older(chat(2), Seq(61))]);
    let before = screen(&mut app, (80, 24));
    assert_eq!(app.update(Happened::Key(Key::PageUp)), [], "it is on its way");
    app.update(Happened::Key(Key::PageDown));
    let items = |seqs: std::ops::RangeInclusive<u64>| {
        let rows = seqs.map(|seq| message(2, seq, 2, &format!("line {seq}")));
        whimbrel_client::Picture::of(rows).into_items()
    };
    let part = |items, older: Option<u64>| History { items, older: older.map(Seq), newer: None };
    app.update(Happened::Older(chat(2), Seq(61), part(items(21..=60), Some(21))));
    assert_eq!(screen(&mut app, (80, 24)), before, "what is above moves nothing");
    let far = |app: &mut App| (0..9).flat_map(|_| app.update(Happened::Key(Key::PageUp))).collect::<Vec<_>>();
    assert_eq!(far(&mut app), [Effect::Older(chat(2), Seq(21))]);
    app.update(Happened::NotOlder(chat(2), "no server".to_owned()));
    assert!(screen(&mut app, (80, 24)).contains("no server"));
    assert_eq!(far(&mut app), [Effect::Older(chat(2), Seq(21))], "one may ask again");
    app.update(Happened::Older(chat(2), Seq(61), part(items(1..=3), None)));
    assert!(
        app.messages.first_key_value().is_some_and(|(first, _)| *first == Seq(21)),
        "an answer to another question"
    );
    app.update(Happened::Older(chat(2), Seq(21), part(items(1..=20), None)));
    screen(&mut app, (80, 24));
    assert_eq!(far(&mut app), [], "nothing is before the first");
    assert!(screen(&mut app, (80, 24)).contains("line 1 "));
}

#[test]
fn what_is_being_typed_stays_with_whom_it_is_for() {
    let mut app = app();
    app.update(Happened::Pasted("for bob".to_owned()));
    app.update(Happened::Key(Key::Next));
    assert_eq!((app.open(), app.editor.text()), (Some(chat(3)), ""));
    app.update(Happened::Key(Key::Previous));
    assert_eq!((app.open(), app.editor.text()), (Some(chat(2)), "for bob"));
}

#[test]
fn a_new_message_moves_its_conversation_up_and_leaves_the_selection() {
    let mut app = app();
    hear(&mut app, message(3, 1, 3, "hi"));
    app.update(Happened::Event(Event::Unread { conversation: chat(3), unread: 3 }));
    assert_eq!(app.conversations[0].id, chat(3));
    assert_eq!((app.open(), app.conversations[0].unread), (Some(chat(2)), 3));
    assert_eq!(hear(&mut app, message(4, 1, 4, "from somebody new")), [Effect::RefreshConversations]);
}

/// The list was read from the store before the last message and its receipt, and arrives after them.
#[test]
fn a_list_that_is_late_takes_nothing_back() {
    let mut app = app();
    hear(&mut app, message(3, 5, 3, "hi"));
    app.update(Happened::Event(Event::Unread { conversation: chat(3), unread: 5 }));
    let cursors = Cursors { delivered: Seq(4), read: Seq(2) };
    app.update(Happened::Event(Event::Receipt { conversation: chat(3), user: UserId(3), cursors }));
    app.update(Happened::Conversations(vec![summary(2, "Bob", 0), summary(3, "Carol", 4)]));
    let row = &app.conversations[0];
    assert_eq!((row.id, row.head, row.unread, row.peer_cursors), (chat(3), Seq(5), 5, cursors));
    // After a reset the store is right, whatever was known.
    app.update(Happened::Event(Event::ConversationReset { conversation: chat(3) }));
    app.update(Happened::Conversations(vec![summary(2, "Bob", 0), summary(3, "Carol", 1)]));
    let row = app.conversations.iter().find(|row| row.id == chat(3)).expect("Carol");
    assert_eq!((row.head, row.unread), (Seq::ZERO, 1));
}

#[test]
fn an_accepted_request_opens_its_conversation_and_no_other() {
    let mut app = app();
    app.update(Happened::Event(Event::RelationChanged(relation(4, "dora", RelationState::RequestReceived))));
    app.update(Happened::Key(Key::Previous));
    assert_eq!(app.selected, Some(Selected::Request(UserId(4))));
    assert!(matches!(type_line(&mut app, "hello")[..], []), "nothing can be said to somebody who is no friend yet");
    assert_eq!(app.editor.text(), "hello", "and nothing is thrown away");
    app.update(Happened::Key(Key::DeleteToStart));
    let accept = [Effect::Relation(UserId(4), "dora".to_owned(), RelationDeed::Accept)];
    assert_eq!(type_line(&mut app, "/accept"), accept);
    let effects = app.update(Happened::Event(Event::RelationChanged(relation(4, "dora", RelationState::Friends))));
    assert_eq!(effects, [Effect::RefreshConversations]);
    let list = vec![summary(2, "Bob", 0), summary(3, "Carol", 2), summary(4, "Dora", 0)];
    let watch = Effect::Watch([2, 3, 4].map(UserId).to_vec());
    assert_eq!(app.update(Happened::Conversations(list)), [Effect::Load(chat(4)), watch]);
}

#[test]
fn a_command_without_its_object_says_what_to_do() {
    let mut app = App::new(ME, DEVICE, "alice".to_owned());
    for (line, hint) in
        [("/accept", "Tab"), ("/block", "Tab"), ("hello", "/add"), ("/dance", "/help"), ("/add", "/add bob")]
    {
        assert_eq!(type_line(&mut app, line), []);
        assert!(matches!(&app.notice, Some(Notice::Bad(text)) if text.contains(hint)), "{line}: {:?}", app.notice);
        app.update(Happened::Key(Key::DeleteToStart));
    }
    assert_eq!(type_line(&mut app, "/quit"), [Effect::Quit]);
}

#[test]
fn good_news_goes_by_itself_and_bad_news_waits_for_the_person() {
    let mut app = app();
    app.update(Happened::Notice(Notice::Good("asked bob".into())));
    (0..60).for_each(|_| drop(app.update(Happened::Tick)));
    assert_eq!(app.notice, None);
    app.update(Happened::Notice(Notice::Bad("nobody here is called bob".into())));
    (0..60).for_each(|_| drop(app.update(Happened::Tick)));
    assert!(app.notice.is_some());
    app.update(Happened::Key(Key::Escape));
    assert_eq!(app.notice, None);
}

// The screen.

#[test]
fn the_first_screen_says_what_to_do() {
    snapshots("first", || {
        let mut app = App::new(ME, DEVICE, "alice".to_owned());
        app.update(Happened::Conversations(Vec::new()));
        app
    });
}

fn conversation() -> App {
    let mut app = app();
    let mut bob = summary(2, "Bob", 0);
    bob.peer_cursors = Cursors { delivered: Seq(5), read: Seq(3) };
    app.update(Happened::Conversations(vec![bob, summary(3, "Carol", 2)]));
    hear(&mut app, message(2, 1, 2, "Are the waders back?"));
    hear(&mut app, message(2, 2, 1, "Since this morning."));
    hear(
        &mut app,
        message(2, 3, 1, "Three hundred of them, on the east side, where the fence ends; bring the long lens."),
    );
    hear(&mut app, message(2, 4, 2, "On my way"));
    hear(&mut app, message(2, 5, 1, "Good."));
    hear(&mut app, message(2, 6, 1, "Mind the tide"));
    let refused = type_line(&mut app, "and the dog");
    app.update(Happened::Queued { conversation: chat(2), ticket: ticket(&refused), message_id: id(1) });
    let refusal = NotPlaced::Refused(Refusal::Blocked);
    app.update(Happened::Event(Event::Refused { conversation: chat(2), message_id: id(1), refusal }));
    type_line(&mut app, "hello?");
    app.update(Happened::Pasted("half a sen".to_owned()));
    app
}

#[test]
fn marks_show_how_far_each_message_got() {
    snapshots("marks", conversation);
}

#[test]
fn a_friend_request_says_how_to_answer_it() {
    snapshots("request", || {
        let mut app = app();
        app.update(Happened::Event(Event::RelationChanged(relation(4, "dora", RelationState::RequestReceived))));
        app.update(Happened::Key(Key::Previous));
        app
    });
}

#[test]
fn a_lost_connection_is_named_with_the_next_try() {
    snapshots("reconnecting", || {
        let mut app = conversation();
        app.update(Happened::Event(Event::State(ConnectionState::Waiting { retry_in: Duration::from_secs(12) })));
        app.update(Happened::Tick);
        app
    });
    snapshots("closed", || {
        let mut app = conversation();
        let why = Closed::Goodbye(GoodbyeCode::REPLACED);
        app.update(Happened::Event(Event::State(ConnectionState::Closed { why })));
        app
    });
}

#[test]
fn the_help_is_whole_at_every_size() {
    snapshots("help", || {
        let mut app = conversation();
        app.update(Happened::Key(Key::Help));
        app
    });
    let mut app = conversation();
    app.update(Happened::Key(Key::Help));
    let mut pages = String::new();
    while app.help.is_some() {
        pages += &screen(&mut app, (40, 12));
        app.update(Happened::Key(Key::Char(' ')));
    }
    for (name, _, _) in super::command::COMMANDS {
        assert!(pages.contains(name), "{name} is on no page:\n{pages}");
    }
    insta::assert_snapshot!("help_pages_40x12", pages);
}

#[test]
fn wide_characters_wrap_whole() {
    snapshots("wide", || {
        let mut app = app();
        let chinese =
            "退潮了，泥滩上都是吃的。风向西北，一切正常；明天早上六点在东边的栅栏旁见面，别忘了带望远镜和热茶。";
        let family = "👩‍👩‍👧‍👦🐦🌊".repeat(12);
        hear(&mut app, message(2, 1, 2, chinese));
        hear(&mut app, message(2, 2, 1, chinese));
        hear(&mut app, message(2, 3, 2, &family));
        hear(&mut app, message(2, 4, 1, &family));
        hear(&mut app, message(2, 5, 2, "two\nlines, and averyveryveryveryveryveryveryveryveryveryveryverylongword"));
        app.update(Happened::Pasted(chinese.to_owned()));
        app
    });
}

#[test]
fn a_long_list_keeps_the_selected_one_in_sight_and_counts_up_to_999() {
    snapshots("list", || {
        let mut app = App::new(ME, DEVICE, "alice-with-a-rather-long-handle".to_owned());
        app.update(Happened::Event(Event::State(ConnectionState::Online)));
        let name = |n: u8| match n {
            3 => "Carol of the Long and Winding Name".to_owned(),
            4 => "红脚鹬观察小组第四分队".to_owned(),
            _ => format!("Friend {n:02}"),
        };
        let unread = |n: u8| [0, 7, 0, 1000, 999][usize::from(n % 5)];
        app.update(Happened::Conversations((2..60).map(|n| summary(n, &name(n), unread(n))).collect()));
        (0..30).for_each(|_| drop(app.update(Happened::Key(Key::Next))));
        app
    });
}

#[test]
fn no_size_is_too_small_to_draw() {
    for width in 1..60 {
        for height in 1..12 {
            for mut app in [app(), conversation()] {
                screen(&mut app, (width, height));
                app.update(Happened::Key(Key::Help));
                screen(&mut app, (width, height));
            }
        }
    }
}
