//! Facts of presence, the same for a single node and for a cluster: each takes the doors through which its people come.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use whimbrel_client::{Error, Event, Presence, PresenceState};
use whimbrel_core::limits::{PRESENCE_EVERY, WATCHED_MAX};
use whimbrel_core::{GoodbyeCode, UserId};
use whimbrel_wire::frame::ClientPayload;
use whimbrel_wire::proto;

use crate::groups::place;
use crate::people::{Device, Person, befriend, friends, people};
use crate::raw::Raw;
use crate::server::Doors;
use crate::wait::{until, within};

pub use PresenceState::{Offline, Online, Unknown};

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Waits until a device that watches them is told that a person is so.
pub async fn told(device: &Device, of: &Person, state: PresenceState) -> Presence {
    let what = format!("{} is {}", of.handle, state.name());
    until(&what, async || device.client.presence(of.user).state == state).await;
    device.client.presence(of.user)
}

/// What REST says of a person to the user of a device.
///
/// # Errors
/// Of the server.
pub async fn asked(device: &Device, of: &Person) -> anyhow::Result<Presence> {
    device.client.rest().presence(&[of.user]).await?.pop().context("one answer")
}

/// What the device was told of a person, in order.
async fn all_told(device: &mut Device, of: &Person) -> Vec<PresenceState> {
    device.look().await;
    let told = device.seen.iter().filter_map(|event| match event {
        Event::Presence(presence) if presence.user == of.user => Some(presence.state),
        _ => None,
    });
    told.collect()
}

/// Somebody with two devices is here until the last of them leaves. The idea: when the first has left, somebody else
/// comes; whoever is told of that would have been told of the other before it.
///
/// # Errors
/// Of the server.
pub async fn a_friend_is_here_until_the_last_device_leaves(
    here: &impl Doors,
    there: &impl Doors,
) -> anyhow::Result<()> {
    let all = people(here, &["anna", "ben", "carol"]).await?;
    let [anna, ben, carol] = &all[..] else { unreachable!("three people") };
    befriend(here, anna, ben).await?;
    befriend(here, anna, carol).await?;
    let mut a = anna.device(here).await?;
    a.client.watch_presence(&[ben.user, carol.user]).await?;
    assert_eq!(told(&a, ben, Offline).await.last_seen, 0, "they never were here");
    assert_eq!(asked(&a, ben).await?.state, Offline);
    let (phone, laptop) = (ben.device(there).await?, ben.device(here).await?);
    told(&a, ben, Online).await;
    assert_eq!(asked(&a, ben).await?.state, Online);
    phone.client.close().await;
    let c = carol.device(there).await?;
    told(&a, carol, Online).await;
    assert_eq!(all_told(&mut a, ben).await, [Offline, Online]);
    let before = now_ms();
    laptop.client.close().await;
    let presence = told(&a, ben, Offline).await;
    // What a connector saw itself, or what is kept: both are of the moment.
    let most = 2 * PRESENCE_EVERY.as_millis() as u64 + 1000;
    assert!(presence.last_seen.abs_diff(before) < most, "{} {before}", presence.last_seen);
    c.client.close().await;
    told(&a, carol, Offline).await;
    assert_eq!(all_told(&mut a, carol).await, [Offline, Online, Offline]);
    // Another session of theirs wishes it anew; one that does not hears nothing.
    a.client.watch_presence(&[]).await?;
    assert_eq!(a.client.presence(ben.user), Presence::unknown(ben.user));
    Ok(())
}

/// A stranger is unknown, however much they are here; a new friend is shown, and one who is none any more, or blocks, is
/// not.
///
/// # Errors
/// Of the server.
pub async fn who_is_no_friend_is_unknown(here: &impl Doors, there: &impl Doors) -> anyhow::Result<()> {
    let all = people(here, &["anna", "ben", "dora", "emil"]).await?;
    let [anna, ben, dora, emil] = &all[..] else { unreachable!("four people") };
    for friend in [ben, emil] {
        befriend(here, anna, friend).await?;
    }
    let (b, d, e) = (ben.device(there).await?, dora.device(here).await?, emil.device(here).await?);
    let a = anna.device(here).await?;
    let nobody = UserId(999_999);
    a.client.watch_presence(&[ben.user, dora.user, emil.user, anna.user, nobody]).await?;
    told(&a, ben, Online).await;
    told(&a, emil, Online).await;
    for stranger in [dora.user, anna.user, nobody] {
        assert_eq!(a.client.presence(stranger), Presence::unknown(stranger));
    }
    befriend(here, anna, dora).await?;
    told(&a, dora, Online).await;
    d.client.rest().remove_friend(anna.user).await?;
    told(&a, dora, Unknown).await;
    e.client.rest().block(anna.user).await?;
    told(&a, emil, Unknown).await;
    a.client.rest().block(ben.user).await?;
    told(&a, ben, Unknown).await;
    for former in [ben, dora, emil] {
        assert_eq!(asked(&a, former).await?, Presence::unknown(former.user));
    }
    drop(b);
    Ok(())
}

