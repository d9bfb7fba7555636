//! Searching: what is said is found at once, by those who see it, as a naive reading of everything finds it.

mod naive;

use std::collections::BTreeSet;

use whimbrel_core::limits::SEARCH_LOOK_MAX;
use whimbrel_core::search::Terms;
use whimbrel_core::{ConversationId, Message, MessageKind, UserId};

use super::Stores;
use super::company::{Company, join};
use super::filing;
use super::keeping::{retain, sweep_all};
use super::people::{Lane, people};
use crate::filing::NewFile;
use crate::groups::GroupChange;
use crate::search::texts::bodies;
use crate::search::{By, Found, Hit, SearchQuery};
use crate::settings::SettingChange;
use crate::{NewRow, PlaceBatch};

pub use naive::{
    many_conversations_are_searched_as_few_are, pages_are_the_same_however_far_apart_messages_are,
    pages_together_are_what_a_naive_reading_finds, what_others_say_is_not_in_the_way,
};

fn query(typed: &str) -> SearchQuery {
    SearchQuery::new(Terms::parse(typed).expect("good terms"))
}

async fn page(stores: &Stores, user: UserId, query: &SearchQuery) -> Found {
    let found = stores.search.search(user, query, None, 100).await.expect("the store answers");
    found.expect("a conversation of theirs")
}

/// All pages of at most `limit`, one after the other.
async fn all(stores: &Stores, user: UserId, query: &SearchQuery, limit: usize) -> Vec<Hit> {
    let (mut hits, mut after) = (Vec::new(), None);
    loop {
        let found = stores.search.search(user, query, after, limit).await.expect("the store answers");
        let found = found.expect("a conversation of theirs");
        assert!(found.hits.len() <= limit);
        hits.extend(found.hits);
        let Some(next) = found.next else { return hits };
        assert!(after.is_none_or(|after| next < after), "it goes on");
        after = Some(next);
    }
}

/// The places at which this is found.
async fn seqs(stores: &Stores, user: UserId, typed: &str) -> Vec<u64> {
    all(stores, user, &query(typed), 100).await.into_iter().map(|hit| hit.seq.0).collect()
}

async fn commit(stores: &Stores, rows: Vec<NewRow>) -> Vec<Message> {
    let batch = PlaceBatch { rows, cursors: Vec::new() };
    let (batch, _) = stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
    batch.rows.into_iter().map(|row| row.message).collect()
}

/// Two people who talk.
struct Chat<'a> {
    stores: &'a Stores,
    lane: Lane,
}

impl<'a> Chat<'a> {
    async fn new(stores: &'a Stores) -> Self {
        let users = people(&*stores.directory, "user", 2).await;
        let lane = Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await;
        Self { stores, lane }
    }

    fn one(&self) -> UserId {
        self.lane.users[0]
    }

    fn row(&mut self, side: usize, kind: MessageKind, body: Vec<u8>) -> NewRow {
        let mut row = if kind.is_countable() { self.lane.row(side) } else { self.lane.follow_up(side) };
        (row.message.kind, row.message.key_version, row.message.body) = (kind, 0, body.into());
        row
    }

    fn about(&mut self, kind: MessageKind, target: u64, text: &str) -> NewRow {
        let plain = if kind.takes_back() { Vec::new() } else { bodies::text(text) };
        self.row(0, kind, [&target.to_be_bytes()[..], &plain].concat())
    }

    /// Says something; its place.
    async fn says(&mut self, text: &str) -> u64 {
        let row = self.row(0, MessageKind::TEXT, bodies::text(text));
        commit(self.stores, vec![row]).await[0].seq.0
    }

    /// Does something about a message.
    async fn does(&mut self, kind: MessageKind, target: u64, text: &str) {
        let row = self.about(kind, target, text);
        commit(self.stores, vec![row]).await;
    }

    async fn found(&self, typed: &str) -> Vec<u64> {
        seqs(self.stores, self.one(), typed).await
    }
}

