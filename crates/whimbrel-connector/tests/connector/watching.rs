//! Sessions that watch: what they are told, and what the transfer is asked.

use whimbrel_connector::Config;
use whimbrel_core::{PresenceState, UserId};
use whimbrel_wire::{ClientPayload, ServerPayload, proto};

use crate::support::*;

const ANNA: UserId = UserId(11);
const BEN: UserId = UserId(12);
const CARL: UserId = UserId(13);

fn quick() -> Config {
    Config { presence_every: ms(20), ..config() }
}

fn watch(users: &[UserId]) -> ClientPayload {
    ClientPayload::Watch(proto::Watch { users: users.iter().map(|user| user.0).collect() })
}

/// The next that a client is told, by user.
async fn told(client: &mut Client) -> Vec<(UserId, PresenceState)> {
    let Some(ServerPayload::Presences(presences)) = client.next().await.payload else { panic!("presences") };
    let told = whimbrel_wire::convert::presences(presences).expect("good ones");
    told.into_iter().map(|presence| (presence.user, presence.state)).collect()
}

use PresenceState::{Offline, Online, Unknown};

/// Two sessions watch three users, one of whom is not to be seen: the answer comes before any round, one question is for
/// all, and only what changes is told after it.
#[tokio::test]
async fn a_watch_is_answered_at_once_and_then_changes_are_told() {
    let slow = Config { presence_every: ms(3_600_000), ..config() };
    let world = World::new(slow).await;
    *world.transfer.here.lock() = Some(vec![ANNA, CARL]);
    *world.transfer.seen.lock() = Some(vec![ANNA, BEN]);
    let mut one = world.log_in().await;
    one.ask(watch(&[ANNA, BEN, CARL])).await;
    assert_eq!(told(&mut one).await, [(ANNA, Online), (BEN, Offline), (CARL, Unknown)]);
    assert_eq!(world.transfer.requests(), 0, "it is no request of a client");

    let world = World::new(quick()).await;
    *world.transfer.here.lock() = Some(vec![ANNA]);
    *world.transfer.seen.lock() = Some(vec![ANNA, BEN]);
    let (mut one, mut two) = (world.log_in().await, world.log_in().await);
    one.ask(watch(&[ANNA, BEN])).await;
    two.ask(watch(&[BEN])).await;
    assert_eq!(told(&mut one).await, [(ANNA, Online), (BEN, Offline)]);
    assert_eq!(told(&mut two).await, [(BEN, Offline)]);
    *world.transfer.here.lock() = Some(vec![ANNA, BEN]);
    assert_eq!(told(&mut one).await, [(BEN, Online)]);
    assert_eq!(told(&mut two).await, [(BEN, Online)]);
    let last = world.transfer.stirrings.lock().last().cloned().expect("a question");
    let mut users = last.users;
    users.sort_unstable();
    assert_eq!(users, [ANNA, BEN], "one question for both");
    assert!(last.since > 0);
}

/// Who may be seen is asked again for those who changed, and for nobody else.
#[tokio::test]
async fn who_is_no_friend_any_more_is_unknown_by_the_next_round() {
    let world = World::new(quick()).await;
    *world.transfer.here.lock() = Some(vec![ANNA, BEN]);
    *world.transfer.seen.lock() = Some(vec![ANNA, BEN]);
    let mut client = world.log_in().await;
    client.ask(watch(&[ANNA, BEN])).await;
    assert_eq!(told(&mut client).await, [(ANNA, Online), (BEN, Online)]);
    *world.transfer.seen.lock() = Some(Vec::new());
    *world.transfer.changed.lock() = vec![BEN];
    assert_eq!(told(&mut client).await, [(BEN, Unknown)]);
    *world.transfer.changed.lock() = vec![ANNA];
    assert_eq!(told(&mut client).await, [(ANNA, Unknown)]);
}

/// The directory away: nobody may be seen yet; it is asked again until it answers. Nobody knows who is where: unknown.
#[tokio::test]
async fn what_nobody_knows_is_unknown_until_somebody_does() {
    let world = World::new(quick()).await;
    *world.transfer.here.lock() = Some(vec![BEN]);
    *world.transfer.seen.lock() = None;
    let mut client = world.log_in().await;
    client.ask(watch(&[BEN])).await;
    assert_eq!(told(&mut client).await, [(BEN, Unknown)]);
    *world.transfer.seen.lock() = Some(vec![BEN]);
    assert_eq!(told(&mut client).await, [(BEN, Online)]);
    *world.transfer.here.lock() = None;
    assert_eq!(told(&mut client).await, [(BEN, Unknown)]);
    *world.transfer.here.lock() = Some(vec![BEN]);
    assert_eq!(told(&mut client).await, [(BEN, Online)]);
}

/// A new wish takes the place of the old one, also by nobody; the transfer is asked nothing once nobody watches, and asked
/// again when somebody does.
#[tokio::test]
async fn the_transfer_is_asked_only_while_somebody_watches() {
    let world = World::new(quick()).await;
    *world.transfer.seen.lock() = Some(vec![ANNA, BEN]);
    let (mut one, mut two) = (world.log_in().await, world.log_in().await);
    one.ask(watch(&[ANNA])).await;
    assert_eq!(told(&mut one).await, [(ANNA, Offline)]);
    one.ask(watch(&[BEN])).await;
    assert_eq!(told(&mut one).await, [(BEN, Offline)]);
    two.ask(watch(&[ANNA])).await;
    assert_eq!(told(&mut two).await, [(ANNA, Offline)]);
    two.ask(watch(&[])).await;
    let asks = || world.transfer.stirrings.lock().last().map(|stirring| stirring.users.clone());
    until("only the other's is asked for", || asks().as_deref() == Some(&[BEN])).await;
    drop(one);
    let before = || world.transfer.stirrings.lock().len();
    until("nobody watches", || world.connector.sessions() == 1).await;
    // Rounds are 20 ms apart: while ten times that passes without one, there is none.
    let mut last = before();
    loop {
        tokio::time::sleep(ms(200)).await;
        if before() == last {
            break;
        }
        last = before();
    }
    *world.transfer.here.lock() = Some(vec![ANNA]);
    two.ask(watch(&[ANNA])).await;
    assert_eq!(told(&mut two).await, [(ANNA, Online)]);
}

/// More than all sessions together may watch: whoever comes too late is told that everybody is unknown, and costs nothing.
#[tokio::test]
async fn what_there_is_no_room_for_is_unknown() {
    let world = World::new(Config { watches_max: 2, ..quick() }).await;
    *world.transfer.here.lock() = Some(vec![ANNA, BEN]);
    *world.transfer.seen.lock() = Some(vec![ANNA, BEN]);
    let (mut one, mut two) = (world.log_in().await, world.log_in().await);
    one.ask(watch(&[ANNA])).await;
    assert_eq!(told(&mut one).await, [(ANNA, Online)]);
    two.ask(watch(&[ANNA, BEN])).await;
    assert_eq!(told(&mut two).await, [(ANNA, Unknown), (BEN, Unknown)]);
    two.ask(watch(&[BEN])).await;
    assert_eq!(told(&mut two).await, [(BEN, Online)]);
}
