//! A client against a server that misbehaves on demand, over real sockets.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tokio::time::timeout;
use whimbrel_client::testing::{Answering, FakeServer};
use whimbrel_client::{
    Client, ClientBuilder, Closed, ConnectionState, Content, ConversationId, Error, Event, Events, FirstSync,
    GoodbyeCode, Outcome, Seq, StoredMessage, UserId,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct House {
    server: FakeServer,
    alice: UserId,
    bob: UserId,
    chat: ConversationId,
}

impl House {
    async fn new() -> Self {
        let server = FakeServer::start().await;
        let (alice, bob, chat) = server.friends("alice", "bob");
        Self { server, alice, bob, chat }
    }

    fn builder(&self, user: UserId) -> ClientBuilder {
        Client::builder(&self.server.api_url(), &self.server.server())
            .credentials(self.server.credentials(user))
            .first_sync(FirstSync::Everything)
    }

    async fn online(&self, user: UserId) -> (Client, Events) {
        online(self.builder(user)).await
    }
}

async fn online(builder: ClientBuilder) -> (Client, Events) {
    let (client, events) = builder.connect().await.unwrap();
    timeout(PATIENCE, client.wait_online()).await.expect("online in time").unwrap();
    (client, events)
}

async fn find<T>(events: &mut Events, mut pick: impl FnMut(Event) -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = pick(events.next().await.expect("the client lives")) {
                return found;
            }
        }
    };
    timeout(PATIENCE, search).await.expect("the event comes")
}

/// The texts of the next `count` messages, with their places.
async fn texts(events: &mut Events, count: usize) -> Vec<(u64, String)> {
    let mut texts = Vec::new();
    while texts.len() < count {
        let message = find(events, |event| match event {
            Event::Message(message) => Some(message),
            _ => None,
        })
        .await;
        texts.push((message.seq.0, said(&message)));
    }
    texts
}

