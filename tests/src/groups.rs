//! Facts of groups, the same for a single node and for a cluster: each takes the doors through which its people come.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde_json::json;
use whimbrel_client::{Content, Event, GroupAction, NewGroup, Outcome, Outgoing, Pictured, Refusal};
use whimbrel_core::{ConversationId, MessageId, Seq, UserId};

use crate::people::{Device, Person, admin, befriend, people};
use crate::server::Doors;
use crate::wait::{until, within};

/// The first of them makes a group of all of them, who are befriended with that one first.
///
/// # Errors
/// Of the server.
pub async fn group_of(server: &impl Doors, owner: &Device, people: &[Person]) -> anyhow::Result<ConversationId> {
    for person in &people[1..] {
        befriend(server, &people[0], person).await?;
    }
    let new = NewGroup::named("The group", people[1..].iter().map(|person| person.user));
    Ok(owner.client.create_group(&new).await?.id)
}

/// Waits for the answer of a message; its place.
pub async fn place(device: &Device, chat: ConversationId, id: MessageId) -> Seq {
    match outcome(device, chat, id).await {
        Outcome::Sent { seq, .. } => seq,
        other => panic!("instead of SENT: {other:?}"),
    }
}

/// Waits for the answer of a message.
pub async fn outcome(device: &Device, chat: ConversationId, id: MessageId) -> Outcome {
    within("an answer", device.client.sent(chat, id)).await.expect("it is known")
}

/// Waits until the device has stored the row at `seq`.
pub async fn stored(device: &Device, chat: ConversationId, seq: Seq) {
    until(&format!("the row at {seq}"), || async {
        let rows = device.client.messages(chat, Seq(seq.0 - 1), 1).await.expect("the store answers");
        rows.first().is_some_and(|row| row.seq == seq)
    })
    .await;
}

/// What a person sees there, from the first place on.
pub async fn picture(device: &Device, chat: ConversationId) -> Vec<Pictured> {
    device.client.picture(chat, Seq::ZERO, 1000).await.expect("the store answers")
}

/// The idea: three people talk, answer, edit, react and take back, some of it at the same time; a device that was there all
/// the time, one that came in the middle, and one that synced in the end must show one picture.
///
/// # Errors
/// Of the server.
pub async fn live_and_synced_devices_show_one_picture(here: &impl Doors, there: &impl Doors) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea", "cid"]).await?;
    let ada = all[0].device(here).await?;
    let chat = group_of(here, &ada, &all).await?;
    let (bea, cid) = (all[1].device(there).await?, all[2].device(here).await?);
    for device in [&ada, &bea, &cid] {
        stored(device, chat, Seq(1)).await;
    }
    let mut said = Vec::new();
    for number in 0..12 {
        for device in [&ada, &bea, &cid] {
            let id = device.client.send_text(chat, &format!("{number} by {}", device.client.user())).await?;
            said.push((device, id));
        }
    }
    let mut places = Vec::new();
    for (device, id) in &said {
        places.push((*device, place(device, chat, *id).await));
    }
    let late = all[1].device(here).await?;
    let mut last = Seq::ZERO;
    for (number, (device, seq)) in places.iter().enumerate() {
        for other in [&ada, &bea, &cid] {
            stored(other, chat, *seq).await;
        }
        let id = match number % 4 {
            0 => device.client.edit(chat, *seq, Outgoing::text("another text")).await?,
            1 => ada.client.react(chat, *seq, "👍").await?,
            2 => device.client.recall(chat, *seq).await?,
            _ => bea.client.react(chat, *seq, "🎉").await?,
        };
        let by = [device, &ada, device, &bea][number % 4];
        last = last.max(place(by, chat, id).await);
    }
    let fresh = all[2].device(there).await?;
    for device in [&ada, &bea, &cid, &late, &fresh] {
        stored(device, chat, last).await;
    }
    let expected = picture(&ada, chat).await;
    assert_eq!(expected.iter().filter(|item| item.gone.is_some()).count(), 9);
    assert!(expected.iter().filter(|item| item.gone.is_some()).all(|item| item.content == Content::Gone));
    assert_eq!(expected.iter().filter(|item| item.content == Content::Text("another text".into())).count(), 9);
    assert_eq!(expected.iter().filter(|item| !item.reactions.is_empty()).count(), 18);
    for (who, device) in [("Bea", &bea), ("Cid", &cid), ("who came in the middle", &late)] {
        assert_eq!(picture(device, chat).await, expected, "another picture for {who}");
    }
    // Who syncs from zero never gets what was taken back: neither what it said nor what it was edited to.
    let mut synced = picture(&fresh, chat).await;
    for (synced, expected) in synced.iter_mut().zip(&expected) {
        if synced.gone.is_some() {
            synced.edits.clone_from(&expected.edits);
        }
    }
    assert_eq!(synced, expected, "another picture for who synced from zero");
    Ok(())
}

