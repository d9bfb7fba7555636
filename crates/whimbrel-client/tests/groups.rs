//! Groups, what is done to earlier messages, settings and signals, between clients over real sockets.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tokio::time::timeout;
use whimbrel_client::testing::FakeServer;
use whimbrel_client::{
    Client, ClientBuilder, Content, ConversationId, ConversationKind, ConversationSummary, Error, Event, Events,
    FirstSync, FollowUp, GroupAction, MessageId, MessageKind, NewGroup, Outcome, Outgoing, Pictured, Seq, UserId,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct House {
    server: FakeServer,
    alice: UserId,
    bob: UserId,
    carol: UserId,
    chat: ConversationId,
}

impl House {
    async fn new() -> Self {
        let server = FakeServer::start().await;
        let (alice, bob, chat) = server.friends("alice", "bob");
        let (carol, _, _) = server.friends("carol", "dave");
        Self { server, alice, bob, carol, chat }
    }

    fn builder(&self, user: UserId) -> ClientBuilder {
        Client::builder(&self.server.api_url(), &self.server.server())
            .credentials(self.server.credentials(user))
            .first_sync(FirstSync::Everything)
    }

    async fn online(&self, user: UserId) -> (Client, Events) {
        let (client, events) = self.builder(user).connect().await.unwrap();
        timeout(PATIENCE, client.wait_online()).await.expect("online in time").unwrap();
        (client, events)
    }
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

async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !reached().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

async fn sent(client: &Client, conversation: ConversationId, id: MessageId) -> Seq {
    match timeout(PATIENCE, client.sent(conversation, id)).await.unwrap().unwrap() {
        Outcome::Sent { seq, .. } => seq,
        other => panic!("{other:?}"),
    }
}

async fn row(client: &Client, id: ConversationId) -> ConversationSummary {
    client.conversations().await.unwrap().into_iter().find(|row| row.id == id).expect("it is listed")
}

async fn seen(client: &Client, id: ConversationId) -> Vec<Pictured> {
    client.picture(id, Seq::ZERO, 100).await.unwrap()
}

/// The lines of people.
async fn lines(client: &Client, id: ConversationId) -> Vec<String> {
    let items = seen(client, id).await.into_iter().filter(|item| item.kind.is_countable());
    items.map(|item| item.content.line()).collect()
}

/// The group is there for its maker to send to at once, and for its members by itself.
#[tokio::test]
async fn people_talk_in_a_group() {
    let house = House::new().await;
    let (a, _a_events) = house.online(house.alice).await;
    let (b, mut b_events) = house.online(house.bob).await;
    let group = a.create_group(&NewGroup::named("Walkers", [house.bob])).await.unwrap();
    let id = a.send_text(group.id, "Sunday?").await.unwrap();
    let seq = sent(&a, group.id, id).await;
    let message = find(&mut b_events, |event| match event {
        Event::Message(message) if message.kind == MessageKind::TEXT => Some(message),
        _ => None,
    });
    assert_eq!(message.await.text(), Some("Sunday?"));
    until("the group is known", async || b.group(group.id).is_some()).await;
    let listed = row(&b, group.id).await;
    assert_eq!((listed.kind, listed.title.as_str(), listed.unread), (ConversationKind::Group, "Walkers", 1));
    b.mark_read(group.id, seq).await.unwrap();
    until("the count is 0", async || row(&b, group.id).await.unread == 0).await;
    let items = seen(&b, group.id).await;
    assert!(matches!(items[0].content, Content::System { kind: MessageKind::GROUP, .. }), "{items:?}");
}

/// Who is sent away sees the row that says so and nothing after it; the others go on with a new key.
#[tokio::test]
async fn who_is_sent_away_hears_nothing_more_and_sends_nothing() {
    let house = House::new().await;
    let group = house.server.group("Walkers", house.alice, &[house.bob, house.carol]);
    let (a, _a_events) = house.online(house.alice).await;
    let (b, _b_events) = house.online(house.bob).await;
    let (c, _c_events) = house.online(house.carol).await;
    a.act_in_group(group, &GroupAction::Remove(house.bob)).await.unwrap();
    until("bob knows", async || b.group(group).is_some_and(|info| !info.is_member())).await;
    assert!(matches!(b.send_text(group, "hello?").await, Err(Error::NotInGroup(_))));
    house.server.say(group, house.alice, "without bob");
    until("carol reads it", async || lines(&c, group).await == ["without bob"]).await;
    until("alice knows the key", async || lines(&a, group).await == ["without bob"]).await;
    let late = house.online(house.bob).await.0;
    for device in [&b, &late] {
        assert_eq!(lines(device, group).await, [""; 0]);
        assert_eq!(device.messages(group, Seq::ZERO, 9).await.unwrap().last().unwrap().seq, Seq(2));
    }
}

/// The message comes before its key can be had: it waits, and what comes after it waits behind it.
#[tokio::test]
async fn a_message_of_a_group_waits_for_its_key() {
    let house = House::new().await;
    let group = house.server.group("Walkers", house.alice, &[house.bob, house.carol]);
    let (b, mut events) = house.online(house.bob).await;
    house.server.fail_relations(true);
    house.server.remove(group, house.carol, house.carol);
    house.server.say(group, house.alice, "one");
    house.server.say(group, house.alice, "two");
    until("both are stored", async || b.messages(group, Seq::ZERO, 9).await.unwrap().len() == 4).await;
    house.server.fail_relations(false);
    let mut shown = Vec::new();
    while shown.len() < 2 {
        shown.push(
            find(&mut events, |event| match event {
                Event::Message(message) if message.kind == MessageKind::TEXT => Some(message.content),
                _ => None,
            })
            .await,
        );
    }
    assert_eq!(shown, [Content::Text("one".into()), Content::Text("two".into())]);
}

/// Alice edits, reacts to and takes back; Bob's live device and one that comes late see the same, and the live one's
/// store holds nothing of what was taken back.
#[tokio::test]
async fn what_is_done_to_messages_is_seen_live_and_late() {
    let house = House::new().await;
    let (a, _a_events) = house.online(house.alice).await;
    let (b, mut events) = house.online(house.bob).await;
    let mut places = Vec::new();
    for text in ["helo", "secret", "fine"] {
        let id = a.send_text(house.chat, text).await.unwrap();
        places.push(sent(&a, house.chat, id).await);
    }
    let fix = a.edit(house.chat, places[0], Outgoing::text("hello").mentioning([house.bob])).await.unwrap();
    a.edit(house.chat, places[1], Content::Text("more secret".into())).await.unwrap();
    sent(&a, house.chat, fix).await;
    let react = b.react(house.chat, places[2], "👍").await.unwrap();
    sent(&b, house.chat, react).await;
    let recall = a.recall(house.chat, places[1]).await.unwrap();
    sent(&a, house.chat, recall).await;
    let changed = |event| matches!(event, Event::Changed { seq, .. } if seq == places[1]).then_some(());
    find(&mut events, changed).await;
    until("bob sees it", async || lines(&b, house.chat).await == ["hello", "", "fine"]).await;
    let live = seen(&b, house.chat).await;
    assert_eq!(live[0].edits[0].content, Content::Text("helo".into()));
    assert_eq!(live[1].gone.and_then(|gone| gone.by), Some(house.alice));
    assert_eq!(live[2].reactions[0].users, [house.bob]);
    let (late, _late_events) = house.online(house.bob).await;
    assert_eq!(seen(&late, house.chat).await, live);
    assert_eq!(seen(&a, house.chat).await, live);
    let stored = b.messages(house.chat, Seq::ZERO, 99).await.unwrap();
    assert_eq!(stored, late.messages(house.chat, Seq::ZERO, 99).await.unwrap());
    let nothing_left = stored.iter().filter(|row| {
        row.content == Content::Gone || matches!(row.content, Content::FollowUp { what: FollowUp::Gone, .. })
    });
    assert_eq!(nothing_left.count(), 2, "{stored:?}");
    let sealed = house.server.sends().into_iter().flat_map(|(_, drafts)| drafts);
    let recalls: Vec<_> = sealed.filter(|draft| draft.kind == MessageKind::RECALL).collect();
    assert_eq!((recalls[0].body.len(), recalls[0].key_version), (8, 1));
}

#[tokio::test]
async fn a_stream_grows_on_the_other_side() {
    let house = House::new().await;
    let (a, _a_events) = house.online(house.alice).await;
    let (b, _b_events) = house.online(house.bob).await;
    let id = a.open_stream(house.chat, "Once").await.unwrap();
    let seq = sent(&a, house.chat, id).await;
    a.append(house.chat, seq, " upon").await.unwrap();
    until("it grows", async || lines(&b, house.chat).await == ["Once upon"]).await;
    assert!(seen(&b, house.chat).await[0].grows);
    a.finish(house.chat, seq, "Once upon a time").await.unwrap();
    until("it ends", async || lines(&b, house.chat).await == ["Once upon a time"]).await;
    assert!(!seen(&b, house.chat).await[0].grows);
}

/// Its time counts from when it was read. Then it is hidden at once, and its author's device tells the server, so that
/// nothing of it is left there either.
#[tokio::test]
async fn a_fleeting_message_vanishes_once_it_was_read() {
    let house = House::new().await;
    let (a, _a_events) = house.online(house.alice).await;
    let (b, _b_events) = house.online(house.bob).await;
    let inner = Box::new(Content::Text("psst".into()));
    let fleeting = Content::Fleeting { after_ms: 50, once_read: true, content: inner };
    let id = a.send(house.chat, fleeting).await.unwrap();
    let seq = sent(&a, house.chat, id).await;
    until("it is there", async || lines(&b, house.chat).await == ["[fleeting]"]).await;
    b.mark_read(house.chat, seq).await.unwrap();
    until("it is hidden", async || seen(&b, house.chat).await[0].gone.is_some()).await;
    let is_empty = |rows: Vec<whimbrel_core::Message>| rows.iter().any(|row| row.seq == seq && row.body.is_empty());
    until("the server has nothing of it", async || is_empty(house.server.messages(house.chat))).await;
    let by = async |client: &Client| seen(client, house.chat).await[0].gone.and_then(|gone| gone.by);
    until("both know who told", async || by(&a).await == Some(house.alice) && by(&b).await == Some(house.alice)).await;
}

#[tokio::test]
async fn unread_messages_that_call_one_are_counted() {
    let house = House::new().await;
    let group = house.server.group("Walkers", house.alice, &[house.bob, house.carol]);
    let (b, _events) = house.online(house.bob).await;
    let mut last = Seq::ZERO;
    let said = [
        Outgoing::text("not you"),
        Outgoing::text("bob!").mentioning([house.bob]),
        Content::Call("all!".into()).into(),
        Outgoing::text("bob, gone").mentioning([house.bob]),
        Outgoing::text("carol").mentioning([house.carol]),
    ];
    for what in said {
        last = house.server.say_content(group, house.alice, what).seq;
    }
    until("three call", async || row(&b, group).await.mentions == 3).await;
    let recall = Content::FollowUp { target: Seq(last.0 - 1), what: FollowUp::Recall };
    house.server.say_content(group, house.alice, recall);
    until("two are left", async || row(&b, group).await.mentions == 2).await;
    b.mark_read(group, Seq(3)).await.unwrap();
    until("one is left", async || row(&b, group).await.mentions == 1).await;
    assert_eq!(row(&b, group).await.unread, 3);
}

/// Each change holds on the device that makes it as soon as the call returns, on a file over restarts, and on the other
/// device by the row of the private conversation.
#[tokio::test]
async fn how_conversations_are_shown_is_the_same_on_all_devices() {
    let house = House::new().await;
    let group = house.server.group("Walkers", house.alice, &[house.bob]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bob");
    let (one, _one_events) = house.online(house.bob).await;
    let (two, _events) = house.builder(house.bob).store_file(&file).connect().await.unwrap();
    timeout(PATIENCE, two.wait_online()).await.unwrap().unwrap();
    house.server.say(house.chat, house.alice, "old");
    house.server.say(group, house.alice, "newer");
    until("both are there", async || row(&one, house.chat).await.last.is_some()).await;
    one.pin(house.chat, true).await.unwrap();
    one.set_draft(house.chat, "I was going to say").await.unwrap();
    one.mute(group, u64::MAX).await.unwrap();
    assert_eq!(one.conversations().await.unwrap()[0].id, house.chat, "the pinned one is first");
    let draft = Some("I was going to say".to_owned());
    assert_eq!(row(&one, house.chat).await.draft, draft);
    until("the other device knows", async || {
        let (chat, group) = (row(&two, house.chat).await, row(&two, group).await);
        chat.pinned_at > 0 && chat.draft == draft && group.muted_until == u64::MAX
    })
    .await;
    one.delete(house.chat).await.unwrap();
    let cleared = row(&one, house.chat).await;
    assert_eq!((cleared.hidden, cleared.unread), (true, 0));
    assert!(one.messages(house.chat, Seq::ZERO, 9).await.unwrap().is_empty());
    until("it is hidden there too", async || row(&two, house.chat).await.hidden).await;
    assert!(two.messages(house.chat, Seq::ZERO, 9).await.unwrap().is_empty());
    two.close().await;
    let (two, _events) =
        Client::builder(&house.server.api_url(), &house.server.server()).store_file(&file).connect().await.unwrap();
    let shown = row(&two, house.chat).await;
    assert_eq!((shown.hidden, shown.draft, row(&two, group).await.title), (true, draft, "Walkers".into()));
    house.server.say(house.chat, house.alice, "still there?");
    until("it is listed again", async || !row(&two, house.chat).await.hidden).await;
    assert_eq!(lines(&two, house.chat).await, ["still there?"]);
}

#[tokio::test]
async fn who_is_typing_is_told_until_they_have_said_it() {
    let house = House::new().await;
    let (a, _a_events) = house.online(house.alice).await;
    let (_b, mut events) = house.online(house.bob).await;
    a.typing(house.chat, true).await.unwrap();
    let typing = |event| match event {
        Event::Typing { user, typing, .. } => Some((user, typing)),
        _ => None,
    };
    assert_eq!(find(&mut events, typing).await, (house.alice, true));
    a.send_text(house.chat, "there").await.unwrap();
    assert_eq!(find(&mut events, typing).await, (house.alice, false));
    a.signal(house.chat, &b"wave"[..]).await.unwrap();
    let signal = |event| match event {
        Event::Signal { user, data, .. } => Some((user, data)),
        _ => None,
    };
    assert_eq!(find(&mut events, signal).await, (house.alice, bytes::Bytes::from_static(b"wave")));
}