/// English and Chinese, upper and lower case, phrases, short terms, and letters that mean something to some engine.
pub async fn what_is_said_is_found_by_what_it_says(stores: &Stores) {
    let mut chat = Chat::new(stores).await;
    let texts = [
        "Good morning, the meeting is at ten",
        "早上好，今天下午三点开会",
        "我们去北京吃烤鸭 OK?",
        "100% \"quoted\" under_score * 'single' \\ back; DROP TABLE -- x",
        "a\0b nul and 👩‍👩‍👧 family 🎉🎉",
        "to be or not to be; the and of it",
        "ÀÉÎ Ωmega ПРИВЕТ",
    ];
    let mut rows = Vec::new();
    for text in texts {
        rows.push(chat.row(0, MessageKind::TEXT, bodies::text(text)));
    }
    let first = commit(stores, rows).await[0].seq.0;
    for (typed, expected) in [
        ("meeting", vec![0]),
        ("MEETing TEN", vec![0]),
        ("eetin", vec![0]),
        ("\"meeting is\"", vec![0]),
        ("\"is meeting\"", vec![]),
        ("meeting 开会", vec![]),
        ("开会", vec![1]),
        ("今天下午", vec![1]),
        ("午今", vec![]),
        ("早上好 三点", vec![1]),
        ("北京 ok", vec![2]),
        ("好", vec![1]),
        ("ok", vec![2]),
        ("a", vec![6, 5, 4, 3, 0]),
        ("%", vec![3]),
        ("_", vec![3]),
        ("*", vec![3]),
        ("100%", vec![3]),
        ("under_score", vec![3]),
        ("'single'", vec![3]),
        ("\\", vec![3]),
        ("drop table", vec![3]),
        ("--", vec![3]),
        ("a\0b", vec![4]),
        ("nul", vec![4]),
        ("🎉🎉", vec![4]),
        ("👩‍👩‍👧", vec![4]),
        ("the and", vec![5]),
        ("àéî", vec![6]),
        ("Привет", vec![6]),
        ("ωMEGA", vec![6]),
        ("nothing", vec![]),
        ("mee*", vec![]),
        ("g*", vec![]),
        ("OR", vec![5, 3, 0]),
        ("NEAR", vec![]),
    ] {
        let expected: Vec<u64> = expected.into_iter().map(|at: usize| first + at as u64).collect();
        assert_eq!(chat.found(typed).await, expected, "{typed:?}");
    }
    let found = page(stores, chat.one(), &query("今天 开会")).await;
    let [hit] = &found.hits[..] else { panic!("{found:?}") };
    assert_eq!(hit.snippet.text, texts[1]);
    assert_eq!(hit.snippet.highlights, [4..6, 10..12]);
    assert_eq!((hit.conversation, hit.sender, hit.kind), (chat.lane.conversation, chat.one(), MessageKind::TEXT));
    assert_eq!((found.by, found.next), (By::Index, None));
    assert_eq!(page(stores, chat.one(), &query("好")).await.by, By::Scan, "too short for an index, and named so");
}

/// Sealed bodies have no text; what cannot be read, and what the server itself says, neither.
pub async fn only_what_is_readable_is_found(stores: &Stores) {
    let mut chat = Chat::new(stores).await;
    let mut sealed = chat.row(0, MessageKind::TEXT, bodies::text("hidden words"));
    sealed.message.key_version = 1;
    let broken = chat.row(0, MessageKind::TEXT, b"\xff\xffhidden words".to_vec());
    let reaction = chat.about(MessageKind::REACTION, chat.lane.seq, "hidden words");
    let attached = chat.row(1, MessageKind::IMAGE, bodies::attachment("words.jpg", "Look at the words"));
    let file = attached.message.kind.file(&attached.message.body).expect("it names one");
    filing::whole(stores, NewFile { id: file, ..filing::new(attached.message.sender) }).await;
    let at = attached.message.seq.0;
    commit(stores, vec![sealed, broken, reaction, attached]).await;
    assert_eq!(chat.found("words").await, [at]);
    assert_eq!(chat.found("hidden").await, Vec::<u64>::new());
}