/// The idea: somebody is removed while another one writes as fast as it goes. Each message stands before the removal or
/// behind it: what stands before reaches the removed one's devices, nothing of what stands behind does, whatever was on its
/// way; and a device that syncs afterwards shows the same.
///
/// # Errors
/// Of the server.
pub async fn who_is_removed_gets_what_was_placed_before_and_nothing_after(
    here: &impl Doors,
    there: &impl Doors,
) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea", "cid"]).await?;
    let ada = all[0].device(here).await?;
    let chat = group_of(here, &ada, &all).await?;
    let (mut bea, mut cid) = (all[1].device(there).await?, all[2].device(there).await?);
    stored(&bea, chat, Seq(1)).await;
    stored(&cid, chat, Seq(1)).await;
    let writing = async {
        let mut ids = Vec::new();
        for number in 0..300 {
            ids.push(bea.client.send_text(chat, &number.to_string()).await?);
            if number % 10 == 0 {
                tokio::task::yield_now().await;
            }
        }
        anyhow::Ok(ids)
    };
    let removing = async {
        stored(&ada, chat, Seq(20)).await;
        ada.client.act_in_group(chat, &GroupAction::Remove(all[2].user)).await
    };
    let (ids, removed) = tokio::join!(writing, removing);
    let (ids, removed) = (ids?, removed?.revision);
    let mut places = BTreeSet::new();
    for id in ids {
        places.insert(place(&bea, chat, id).await);
    }
    assert!(places.first().is_some_and(|first| *first < removed), "nothing was said before");
    stored(&cid, chat, removed).await;
    // Something of another conversation, said after all that, comes by the same connection: nothing is on its way any more.
    let private = async {
        befriend(here, &all[1], &all[2]).await?;
        let direct = within("friends", async {
            loop {
                match bea.client.conversation_with(all[2].user).await? {
                    Some(direct) => return anyhow::Ok(direct),
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        });
        let direct = direct.await?;
        bea.client.send_text(direct, "Are you there?").await?;
        anyhow::Ok(direct)
    };
    let direct = private.await?;
    cid.messages(direct, 1).await;
    let before: Vec<Seq> = places.iter().copied().filter(|seq| *seq < removed).collect();
    let shown = |device: &Device| device.shown(chat).iter().map(|message| message.seq).collect::<Vec<_>>();
    assert_eq!(shown(&cid), before, "the removed one, live");
    bea.messages(chat, places.len()).await;
    assert_eq!(shown(&bea), places.into_iter().collect::<Vec<_>>(), "who stayed");
    let mut fresh = all[2].device(here).await?;
    stored(&fresh, chat, removed).await;
    fresh.look().await;
    assert_eq!(shown(&fresh), before, "the removed one, synced");
    assert_eq!(fresh.client.messages(chat, removed, 10).await?, []);
    let refused = cid.client.send_text(chat, "One more thing").await;
    if let Ok(id) = refused {
        assert_eq!(outcome(&cid, chat, id).await, Outcome::Refused(Refusal::NotMember));
    }
    Ok(())
}

/// The idea: two devices of one user edit and take back the same messages at the same time. Each edit stands before the
/// recall, or is refused because of it; nothing of the text is left for a device that syncs.
///
/// # Errors
/// Of the server.
pub async fn edit_against_recall(here: &impl Doors, there: &impl Doors) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea"]).await?;
    let phone = all[0].device(here).await?;
    let chat = group_of(here, &phone, &all).await?;
    let laptop = all[0].device(there).await?;
    let mut targets = Vec::new();
    for _ in 0..20 {
        let id = phone.client.send_text(chat, "the secret").await?;
        targets.push(place(&phone, chat, id).await);
    }
    let last = *targets.last().context("twenty")?;
    stored(&laptop, chat, last).await;
    stored(&phone, chat, last).await;
    let mut raced = Vec::new();
    for seq in &targets {
        let (edit, recall) = tokio::join!(
            laptop.client.edit(chat, *seq, Outgoing::text("another secret")),
            phone.client.recall(chat, *seq)
        );
        raced.push((edit, recall?));
    }
    let mut end = last;
    for (edit, recall) in raced {
        let recalled = place(&phone, chat, recall).await;
        end = end.max(recalled);
        // The SDK itself may know already that it was taken back.
        let Ok(edit) = edit else { continue };
        match outcome(&laptop, chat, edit).await {
            Outcome::Sent { seq, .. } => assert!(seq < recalled, "edited at {seq}, taken back at {recalled}"),
            other => assert_eq!(other, Outcome::Refused(Refusal::Recalled)),
        }
    }
    let fresh = all[1].device(there).await?;
    stored(&fresh, chat, end).await;
    let items = picture(&fresh, chat).await;
    assert_eq!(items.iter().filter(|item| item.gone.is_some()).count(), targets.len());
    for row in fresh.client.messages(chat, Seq::ZERO, 1000).await? {
        assert!(!format!("{:?}", row.content).contains("secret"), "left of it: {row:?}");
    }
    Ok(())
}