/// Who becomes invisible left, for their friends, at that moment; their own devices know; messages come as ever; and they
/// are back when they want.
///
/// # Errors
/// Of the server.
pub async fn who_is_invisible_looks_offline_and_gets_everything(
    here: &impl Doors,
    there: &impl Doors,
) -> anyhow::Result<()> {
    let (anna, ben) = friends(here, "anna", "ben").await?;
    let a = anna.device(here).await?;
    a.client.watch_presence(&[ben.user]).await?;
    let (b, mut other) = (ben.device(there).await?, ben.device(here).await?);
    told(&a, &ben, Online).await;
    other.look().await;
    other.seen.clear();
    let before = now_ms();
    assert!(b.client.set_invisible(true).await?.invisible);
    other.find("the other device is told", |event| matches!(event, Event::AccountChanged).then_some(())).await;
    assert!(other.client.rest().privacy().await?.invisible);
    let hidden = told(&a, &ben, Offline).await;
    assert!((before - 1000..=now_ms()).contains(&hidden.last_seen), "{} {before}", hidden.last_seen);
    let chat = a.with(&ben).await?;
    let id = a.client.send_text(chat, "are you there?").await?;
    let seq = place(&a, chat, id).await;
    crate::groups::stored(&b, chat, seq).await;
    // They leave and come: nothing of it is to be seen.
    other.client.close().await;
    let again = ben.device(here).await?;
    assert_eq!(asked(&a, &ben).await?, hidden);
    again.client.set_invisible(false).await?;
    told(&a, &ben, Online).await;
    Ok(())
}

/// One more than may be watched ends the session with a reason, by REST it is refused by name, and the SDK does not ask.
///
/// # Errors
/// Of the server.
pub async fn more_than_may_be_watched_is_refused(server: &impl Doors) -> anyhow::Result<()> {
    let (anna, ben) = friends(server, "anna", "ben").await?;
    let access = anna.access(server).await?;
    let mut raw = Raw::attach(server.clients(), &access.token, access.device).await?;
    let users = (1..=WATCHED_MAX as u64 + 1).collect();
    raw.send(ClientPayload::Watch(proto::Watch { users })).await?;
    assert_eq!(within("a goodbye", raw.goodbye()).await?, GoodbyeCode::BAD_FIELD.0);
    let a = anna.device(server).await?;
    let many: Vec<UserId> = (1..=WATCHED_MAX as u64 + 1).map(UserId).collect();
    let refused = a.client.watch_presence(&many).await;
    assert!(matches!(refused, Err(Error::TooManyWatched { asked: 201, max: 200 })), "{refused:?}");
    let refused = a.client.rest().presence(&many).await;
    assert_eq!(refused.err().and_then(|error| error.code().map(str::to_owned)).as_deref(), Some("invalid"));
    // As many as may be are watched, whoever they are.
    let mut most = many[..WATCHED_MAX].to_vec();
    most[0] = ben.user;
    a.client.watch_presence(&most).await?;
    told(&a, &ben, Offline).await;
    Ok(())
}

/// Somebody who comes and goes all the time is told once a round at most.
///
/// # Errors
/// Of the server.
pub async fn who_flaps_is_told_once_a_round(here: &impl Doors, there: &impl Doors) -> anyhow::Result<()> {
    let (anna, ben) = friends(here, "anna", "ben").await?;
    let mut a = anna.device(here).await?;
    a.client.watch_presence(&[ben.user]).await?;
    told(&a, &ben, Offline).await;
    let access = ben.access(there).await?;
    let began = Instant::now();
    let mut times = 0;
    while times < 40 || began.elapsed() < 2 * PRESENCE_EVERY {
        drop(Raw::attach(there.clients(), &access.token, access.device).await?);
        times += 1;
    }
    let stays = Raw::attach(there.clients(), &access.token, access.device).await?;
    told(&a, &ben, Online).await;
    let rounds = began.elapsed().as_millis() / PRESENCE_EVERY.as_millis() + 1;
    // Each round tells one change at most, and may put the time right that it told.
    let told = all_told(&mut a, &ben).await.len() as u128 - 1;
    assert!(told <= rounds + 1 && told < times / 4, "{told} events of {times} comings in {rounds} rounds");
    drop(stays);
    Ok(())
}

/// Waits until REST gives a friend who has left a time, and gives it.
///
/// # Errors
/// Of the server.
pub async fn last_seen(device: &Device, of: &Person) -> anyhow::Result<u64> {
    until("last seen is kept", async || {
        asked(device, of).await.is_ok_and(|presence| presence.state == Offline && presence.last_seen > 0)
    })
    .await;
    Ok(asked(device, of).await?.last_seen)
}

/// Waits for a state, and says how long it took.
pub async fn took(device: &Device, of: &Person, state: PresenceState, since: Instant) -> Duration {
    told(device, of, state).await;
    since.elapsed()
}

/// Accounts may be deleted: who is gone is nobody.
///
/// # Errors
/// Of the server.
pub async fn who_is_deleted_is_unknown(server: &impl Doors) -> anyhow::Result<()> {
    let (anna, ben) = friends(server, "anna", "ben").await?;
    let a = anna.device(server).await?;
    a.client.watch_presence(&[ben.user]).await?;
    told(&a, &ben, Offline).await;
    let path = format!("/v1/admin/users/{}", ben.user.0);
    let deleted = reqwest::Client::new().delete(format!("{}{path}", server.api())).bearer_auth(server.admin_key());
    anyhow::ensure!(deleted.send().await?.status().is_success(), "delete {path}");
    told(&a, &ben, Unknown).await;
    Ok(())
}