fn said(message: &StoredMessage) -> String {
    match &message.content {
        Content::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn run(texts: &[&str]) -> Vec<(u64, String)> {
    texts.iter().enumerate().map(|(n, text)| (n as u64 + 1, (*text).to_owned())).collect()
}

async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !reached().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

/// Both ways, with receipts: the peer's cursors, the unread count, and the answer.
#[tokio::test]
async fn two_people_chat_with_receipts() {
    let house = House::new().await;
    let (a, mut a_events) = house.online(house.alice).await;
    let (b, mut b_events) = house.online(house.bob).await;
    let id = a.send_text(house.chat, "hello").await.unwrap();
    let Outcome::Sent { seq, .. } = timeout(PATIENCE, a.sent(house.chat, id)).await.unwrap().unwrap() else { panic!() };
    assert_eq!(seq, Seq(1));
    assert_eq!(texts(&mut b_events, 1).await, run(&["hello"]));
    find(&mut b_events, |event| matches!(event, Event::Unread { unread: 1, .. }).then_some(())).await;
    b.mark_read(house.chat, seq).await.unwrap();
    timeout(PATIENCE, b.advanced(house.chat, seq)).await.unwrap().unwrap();
    find(&mut b_events, |event| matches!(event, Event::Unread { unread: 0, .. }).then_some(())).await;
    let read = |event| match event {
        Event::Receipt { cursors, user, .. } => (cursors.read == seq).then_some(user),
        _ => None,
    };
    assert_eq!(find(&mut a_events, read).await, house.bob);
    let summary = a.conversations().await.unwrap().remove(0);
    assert_eq!((summary.peer_name.as_str(), summary.unread, summary.peer_cursors.read), ("bob", 0, seq));
    assert_eq!(a.outbox_len().await.unwrap(), 0);
}

/// The second message is placed and delivered to nobody, the third is: it must not be stored before the second.
#[tokio::test]
async fn a_gap_is_filled_by_sync_and_a_duplicate_is_dropped() {
    let house = House::new().await;
    let (_b, mut events) = house.online(house.bob).await;
    let one = house.server.say(house.chat, house.alice, "one");
    house.server.say_unheard(house.chat, house.alice, "two");
    let three = house.server.say(house.chat, house.alice, "three");
    house.server.deliver(&one);
    house.server.deliver(&three);
    house.server.say(house.chat, house.alice, "four");
    assert_eq!(texts(&mut events, 4).await, run(&["one", "two", "three", "four"]));
}

#[tokio::test]
async fn what_was_missed_comes_in_pages_and_before_what_is_live() {
    let house = House::new().await;
    house.server.limit_sync(7);
    for n in 1..=40 {
        house.server.say_unheard(house.chat, house.alice, &n.to_string());
    }
    let (b, mut events) = house.builder(house.bob).connect().await.unwrap();
    house.server.say(house.chat, house.alice, "41");
    let seqs: Vec<u64> = texts(&mut events, 41).await.into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(seqs, (1..=41).collect::<Vec<_>>());
    until("delivered", async || house.server.cursors(house.chat, house.bob).delivered == Seq(41)).await;
    drop(b);
}

/// The first Send is answered RETRY, and the connection breaks before the second is answered: three Sends, one id, one
/// ciphertext, one place.
#[tokio::test]
async fn a_resend_keeps_id_and_ciphertext() {
    let house = House::new().await;
    let (a, mut events) = house.online(house.alice).await;
    let retry = Answering::With(whimbrel_core::Outcome::Retry { after_ms: 100 });
    house.server.answer_next([retry, Answering::Silently]);
    let began = tokio::time::Instant::now();
    let id = a.send_text(house.chat, "once").await.unwrap();
    until("the second Send", async || house.server.sends().len() == 2).await;
    assert!(began.elapsed() >= Duration::from_millis(100), "the hint was honoured");
    house.server.disconnect();
    let outcome = timeout(PATIENCE, a.sent(house.chat, id)).await.unwrap().unwrap();
    assert!(matches!(outcome, Outcome::Sent { seq: Seq(1), .. }));
    let sends = house.server.sends();
    assert!(sends.iter().all(|(_, drafts)| *drafts == sends[0].1), "{sends:?}");
    assert_eq!(house.server.messages(house.chat).len(), 1);
    assert_eq!(texts(&mut events, 1).await, run(&["once"]));
}

#[tokio::test]
async fn an_own_message_that_is_delivered_is_its_sent() {
    let house = House::new().await;
    let (a, mut events) = house.online(house.alice).await;
    house.server.answer_next([Answering::ByDelivery]);
    let id = a.send_text(house.chat, "mine").await.unwrap();
    let outcome = timeout(PATIENCE, a.sent(house.chat, id)).await.unwrap().unwrap();
    assert!(matches!(outcome, Outcome::Sent { seq: Seq(1), .. }));
    assert_eq!(a.outbox_len().await.unwrap(), 0);
    assert_eq!(texts(&mut events, 1).await, run(&["mine"]));
}

/// SENT tells a place beyond the cursor: the message before it was never delivered, and is asked for.
#[tokio::test]
async fn a_sent_beyond_the_cursor_asks_for_what_is_before_it() {
    let house = House::new().await;
    let (a, mut events) = house.online(house.alice).await;
    house.server.say_unheard(house.chat, house.bob, "unheard");
    a.send_text(house.chat, "mine").await.unwrap();
    assert_eq!(texts(&mut events, 2).await, run(&["unheard", "mine"]));
}

#[tokio::test]
async fn conflict_and_refusal_remove_the_draft_and_are_told() {
    let house = House::new().await;
    let (a, _events) = house.online(house.alice).await;
    let refused = whimbrel_core::Outcome::Refused(whimbrel_core::Refusal::Blocked);
    house.server.answer_next([Answering::With(refused), Answering::With(whimbrel_core::Outcome::Conflict)]);
    let first = a.send_text(house.chat, "no").await.unwrap();
    assert_eq!(a.sent(house.chat, first).await.unwrap(), Outcome::Refused(whimbrel_core::Refusal::Blocked));
    let second = a.send_text(house.chat, "no").await.unwrap();
    assert_eq!(a.sent(house.chat, second).await.unwrap(), Outcome::Conflict);
    assert_eq!(a.outbox_len().await.unwrap(), 0);
}

/// Five messages are stored; the server is restored to three and goes on with another fourth. The run starts again.
#[tokio::test]
async fn a_restored_server_resets_the_conversation() {
    let house = House::new().await;
    let (b, mut events) = house.online(house.bob).await;
    for n in 1..=5 {
        house.server.say(house.chat, house.alice, &n.to_string());
    }
    texts(&mut events, 5).await;
    house.server.restore(house.chat, Seq(3));
    house.server.say_unheard(house.chat, house.alice, "another 4");
    house.server.disconnect();
    let reset = |event| match event {
        Event::ConversationReset { conversation } => Some(conversation),
        _ => None,
    };
    assert_eq!(find(&mut events, reset).await, house.chat);
    assert_eq!(texts(&mut events, 4).await, run(&["1", "2", "3", "another 4"]));
    let stored: Vec<_> = b.messages(house.chat, Seq::ZERO, 100).await.unwrap().iter().map(said).collect();
    assert_eq!(stored, ["1", "2", "3", "another 4"]);
}

#[tokio::test]
async fn a_device_below_the_floor_jumps() {
    let house = House::new().await;
    let (b, mut events) = house.online(house.bob).await;
    house.server.say(house.chat, house.alice, "1");
    texts(&mut events, 1).await;
    for n in 2..=9 {
        house.server.say_unheard(house.chat, house.alice, &n.to_string());
    }
    house.server.forget(house.chat, Seq(6));
    house.server.disconnect();
    let seqs: Vec<u64> = texts(&mut events, 3).await.into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(seqs, [7, 8, 9]);
    assert_eq!(b.messages(house.chat, Seq::ZERO, 100).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_replaced_client_does_not_come_back() {
    let house = House::new().await;
    let credentials = house.server.credentials(house.bob);
    let (first, _first_events) = online(house.builder(house.bob).credentials(credentials.clone())).await;
    let (second, _second_events) = online(house.builder(house.bob).credentials(credentials)).await;
    until("closed", async || matches!(first.state(), ConnectionState::Closed { .. })).await;
    assert_eq!(first.state(), ConnectionState::Closed { why: Closed::Goodbye(GoodbyeCode::REPLACED) });
    assert_eq!(second.state(), ConnectionState::Online);
    assert_eq!(house.server.counts().hellos, 2);
    let error = first.send_text(house.chat, "too late").await.unwrap_err();
    assert!(matches!(error, Error::Closed(Closed::Goodbye(GoodbyeCode::REPLACED))), "{error}");
}

/// The server asks for 600 ms; the next Hello comes after them and not before.
#[tokio::test]
async fn a_goodbyes_hint_is_honoured() {
    let house = House::new().await;
    let (client, _events) = house.online(house.bob).await;
    let began = tokio::time::Instant::now();
    house.server.goodbye(GoodbyeCode::MOVING, 600);
    until("a second Hello", async || house.server.counts().hellos == 2).await;
    assert!(began.elapsed() >= Duration::from_millis(600));
    timeout(PATIENCE, client.wait_online()).await.unwrap().unwrap();
}

/// The token is refused: it is refreshed, and the new refresh token is in the store.
#[tokio::test]
async fn an_expired_token_is_refreshed_and_the_new_one_is_saved() {
    let house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bob.whimbrel");
    house.server.refuse_next(GoodbyeCode::TOKEN_EXPIRED, 0);
    let given = house.server.credentials(house.bob);
    let (client, _events) = online(house.builder(house.bob).credentials(given.clone()).store_file(&file)).await;
    assert_eq!(house.server.counts().refreshes, 1);
    let fresh = client.credentials().to_exposed();
    assert!(fresh.refresh_token != given.to_exposed().refresh_token);
    client.close().await;
    // The builder has the old ones, whose refresh token is used up; the store has the new ones.
    house.server.refuse_next(GoodbyeCode::TOKEN_EXPIRED, 0);
    let builder = Client::builder(&house.server.api_url(), &house.server.server()).store_file(&file);
    let (client, _events) = online(builder).await;
    assert_eq!(house.server.counts().refreshes, 2);
    client.close().await;
}

#[tokio::test]
async fn a_refused_refresh_logs_in_again_or_ends() {
    let house = House::new().await;
    house.server.refuse_refreshes(2);
    let (client, _events) = online(house.builder(house.bob).password("bob", "secret")).await;
    house.server.refuse_next(GoodbyeCode::TOKEN_EXPIRED, 0);
    house.server.disconnect();
    until("logged in again", async || house.server.counts().logins == 1).await;
    timeout(PATIENCE, client.wait_online()).await.unwrap().unwrap();

    house.server.refuse_next(GoodbyeCode::TOKEN_EXPIRED, 0);
    let (other, _events) = house.builder(house.alice).connect().await.unwrap();
    let error = timeout(PATIENCE, other.wait_online()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed(Closed::LoggedOut)), "{error}");
}

/// The message is sealed with a key that came after the client had fetched the relation. It is shown once, opened, and
/// in its place before the one that follows.
#[tokio::test]
async fn a_message_under_an_unknown_key_is_shown_once_when_the_key_came() {
    let house = House::new().await;
    let (_b, mut events) = house.online(house.bob).await;
    house.server.say(house.chat, house.alice, "old key");
    house.server.add_key(house.chat);
    house.server.say(house.chat, house.alice, "new key");
    house.server.say(house.chat, house.alice, "and more");
    assert_eq!(texts(&mut events, 3).await, run(&["old key", "new key", "and more"]));
}

/// REST answers nothing while the client runs, so the message is stored, acknowledged and held back; the client closes.
/// The next one on the file shows it, once.
#[tokio::test]
async fn what_was_held_back_is_shown_by_the_next_client() {
    let house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    let credentials = house.server.credentials(house.bob);
    let build = || house.builder(house.bob).credentials(credentials.clone()).store_file(folder.path().join("bob"));
    let (client, mut events) = online(build()).await;
    house.server.fail_relations(true);
    house.server.add_key(house.chat);
    house.server.say(house.chat, house.alice, "held back");
    until("stored", async || client.messages(house.chat, Seq::ZERO, 9).await.unwrap().len() == 1).await;
    client.close().await;
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::Message(_)), "{event:?}");
    }
    house.server.fail_relations(false);
    let (client, mut events) = online(build()).await;
    assert_eq!(texts(&mut events, 1).await, run(&["held back"]));
    client.close().await;
    let (client, mut events) = online(build()).await;
    client.close().await;
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::Message(_)), "{event:?}");
    }
}