/// A mute ends by itself: nothing is said by those who are muted, their messages are refused by name, and later ones pass.
///
/// # Errors
/// Of the server.
pub async fn a_mute_runs_out(here: &impl Doors) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea"]).await?;
    let ada = all[0].device(here).await?;
    let chat = group_of(here, &ada, &all).await?;
    let bea = all[1].device(here).await?;
    stored(&bea, chat, Seq(1)).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let end = u64::try_from(now.as_millis())? + 3_000;
    let muted = ada.client.act_in_group(chat, &GroupAction::Mute(all[1].user, end)).await?;
    stored(&bea, chat, muted.revision).await;
    let id = bea.client.send_text(chat, "too early").await?;
    assert_eq!(outcome(&bea, chat, id).await, Outcome::Refused(Refusal::Muted));
    within("the end of the mute", async {
        loop {
            let id = bea.client.send_text(chat, "now?").await.expect("the outbox has room");
            match outcome(&bea, chat, id).await {
                Outcome::Sent { at, .. } => break assert!(at >= end, "said at {at}, muted until {end}"),
                other => assert_eq!(other, Outcome::Refused(Refusal::Muted)),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let all_muted = ada.client.act_in_group(chat, &GroupAction::MuteAll(u64::MAX)).await?;
    stored(&bea, chat, all_muted.revision).await;
    let id = bea.client.send_text(chat, "and now?").await?;
    assert_eq!(outcome(&bea, chat, id).await, Outcome::Refused(Refusal::Muted));
    let id = ada.client.send_text(chat, "Owners speak.").await?;
    place(&ada, chat, id).await;
    Ok(())
}

/// The idea: everybody writes, reads a part, and some are away meanwhile. What each device says is unread is what a count by
/// hand over the messages says; own messages never count, what was taken back does, edits and reactions do not.
///
/// # Errors
/// Of the server.
pub async fn unread_counts_are_exact(here: &impl Doors, there: &impl Doors) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea", "cid"]).await?;
    let ada = all[0].device(here).await?;
    let chat = group_of(here, &ada, &all).await?;
    let bea = all[1].device(there).await?;
    stored(&bea, chat, Seq(1)).await;
    let (mut rows, mut read) = (Vec::new(), [Seq::ZERO; 3]);
    for number in 0..30_usize {
        let (who, device) = if number % 3 == 0 { (0, &ada) } else { (1, &bea) };
        let id = device.client.send_text(chat, &number.to_string()).await?;
        let seq = place(device, chat, id).await;
        rows.push((seq, all[who].user));
        stored(&ada, chat, seq).await;
        stored(&bea, chat, seq).await;
        if number == 11 {
            ada.client.mark_read(chat, seq).await?;
            read[0] = seq;
            within("durable", ada.client.advanced(chat, seq)).await?;
            let id = bea.client.react(chat, seq, "👍").await?;
            place(&bea, chat, id).await;
        }
        if number == 20 {
            bea.client.mark_read(chat, seq).await?;
            read[1] = seq;
            within("durable", bea.client.advanced(chat, seq)).await?;
            let id = device.client.recall(chat, seq).await?;
            place(device, chat, id).await;
        }
    }
    let last = rows.last().context("thirty")?.0;
    let expected = |who: usize| {
        let unread = rows.iter().filter(|(seq, sender)| *seq > read[who] && *sender != all[who].user);
        unread.count() as u64
    };
    let fresh = [all[0].device(there).await?, all[1].device(here).await?, all[2].device(here).await?];
    for (who, device) in [(0, &ada), (1, &bea), (0, &fresh[0]), (1, &fresh[1]), (2, &fresh[2])] {
        stored(device, chat, last).await;
        let mut says = 0;
        let right = within("the right number", async {
            loop {
                let list = device.client.conversations().await.expect("the store answers");
                says = list.iter().find(|chat_| chat_.id == chat).map_or(0, |chat_| chat_.unread);
                if says == expected(who) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        right.await;
    }
    Ok(())
}

/// Adds so many new people to a group, by the operator; their numbers.
///
/// # Errors
/// Of the server.
pub async fn crowd(server: &impl Doors, chat: ConversationId, name: &str, count: usize) -> anyhow::Result<Vec<UserId>> {
    let mut users = Vec::new();
    let numbers: Vec<usize> = (0..count).collect();
    for chunk in numbers.chunks(1000) {
        let new: Vec<_> = chunk.iter().map(|number| json!({ "handle": format!("{name}{number}") })).collect();
        let answer = admin(server, "/v1/admin/users", json!({ "users": new })).await?;
        let ids = answer["users"].as_array().context("users")?.iter().filter_map(|user| user["user"]["id"].as_u64());
        let ids: Vec<u64> = ids.collect();
        admin(server, &format!("/v1/admin/groups/{chat}/members"), json!({ "users": ids })).await?;
        users.extend(ids.into_iter().map(UserId));
    }
    Ok(users)
}

/// The idea: a group that is told by connector and not by member. People join and go while somebody writes; each sees what
/// was placed in their time, live, in order and once, whatever each connector knows of the group.
///
/// # Errors
/// Of the server.
pub async fn a_large_group_with_joins_during_fan_out(
    here: &impl Doors,
    there: &impl Doors,
    size: usize,
) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea", "cid", "dan", "eve", "fin"]).await?;
    let ada = all[0].device(here).await?;
    let chat = group_of(here, &ada, &all[..2]).await?;
    crowd(here, chat, "crowd", size).await?;
    let mut bea = all[1].device(there).await?;
    stored(&bea, chat, Seq(1)).await;
    let mut guests = Vec::new();
    for (number, person) in all[2..].iter().enumerate() {
        let device = if number % 2 == 0 { person.device(here).await? } else { person.device(there).await? };
        guests.push((person, device));
    }
    let writing = async {
        let mut places = Vec::new();
        for number in 0..60 {
            let id = ada.client.send_text(chat, &number.to_string()).await?;
            places.push(place(&ada, chat, id).await);
        }
        anyhow::Ok(places)
    };
    let coming = async {
        let mut spans = Vec::new();
        for (person, _) in &guests {
            let add = json!({ "users": [person.user.0] });
            let joined = admin(here, &format!("/v1/admin/groups/{chat}/members"), add).await?;
            let joined = joined["revision"].as_u64().with_context(|| format!("a revision in {joined}"))?;
            spans.push((Seq(joined), None));
        }
        for (number, (person, _)) in guests.iter().enumerate().filter(|(number, _)| number % 2 == 1) {
            let left = ada.client.act_in_group(chat, &GroupAction::Remove(person.user)).await?;
            spans[number].1 = Some(left.revision);
        }
        anyhow::Ok(spans)
    };
    let (places, spans) = tokio::join!(writing, coming);
    let (places, spans) = (places?, spans?);
    let last = ada.client.send_text(chat, "the end").await?;
    let last = place(&ada, chat, last).await;
    bea.messages(chat, places.len() + 1).await;
    for ((_, device), (joined, left)) in guests.iter_mut().zip(spans) {
        let mine = |seq: &Seq| *seq > joined && left.is_none_or(|left| *seq < left);
        let mut expected: Vec<Seq> = places.iter().copied().filter(mine).collect();
        expected.extend(left.is_none().then_some(last));
        device
            .find("the last row of one's time", |event| match event {
                Event::Message(row) => (row.conversation == chat && row.seq >= left.unwrap_or(last)).then_some(()),
                _ => None,
            })
            .await;
        let shown: Vec<Seq> = device.shown(chat).iter().map(|message| message.seq).collect();
        assert_eq!(shown, expected, "in from {joined} to {left:?}");
    }
    let members = ada.client.rest().group(chat).await?.group.size as usize;
    assert_eq!(members, 2 + size + 2);
    Ok(())
}

/// What was forwarded stays when its source is taken back: it is a message of its own.
///
/// # Errors
/// Of the server.
pub async fn a_forwarded_message_outlives_its_source(here: &impl Doors) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea"]).await?;
    let ada = all[0].device(here).await?;
    let chat = group_of(here, &ada, &all).await?;
    let bea = all[1].device(here).await?;
    let direct = bea.with(&all[0]).await?;
    let source = ada.client.send_text(chat, "Pass it on.").await?;
    let source = place(&ada, chat, source).await;
    stored(&bea, chat, source).await;
    let message = bea.client.messages(chat, Seq(source.0 - 1), 1).await?.remove(0);
    let text = message.text().context("text")?.to_owned();
    let forward = Outgoing::text(text).said_by(message.sender, "Ada");
    let forward = bea.client.send(direct, forward).await?;
    let forward = place(&bea, direct, forward).await;
    let recall = ada.client.recall(chat, source).await?;
    let recall = place(&ada, chat, recall).await;
    stored(&bea, chat, recall).await;
    stored(&ada, direct, forward).await;
    let gone = |items: Vec<Pictured>, seq| items.into_iter().find(|item| item.seq == seq).map(|item| item.content);
    assert_eq!(gone(picture(&bea, chat).await, source), Some(Content::Gone));
    assert_eq!(gone(picture(&ada, direct).await, forward), Some(Content::Text("Pass it on.".into())));
    Ok(())
}
