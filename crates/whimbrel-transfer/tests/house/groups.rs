//! Groups: rows reach who was in the group at their places, small and large, whoever knows what.
//!
//! Rows are announced as archivers and the API do; the rosters are what the test says the database has.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use whimbrel_core::{
    Audience, ConversationId, CursorMoved, Cursors, DeviceId, Message, MessageId, MessageKind, PlacedRow, Roster,
    RosterChange, Seq, Span, UserId,
};
use whimbrel_rpc::{Announce, PlacedBatch, SessionRef, Through, Told};

use crate::support::{House, config};

/// A group whose timeline is made up here.
struct Crowd {
    id: ConversationId,
    roster: Roster,
    size: u32,
}

impl Crowd {
    /// A group of these, with as many others as make it this size, and a message in it so far.
    fn new(house: &House, members: &[UserId], size: u32) -> Self {
        let others = (0..u64::from(size) - members.len() as u64).map(|number| UserId(1_000_000 + number));
        let span = Span { since: Seq(1), until: Seq::ZERO };
        let all = members.iter().copied().chain(others).map(|user| (user, span)).collect();
        let crowd = Self { id: ConversationId::generate(), roster: Roster::new(Seq(1), all), size };
        crowd.stored(house);
        crowd
    }

    /// The database has it so.
    fn stored(&self, house: &House) {
        house.groups.rosters.lock().insert(self.id, self.roster.clone());
    }

    fn row(&self, seq: u64) -> PlacedRow {
        let audience = Audience::Group { revision: self.roster.revision, size: self.size };
        PlacedRow { message: message(self.id, seq, MessageKind::TEXT), audience, change: None }
    }

    /// A row with which somebody goes or comes.
    fn change(&mut self, house: &House, seq: u64, joined: &[UserId], left: &[UserId]) -> PlacedRow {
        let (after, at) = (self.roster.revision, Seq(seq));
        let change = RosterChange { after, at, joined: joined.to_vec(), left: left.to_vec() };
        assert!(self.roster.apply(&change));
        self.size = self.size + joined.len() as u32 - left.len() as u32;
        self.stored(house);
        let message = message(self.id, seq, MessageKind::GROUP);
        let audience = Audience::Group { revision: at, size: self.size };
        PlacedRow { message, audience, change: Some(Arc::new(change)) }
    }
}

fn message(conversation: ConversationId, seq: u64, kind: MessageKind) -> Message {
    Message {
        conversation,
        seq: Seq(seq),
        sender: UserId(1),
        device: DeviceId::from_bytes([9; 16]),
        message_id: MessageId::generate(),
        kind,
        key_version: 1,
        body: bytes::Bytes::from_static(b"x"),
        at: seq,
    }
}

async fn tell(house: &House, transfer: usize, rows: Vec<PlacedRow>) -> Told {
    let batches = vec![PlacedBatch { rows, ..PlacedBatch::default() }];
    house.transfers[transfer].placed(batches, Through::All).await
}

/// What a session heard of the group, as it came.
fn heard(house: &House, session: SessionRef, group: ConversationId) -> Vec<u64> {
    let holds = |at: &&usize| house.connectors[**at].1.standing().iter().any(|held| held.session == session);
    let at = [0, 1].iter().find(holds).copied().unwrap_or(0);
    house.connectors[at].1.look(session.session, |got| got.places(group))
}

/// Ann at the first connector, Bob at the second.
async fn apart() -> (House, SessionRef, SessionRef) {
    let house = House::cluster();
    let users = house.users(2).await;
    let (ann, bob) = (house.session(users[0]).await, house.session_there(users[1]).await);
    (house, ann, bob)
}

#[tokio::test]
async fn a_small_groups_members_are_found_wherever_they_are_and_the_others_are_offline() {
    let (house, ann, bob) = apart().await;
    let crowd = Crowd::new(&house, &[ann.user, bob.user], 4);
    let told = tell(&house, 0, vec![crowd.row(2), crowd.row(3)]).await;
    assert_eq!(told, Told { offline: vec![UserId(1_000_000), UserId(1_000_001)], ..Told::default() });
    assert_eq!([heard(&house, ann, crowd.id), heard(&house, bob, crowd.id)], [vec![2, 3], vec![2, 3]]);
    tell(&house, 0, vec![crowd.row(4)]).await;
    assert_eq!(house.groups.reads.load(Ordering::Acquire), 1, "the roster is remembered");
}