/// Nothing is known of the pair when both clients start: the request, the friendship, the key and the first message
/// come while they run.
#[tokio::test]
async fn people_become_friends_and_write_at_once() {
    let server = FakeServer::start().await;
    let rest = whimbrel_client::Rest::new(&server.api_url()).unwrap();
    let info = whimbrel_client::DeviceInfo::default();
    let (a, b) = (rest.register("ann", "x", &info).await.unwrap(), rest.register("ben", "x", &info).await.unwrap());
    let build = |credentials| Client::builder(&server.api_url(), &server.server()).credentials(credentials);
    let (ann, _ann_events) = online(build(a)).await;
    let (ben, mut ben_events) = online(build(b)).await;
    ann.rest().request_friend(ben.user(), "hi").await.unwrap();
    find(&mut ben_events, |event| matches!(event, Event::RelationChanged(_)).then_some(())).await;
    let relation = ben.rest().accept(ann.user()).await.unwrap();
    let chat = relation.conversation.unwrap();
    // The answer of REST is ahead of the row that tells ben's own client.
    timeout(PATIENCE, ben.send_text(chat, "hello ann")).await.unwrap().unwrap();
    until("ann knows", async || ann.conversation_with(ben.user()).await.unwrap() == Some(chat)).await;
    timeout(PATIENCE, ann.send_text(chat, "hello ben")).await.unwrap().unwrap();
    assert_eq!(texts(&mut ben_events, 2).await.len(), 2);
    let nowhere = ConversationId::generate();
    assert!(matches!(timeout(PATIENCE, ann.send_text(nowhere, "?")).await.unwrap(), Err(Error::NoKey(_))));
}