/// Edited, grown, finished, taken back, vanished; one row at a time, and several in one batch.
pub async fn a_message_is_found_by_what_it_says_now(stores: &Stores) {
    let mut chat = Chat::new(stores).await;
    let none = Vec::<u64>::new();
    let place = chat.says("the first version").await;
    let other = chat.says("the second message").await;
    chat.does(MessageKind::EDIT, place, "another wording").await;
    assert_eq!((chat.found("first").await, chat.found("wording").await), (none.clone(), vec![place]));
    chat.does(MessageKind::RECALL, place, "").await;
    assert_eq!((chat.found("wording").await, chat.found("message").await), (none.clone(), vec![other]));

    let begun = chat.row(0, MessageKind::STREAM, bodies::stream("It begins wi"));
    let stream = commit(stores, vec![begun]).await[0].seq.0;
    chat.does(MessageKind::APPEND, stream, "th words that ").await;
    let more = [chat.about(MessageKind::APPEND, stream, "gr"), chat.about(MessageKind::APPEND, stream, "ow slowly")];
    commit(stores, more.into()).await;
    for typed in ["begins", "with words", "grow slowly", "\"begins with words that grow\""] {
        assert_eq!(chat.found(typed).await, [stream], "{typed}");
    }
    chat.does(MessageKind::FINISH, stream, "The whole answer").await;
    assert_eq!((chat.found("begins").await, chat.found("whole answer").await), (none.clone(), vec![stream]));

    // All of it in one batch: a message, an edit of it, another, and one that is taken back at once.
    let rows = [MessageKind::TEXT, MessageKind::TEXT].map(|kind| chat.row(0, kind, bodies::text("quick thought")));
    let [kept, gone] = [&rows[0], &rows[1]].map(|row| row.message.seq.0);
    let mut rows = Vec::from(rows);
    rows.push(chat.about(MessageKind::EDIT, kept, "slow thought"));
    rows.push(chat.about(MessageKind::RECALL, gone, ""));
    commit(stores, rows).await;
    assert_eq!((chat.found("quick").await, chat.found("thought").await), (none.clone(), vec![kept]));

    let fleeting = chat.row(0, MessageKind::FLEETING, bodies::text("burn after reading"));
    let fleeting = commit(stores, vec![fleeting]).await[0].seq.0;
    assert_eq!(chat.found("burn").await, [fleeting]);
    chat.does(MessageKind::VANISH, fleeting, "").await;
    assert_eq!(chat.found("burn").await, none);

    // An edit whose content is sealed leaves nothing of what could be read.
    let place = chat.says("plain talk").await;
    let mut sealed = chat.about(MessageKind::EDIT, place, "sealed");
    sealed.message.key_version = 1;
    commit(stores, vec![sealed]).await;
    assert_eq!(chat.found("plain").await, none);
    chat.does(MessageKind::EDIT, place, "plain again").await;
    assert_eq!(chat.found("plain").await, [place]);
}

/// In a group: from joining to leaving, without what was cleared; strangers find nothing, and are told so.
pub async fn each_finds_what_they_see(stores: &Stores) {
    let company = Company::of(stores, 3).await;
    let stranger = people(&*stores.directory, "stranger", 1).await[0];
    let say = async |text: &str| {
        let mut rows = company.rows(&company.users[..1]).await;
        (rows[0].message.key_version, rows[0].message.body) = (0, bodies::text(text).into());
        commit(stores, rows).await[0].seq.0
    };
    let [owner, stays, leaves] = company.users[..] else { panic!("three") };
    let first = say("gossip one").await;
    company.does(leaves, GroupChange::Leave).await;
    let second = say("gossip two").await;
    let clear = SettingChange { clear: true, ..SettingChange::default() };
    let cleared = stores.settings.change_setting(stays, company.id, clear, 30).await;
    cleared.expect("the store answers").expect("theirs");
    let late = people(&*stores.directory, "late", 1).await[0];
    company.does(late, join()).await;
    let third = say("gossip three").await;
    for typed in ["gossip", "p"] {
        assert_eq!(seqs(stores, owner, typed).await, [third, second, first]);
        assert_eq!(seqs(stores, leaves, typed).await, [first], "nothing after they left");
        assert_eq!(seqs(stores, late, typed).await, [third], "nothing from before they came");
        assert_eq!(seqs(stores, stranger, typed).await, Vec::<u64>::new());
    }
    assert_eq!(seqs(stores, stays, "gossip").await, [third], "cleared for oneself");
    assert_eq!(seqs(stores, owner, "gossip").await.len(), 3, "and for nobody else");
    for (user, is_known) in [(owner, true), (leaves, true), (stranger, false)] {
        for typed in ["gossip", "p"] {
            let here = SearchQuery { conversation: Some(company.id), ..query(typed) };
            let found = stores.search.search(user, &here, None, 5).await.expect("answers");
            assert_eq!(found.is_some(), is_known);
            let nowhere = SearchQuery { conversation: Some(ConversationId::from_bytes([3; 16])), ..query(typed) };
            assert_eq!(stores.search.search(user, &nowhere, None, 5).await.expect("answers"), None);
        }
    }
}