/// The removal was told first, and then what was placed before it: that is owed, and what comes after is not.
#[tokio::test]
async fn who_was_removed_gets_what_was_said_before_and_nothing_after_in_whatever_order_it_is_told() {
    for (size, removal_first) in [(5, true), (5, false), (500, true), (500, false)] {
        let (house, ann, bob) = apart().await;
        let mut crowd = Crowd::new(&house, &[ann.user, bob.user], size);
        let mut before = vec![vec![crowd.row(2), crowd.row(3)]];
        let removal = vec![crowd.change(&house, 4, &[], &[bob.user])];
        let at = if removal_first { 0 } else { 1 };
        before.insert(at, removal);
        for rows in before {
            assert_eq!(tell(&house, 0, rows).await.unreached, []);
        }
        tell(&house, 0, vec![crowd.row(5)]).await;
        let (mut to_bob, mut to_ann) = (heard(&house, bob, crowd.id), heard(&house, ann, crowd.id));
        to_bob.sort_unstable();
        to_ann.sort_unstable();
        assert_eq!((to_ann, to_bob), (vec![2, 3, 4, 5], vec![2, 3, 4]), "size {size}, removal first: {removal_first}");
    }
}

/// One transfer was told of the join, the other was not and remembers the time before it.
#[tokio::test]
async fn a_transfer_that_has_not_heard_of_a_join_reads_the_roster_again() {
    for size in [5, 500] {
        let (house, ann, bob) = apart().await;
        let mut crowd = Crowd::new(&house, &[ann.user], size);
        tell(&house, 1, vec![crowd.row(2)]).await;
        let join = crowd.change(&house, 3, &[bob.user], &[]);
        tell(&house, 0, vec![join]).await;
        tell(&house, 1, vec![crowd.row(4)]).await;
        assert_eq!(heard(&house, bob, crowd.id), [3, 4], "size {size}");
        assert_eq!(heard(&house, ann, crowd.id), [2, 3, 4]);
    }
}

/// Each connector gets it once and finds the members itself; the first time it lacks the roster, and says so.
#[tokio::test]
async fn a_large_groups_message_goes_to_each_connector_once() {
    let (house, ann, bob) = apart().await;
    let stranger = house.session(house.users_more("eve").await).await;
    let mut crowd = Crowd::new(&house, &[ann.user, bob.user], 101);
    let told = tell(&house, 0, vec![crowd.row(2)]).await;
    assert_eq!(told, Told::default(), "nobody is named as offline");
    let pushes = |at: usize| std::mem::take(&mut *house.connectors[at].1.grouped.lock());
    assert_eq!([pushes(0), pushes(1)], [vec![(2, false), (2, true)], vec![(2, false), (2, true)]]);
    assert_eq!(house.groups.reads.load(Ordering::Acquire), 1, "once for both");
    let join = crowd.change(&house, 3, &[UserId(77)], &[]);
    tell(&house, 0, vec![join, crowd.row(4), crowd.row(5)]).await;
    assert_eq!([pushes(0), pushes(1)], [vec![(3, false), (4, false)], vec![(3, false), (4, false)]]);
    assert_eq!([heard(&house, ann, crowd.id), heard(&house, bob, crowd.id)], [vec![2, 3, 4, 5], vec![2, 3, 4, 5]]);
    assert!(heard(&house, stranger, crowd.id).is_empty());
}