/// Two devices of one user: an own message of the one is on the other and is not unread; reading on the one reads on
/// the other.
#[tokio::test]
async fn devices_of_one_user_are_in_step() {
    let house = House::new().await;
    let (phone, _phone_events) = house.online(house.bob).await;
    let (laptop, mut laptop_events) = house.online(house.bob).await;
    let id = phone.send_text(house.chat, "from the phone").await.unwrap();
    timeout(PATIENCE, phone.sent(house.chat, id)).await.unwrap().unwrap();
    house.server.say(house.chat, house.alice, "for both");
    assert_eq!(texts(&mut laptop_events, 2).await, run(&["from the phone", "for both"]));
    find(&mut laptop_events, |event| matches!(event, Event::Unread { unread: 1, .. }).then_some(())).await;
    until("the phone has it", async || phone.conversations().await.unwrap()[0].head == Seq(2)).await;
    phone.mark_read(house.chat, Seq(2)).await.unwrap();
    find(&mut laptop_events, |event| matches!(event, Event::Unread { unread: 0, .. }).then_some(())).await;
    assert_eq!(laptop.conversations().await.unwrap()[0].own.read, Seq(2));
    // What travels in one's private conversation is no chat: no message, no receipt.
    house.server.add_key(house.chat);
    find(&mut laptop_events, |event| match event {
        Event::RelationChanged(_) => Some(()),
        Event::Message(StoredMessage { conversation, .. }) | Event::Receipt { conversation, .. } => {
            assert_eq!(conversation, house.chat);
            None
        }
        _ => None,
    })
    .await;
    phone.close().await;
    laptop.close().await;
    while let Some(event) = laptop_events.next().await {
        assert!(!matches!(event, Event::Receipt { conversation, .. } if conversation != house.chat), "{event:?}");
    }
}