/// Below a floor nothing is found, before and after the rows are swept; of whom everything is erased, nothing.
pub async fn what_is_not_kept_is_not_found(stores: &Stores) {
    let mut chat = Chat::new(stores).await;
    let mut places = Vec::new();
    for number in 0..6 {
        let row = chat.row(number % 2, MessageKind::TEXT, bodies::text(&format!("keep this {number}")));
        places.push(commit(stores, vec![row]).await[0].seq.0);
    }
    retain(stores, chat.lane.conversation, places[2]).await;
    assert_eq!(chat.found("keep").await, [places[5], places[4], places[3]]);
    assert_eq!(chat.found("s 1").await, Vec::<u64>::new());
    sweep_all(stores, chat.lane.conversation).await;
    assert_eq!(chat.found("keep").await, [places[5], places[4], places[3]]);
    stores.keeping.erase(chat.one()).await.expect("answers");
    while stores.keeping.erase_some(chat.one(), 3).await.expect("answers").more {}
    assert_eq!(chat.found("keep").await, [places[5], places[3]], "the other's");
}

/// Where nothing leads to what is looked for, a page says where to go on, and pages end.
pub async fn a_page_looks_at_a_bounded_number_of_messages(stores: &Stores) {
    let mut chat = Chat::new(stores).await;
    let oldest = chat.says("zz and nothing else").await;
    for _ in 0..3 {
        let rows = (0..1000).map(|_| chat.row(0, MessageKind::TEXT, bodies::text("haystack"))).collect();
        commit(stores, rows).await;
    }
    for conversation in [None, Some(chat.lane.conversation)] {
        let needle = SearchQuery { conversation, ..query("zz") };
        let found = page(stores, chat.one(), &needle).await;
        assert_eq!((found.hits.len(), found.by), (0, By::Scan));
        assert!(found.next.is_some(), "{SEARCH_LOOK_MAX} are less than there are");
        let hits = all(stores, chat.one(), &needle, 10).await;
        assert_eq!(hits.iter().map(|hit| hit.seq.0).collect::<Vec<_>>(), [oldest]);
    }
    let all_of_them = all(stores, chat.one(), &query("haystack"), 100).await;
    assert_eq!(all_of_them.len(), 3000);
    assert!(all_of_them.windows(2).all(|pair| pair[0].seq > pair[1].seq));
}

/// Very long texts, and many of them in one batch, are found to their ends.
pub async fn long_texts_are_found_to_their_ends(stores: &Stores) {
    let mut chat = Chat::new(stores).await;
    let latin: String = (0..8000).map(|number| format!("w{number:x} ")).collect();
    let dense: String = (0..15_000).map(|number| char::from_u32(0x4e00 + number).expect("a letter")).collect();
    let mut rows = Vec::new();
    for round in 0..20 {
        let text = if round % 2 == 0 { format!("{latin} end{round}") } else { format!("{dense}终{round}") };
        rows.push(chat.row(0, MessageKind::TEXT, bodies::text(&text)));
    }
    let first = commit(stores, rows).await[0].seq.0;
    assert_eq!(chat.found("end14").await, [first + 14]);
    let found = page(stores, chat.one(), &query("终15")).await;
    assert_eq!(found.hits.len(), 1);
    let snippet = &found.hits[0].snippet;
    assert!(snippet.text.starts_with('…') && snippet.text.ends_with("终15") && snippet.text.chars().count() <= 161);
}