/// Connectors that hold a lease and are out of reach are named, and get it by another transfer.
#[tokio::test]
async fn a_large_groups_message_reaches_connectors_that_another_transfer_reaches() {
    let (house, ann, bob) = apart().await;
    let crowd = Crowd::new(&house, &[ann.user, bob.user], 101);
    let (there, _) = house.connectors[1];
    house.webs[0].cut(there);
    assert_eq!(tell(&house, 0, vec![crowd.row(2)]).await, Told { unreached: vec![there], ..Told::default() });
    assert_eq!([heard(&house, ann, crowd.id), heard(&house, bob, crowd.id)], [vec![2], vec![]]);
    let batches = vec![PlacedBatch { rows: vec![crowd.row(2)], ..PlacedBatch::default() }];
    let told = house.transfers[1].placed(batches, Through::Only(vec![there])).await;
    assert_eq!((told, heard(&house, bob, crowd.id)), (Told::default(), vec![2]));
    assert_eq!(heard(&house, ann, crowd.id), [2], "only there");
}

#[tokio::test]
async fn without_user_status_groups_go_to_every_connector() {
    for size in [5, 500] {
        let (house, ann, bob) = apart().await;
        let crowd = Crowd::new(&house, &[ann.user, bob.user], size);
        house.status.away.store(1_000_000, Ordering::Release);
        let told = tell(&house, 0, vec![crowd.row(2)]).await;
        assert_eq!(told, Told { blind: true, ..Told::default() }, "size {size}");
        assert_eq!([heard(&house, ann, crowd.id), heard(&house, bob, crowd.id)], [vec![2], vec![2]]);
    }
}

/// A small group's row needs the roster: it is looked for until it is there, and if it is not in time, every connector
/// is named, so that nobody misses anything silently.
#[tokio::test]
async fn a_roster_that_cannot_be_read_is_waited_for_and_then_its_connectors_are_named() {
    let roster_timeout = std::time::Duration::from_millis(150);
    let house = House::with(whimbrel_transfer::Config { roster_timeout, ..config() }, 8, 3, 1);
    let user = house.users(1).await[0];
    let ann = house.session(user).await;
    for size in [5, 500] {
        let crowd = Crowd::new(&house, &[ann.user], size);
        house.groups.away.store(1, Ordering::Release);
        assert_eq!(tell(&house, 0, vec![crowd.row(2)]).await.unreached, [], "size {size}");
        assert_eq!(heard(&house, ann, crowd.id), [2]);
        let crowd = Crowd::new(&house, &[ann.user], size);
        house.groups.away.store(1_000_000, Ordering::Release);
        assert_eq!(tell(&house, 0, vec![crowd.row(2)]).await.unreached, [house.connector_id]);
        house.groups.away.store(0, Ordering::Release);
        assert_eq!(tell(&house, 0, vec![crowd.row(2)]).await.unreached, []);
        assert_eq!(heard(&house, ann, crowd.id), [2]);
    }
}

/// What is remembered of a database that went back may be of a time that is no more.
#[tokio::test]
async fn rosters_are_forgotten_when_the_database_was_reached_anew() {
    let (house, ann, bob) = apart().await;
    let crowd = Crowd::new(&house, &[ann.user, bob.user], 5);
    tell(&house, 0, vec![crowd.row(2)]).await;
    house.timeline.connections.fetch_add(1, Ordering::AcqRel);
    tell(&house, 0, vec![crowd.row(3)]).await;
    assert_eq!(house.groups.reads.load(Ordering::Acquire), 2);
}

/// Others ask who has read a message; one's own devices know.
#[tokio::test]
async fn in_groups_cursors_are_told_to_ones_own_devices_only() {
    let (house, ann, bob) = apart().await;
    let tablet = house.session_there(ann.user).await;
    let crowd = Crowd::new(&house, &[ann.user, bob.user], 5);
    let cursors = Cursors { delivered: Seq(2), read: Seq(2) };
    let audience = Audience::Group { revision: Seq(1), size: 5 };
    let moved = vec![CursorMoved { conversation: crowd.id, user: ann.user, cursors, audience }];
    assert_eq!(house.transfer.advanced(moved, Through::All).await, Told::default());
    let receipts = |at: usize, session: SessionRef| {
        house.connectors[at].1.look(session.session, |got| (got.receipts(ann.user).len(), got.durable(crowd.id).len()))
    };
    assert_eq!([receipts(0, ann), receipts(1, tablet), receipts(1, bob)], [(1, 1), (1, 1), (0, 0)]);
}