/// A draft that was taken while there was no server is sent by the next client on the same file; the file of one
/// device is not another's.
#[tokio::test]
async fn a_file_keeps_the_outbox_and_belongs_to_one_device() {
    let house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alice.whimbrel");
    let credentials = house.server.credentials(house.alice);
    let build = || house.builder(house.alice).credentials(credentials.clone()).store_file(&file);
    let (client, _events) = online(build()).await;
    house.server.answer_next([Answering::With(whimbrel_core::Outcome::Retry { after_ms: 60_000 })]);
    let id = client.send_text(house.chat, "later").await.unwrap();
    until("sent once", async || house.server.sends().len() == 1).await;
    client.close().await;
    let (client, mut events) = online(build()).await;
    let outcome = timeout(PATIENCE, client.sent(house.chat, id)).await.unwrap().unwrap();
    assert!(matches!(outcome, Outcome::Sent { seq: Seq(1), .. }));
    assert_eq!(texts(&mut events, 1).await, run(&["later"]));
    client.close().await;
    let other = house.builder(house.bob).store_file(&file).connect().await.err().expect("refused");
    assert!(other.to_string().contains("store"), "{other}");
}

/// A small queue and nobody who listens: the driver goes on, and the application is told how much it missed.
#[tokio::test]
async fn a_slow_application_lags_and_finds_everything_in_the_store() {
    let house = House::new().await;
    let (b, mut events) = online(house.builder(house.bob).event_capacity(4)).await;
    for n in 1..=50 {
        house.server.say(house.chat, house.alice, &n.to_string());
    }
    until("stored", async || b.messages(house.chat, Seq::ZERO, 100).await.unwrap().len() == 50).await;
    let missed = find(&mut events, |event| match event {
        Event::Lagged { missed } => Some(missed),
        _ => None,
    })
    .await;
    assert!(missed >= 40, "{missed}");
}