/// Texts from before there were any are taken up in steps, whatever is placed, edited or taken back meanwhile, and a step
/// that is done twice does nothing. `forget`: makes the database one from before.
pub async fn texts_from_before_are_taken_up(stores: &Stores, forget: impl AsyncFn()) {
    let mut chat = Chat::new(stores).await;
    let mut places = Vec::new();
    for number in 0..12 {
        places.push(chat.says(&format!("history {number}")).await);
    }
    let begun = chat.row(0, MessageKind::STREAM, bodies::stream("stream of hist"));
    let stream = commit(stores, vec![begun]).await[0].seq.0;
    chat.does(MessageKind::APPEND, stream, "ory").await;
    chat.does(MessageKind::EDIT, places[1], "history, edited before").await;
    chat.does(MessageKind::RECALL, places[2], "").await;
    retain(stores, chat.lane.conversation, places[0]).await;
    forget().await;
    let (one, two) = (chat.says("history goes on").await, places.len() - 1);
    chat.does(MessageKind::EDIT, places[two], "history, edited since").await;
    chat.does(MessageKind::APPEND, stream, " in words").await;
    let known = |places: &[u64]| places.iter().rev().copied().collect::<Vec<_>>();
    assert_eq!(chat.found("history").await, known(&[places[two], stream, one]), "what is said is found at once");
    let mut steps = 0;
    while stores.search.take_up(4).await.expect("the store answers") {
        steps += 1;
        match steps {
            1 => chat.does(MessageKind::EDIT, places[9], "history, edited meanwhile").await,
            2 => chat.does(MessageKind::RECALL, places[10], "").await,
            _ => {}
        }
        assert!(steps < 100, "it ends");
    }
    assert!(steps > 2, "in small steps");
    assert!(!stores.search.take_up(4).await.expect("answers"), "it is done");
    let mut expected: Vec<u64> =
        places.iter().copied().filter(|at| ![places[0], places[2], places[10]].contains(at)).collect();
    expected.extend([stream, one]);
    assert_eq!(chat.found("history").await, known(&expected));
    assert_eq!(chat.found("edited").await, [places[two], places[9], places[1]]);
    assert_eq!(chat.found("\"stream of history in words\"").await, [stream]);
    forget().await;
    while stores.search.take_up(3).await.expect("the store answers") {}
    assert_eq!(chat.found("history").await, known(&expected), "and from the beginning the same");
}

/// Two take texts up while messages are edited, taken back and said: in the end each is found by what it says now, and
/// nothing of what was taken back.
pub async fn texts_are_taken_up_while_messages_change(stores: &Stores, forget: impl AsyncFn()) {
    let mut chat = Chat::new(stores).await;
    let mut places = Vec::new();
    for _ in 0..8 {
        let rows: Vec<_> = (0..25).map(|_| chat.row(0, MessageKind::TEXT, bodies::text("early version"))).collect();
        places.extend(commit(stores, rows).await.into_iter().map(|row| row.seq.0));
    }
    forget().await;
    let conversation = chat.lane.conversation;
    let taking_up = async {
        while stores.search.take_up(3).await.expect("the store answers") {
            tokio::task::yield_now().await;
        }
    };
    let again = async { while stores.search.take_up(2).await.expect("the store answers") {} };
    let changing = async {
        let (mut edited, mut gone) = (BTreeSet::new(), BTreeSet::new());
        for (index, place) in places.iter().enumerate() {
            match index % 5 {
                0 => {
                    chat.does(MessageKind::EDIT, *place, "late version").await;
                    edited.insert(*place);
                }
                1 => {
                    chat.does(MessageKind::RECALL, *place, "").await;
                    gone.insert(*place);
                }
                _ => {}
            }
        }
        (edited, gone)
    };
    let ((), (), (edited, gone)) = tokio::join!(taking_up, again, changing);
    let here = |typed: &str| SearchQuery { conversation: Some(conversation), ..query(typed) };
    let found = async |typed: &str| {
        let hits = all(stores, chat.one(), &here(typed), 100).await;
        hits.into_iter().map(|hit| hit.seq.0).collect::<BTreeSet<_>>()
    };
    assert_eq!(found("late").await, edited);
    let expected = places.iter().copied().filter(|place| !edited.contains(place) && !gone.contains(place));
    assert_eq!(found("early").await, expected.collect());
}

/// What is not kept leaves no text, whether or not somebody would see it. `texts`: how many there are.
pub async fn what_is_not_kept_leaves_no_text(stores: &Stores, texts: impl AsyncFn() -> i64) {
    let mut chat = Chat::new(stores).await;
    let mut places = Vec::new();
    for number in 0..8 {
        let row = chat.row(number % 2, MessageKind::TEXT, bodies::text("keep this"));
        places.push(commit(stores, vec![row]).await[0].seq.0);
    }
    assert_eq!(texts().await, 8);
    retain(stores, chat.lane.conversation, places[3]).await;
    assert_eq!(texts().await, 7, "with the body at the floor");
    sweep_all(stores, chat.lane.conversation).await;
    assert_eq!(texts().await, 4, "with the rows below it");
    chat.does(MessageKind::RECALL, places[4], "").await;
    assert_eq!(texts().await, 3);
    stores.keeping.erase(chat.one()).await.expect("answers");
    while stores.keeping.erase_some(chat.one(), 3).await.expect("answers").more {}
    assert_eq!(texts().await, 2, "the other's");
}
