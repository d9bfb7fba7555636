//! Facts of those who leave a group and come back, the same for a single node and for a cluster.

use std::path::{Path, PathBuf};

use anyhow::Context;
use whimbrel_client::{Attachment, Content, Error, GroupAction, HistoryAt, Outcome, Pictured, Refusal, Sending, Seq};
use whimbrel_core::ConversationId;

use crate::files::{attachment, content, fetched, written};
use crate::groups::{group_of, outcome, place, stored};
use crate::history::scroll;
use crate::people::{Device, Person, people};
use crate::server::Doors;
use crate::wait::{until, within};

/// Sent away by the owner, or gone of their own accord; the row with which they went.
async fn goes(owner: &Device, who: &Device, chat: ConversationId, is_removed: bool) -> anyhow::Result<Seq> {
    let gone = match is_removed {
        true => owner.client.act_in_group(chat, &GroupAction::Remove(who.client.user())).await?,
        false => who.client.act_in_group(chat, &GroupAction::Leave).await?,
    };
    stored(who, chat, gone.revision).await;
    Ok(gone.revision)
}

/// Asked in, and in it; the row with which they came.
async fn comes(owner: &Device, who: &Device, chat: ConversationId) -> anyhow::Result<Seq> {
    owner.client.act_in_group(chat, &GroupAction::Invite(vec![who.client.user()])).await?;
    Ok(who.client.act_in_group(chat, &GroupAction::Join { message: String::new() }).await?.revision)
}

async fn say(device: &Device, chat: ConversationId, text: &str) -> anyhow::Result<Seq> {
    Ok(place(device, chat, device.client.send_text(chat, text).await?).await)
}

/// Texts with their places.
fn texts(items: &[Pictured]) -> Vec<(Seq, &str)> {
    let said = items.iter().filter_map(|item| match &item.content {
        Content::Text(text) => Some((item.seq, text.as_str())),
        _ => None,
    });
    said.collect()
}

/// The idea: somebody leaves and comes back, three times, by themselves and sent away; before each time, between and after
/// it something is said, one message on its way while they are sent away. Their device that was there all along, and new
/// ones, scroll back over all of it, by pages of any size: what was placed in one of the times is there and opens with the
/// key of its time, nothing that was placed between is, and all show one picture.
///
/// # Errors
/// Of the server.
pub async fn who_comes_back_scrolls_to_what_they_saw_before(
    here: &impl Doors,
    there: &impl Doors,
) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea"]).await?;
    let (ada, bea) = (all[0].device(here).await?, all[1].device(there).await?);
    let chat = group_of(here, &ada, &all).await?;
    let (mut seen, mut last) = (Vec::new(), Seq::ZERO);
    for time in 0..4 {
        for number in 0..5 {
            let text = format!("seen {time}.{number}");
            last = say(if number % 2 == 0 { &ada } else { &bea }, chat, &text).await?;
            seen.push((last, text));
        }
        stored(&bea, chat, last).await;
        if time == 3 {
            break;
        }
        // On its way while they go: it stands before that, or is not for them.
        let on_its_way = ada.client.send_text(chat, &format!("on its way {time}")).await?;
        let own = bea.client.send_text(chat, &format!("of one's own {time}")).await?;
        let gone = goes(&ada, &bea, chat, time % 2 == 0).await?;
        let on_its_way = place(&ada, chat, on_its_way).await;
        let mut both = vec![(on_its_way, format!("on its way {time}"))];
        match outcome(&bea, chat, own).await {
            Outcome::Sent { seq, .. } => both.push((seq, format!("of one's own {time}"))),
            other => assert_eq!(other, Outcome::Refused(Refusal::NotMember)),
        }
        both.retain(|(seq, _)| *seq < gone);
        both.sort();
        seen.extend(both);
        for number in 0..3 {
            say(&ada, chat, &format!("between {time}.{number}")).await?;
        }
        let back = comes(&ada, &bea, chat).await?;
        stored(&bea, chat, back).await;
    }
    let devices = [bea, all[1].device(here).await?, all[1].recent(there, 3).await?];
    let seen: Vec<(Seq, &str)> = seen.iter().map(|(seq, text)| (*seq, text.as_str())).collect();
    let mut pictures = Vec::new();
    for device in &devices {
        stored(device, chat, last).await;
        for limit in [4, 500] {
            let items = scroll(&device.client, chat, limit).await?;
            assert_eq!(texts(&items), seen, "by {limit}");
            pictures.push(items);
        }
    }
    assert!(pictures.iter().all(|items| *items == pictures[0]), "one picture");
    let first = devices[2].client.history(chat, HistoryAt::At(0), 2).await?;
    assert_eq!(first.items[0].seq, Seq(1), "the first of all times");
    Ok(())
}

/// The idea: what was cleared in the first time is not there after coming back, what was said behind it is; and what is
/// unread is what was said since they are back.
///
/// # Errors
/// Of the server.
pub async fn who_comes_back_does_not_get_back_what_they_cleared(
    here: &impl Doors,
    there: &impl Doors,
) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea"]).await?;
    let (ada, bea) = (all[0].device(here).await?, all[1].device(there).await?);
    let chat = group_of(here, &ada, &all).await?;
    let cleared = say(&ada, chat, "cleared").await?;
    stored(&bea, chat, cleared).await;
    bea.client.clear(chat).await?;
    let kept = say(&ada, chat, "kept").await?;
    goes(&ada, &bea, chat, true).await?;
    say(&ada, chat, "between").await?;
    comes(&ada, &bea, chat).await?;
    let now = say(&ada, chat, "now").await?;
    for device in [&bea, &all[1].device(here).await?] {
        stored(device, chat, now).await;
        assert_eq!(texts(&scroll(&device.client, chat, 3).await?), [(kept, "kept"), (now, "now")]);
        until("what is unread", || async {
            let list = device.client.conversations().await.expect("the store answers");
            list.iter().any(|row| row.id == chat && row.unread == 1)
        })
        .await;
    }
    bea.client.clear(chat).await?;
    let later = say(&ada, chat, "later").await?;
    let fresh = all[1].device(there).await?;
    for device in [&bea, &fresh] {
        stored(device, chat, later).await;
        assert_eq!(texts(&scroll(&device.client, chat, 3).await?), [(later, "later")], "all of it was cleared");
    }
    Ok(())
}

/// The file of the message that was said last.
async fn file_said(
    ada: &Device,
    reader: &mut Device,
    chat: ConversationId,
    path: &Path,
    count: usize,
) -> anyhow::Result<(Seq, Attachment)> {
    let id = within("the upload", ada.client.send_file(chat, Sending::new(path)).await?.finished()).await?;
    let seq = place(ada, chat, id).await;
    Ok((seq, attachment(reader, chat, count).await))
}

/// The idea: a file of the first time and one of the present time are read by who came back; one of the time between, which
/// they know from somebody else, is not there for them.
///
/// # Errors
/// Of the server.
pub async fn who_comes_back_reads_the_files_of_their_times(
    here: &impl Doors,
    there: &impl Doors,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let all: Vec<Person> = people(here, &["ada", "bea", "cid"]).await?;
    let ada = all[0].device(here).await?;
    let chat = group_of(here, &ada, &all).await?;
    let (bea, mut cid) = (all[1].device(there).await?, all[2].device(here).await?);
    stored(&bea, chat, Seq(1)).await;
    let path: PathBuf = written(folder.path(), "file.bin", &content(1000))?;
    let (_, first) = file_said(&ada, &mut cid, chat, &path, 1).await?;
    goes(&ada, &bea, chat, true).await?;
    let (_, between) = file_said(&ada, &mut cid, chat, &path, 2).await?;
    let away = fetched(&bea, &between, &folder.path().join("away")).await;
    assert_eq!(away.as_ref().err().and_then(Error::code), Some("no_such_file"), "{away:?}");
    let back = comes(&ada, &bea, chat).await?;
    stored(&bea, chat, back).await;
    let (_, last) = file_said(&ada, &mut cid, chat, &path, 3).await?;
    for (name, file) in [("first", &first), ("last", &last)] {
        assert_eq!(fetched(&bea, file, &folder.path().join(name)).await?, content(1000), "{name}");
    }
    let refused = fetched(&bea, &between, &folder.path().join("between")).await;
    assert_eq!(refused.as_ref().err().and_then(Error::code), Some("no_such_file"), "{refused:?}");
    let items = scroll(&bea.client, chat, 50).await?;
    let seen = items.iter().filter_map(|item| match &item.content {
        Content::Attachment(attachment) => Some(attachment.file),
        _ => None,
    });
    assert_eq!(seen.collect::<Vec<_>>(), [first.file, last.file]);
    let file = items.iter().find_map(|item| match &item.content {
        Content::Attachment(attachment) => Some(attachment.clone()),
        _ => None,
    });
    let file = file.context("it is in history")?;
    assert_eq!(fetched(&bea, &file, &folder.path().join("from history")).await?, content(1000));
    Ok(())
}

/// The idea: somebody is sent away, and what was said before is taken back meanwhile. Their device keeps what it was told;
/// once they are back it begins anew, and so has nothing that was taken back: as a device that syncs from zero. What is left
/// of the time before comes from the server, as it is now.
///
/// # Errors
/// Of the server.
pub async fn who_comes_back_has_nothing_that_was_taken_back_meanwhile(
    here: &impl Doors,
    there: &impl Doors,
) -> anyhow::Result<()> {
    let all = people(here, &["ada", "bea"]).await?;
    let (ada, bea) = (all[0].device(here).await?, all[1].device(there).await?);
    let chat = group_of(here, &ada, &all).await?;
    let said = place(&ada, chat, ada.client.send_text(chat, "secret").await?).await;
    let gone = ada.client.act_in_group(chat, &GroupAction::Remove(all[1].user)).await?.revision;
    stored(&bea, chat, gone).await;
    place(&ada, chat, ada.client.recall(chat, said).await?).await;
    let held = async |device: &Device| {
        let rows = device.client.messages(chat, Seq::ZERO, 100).await.expect("the store answers");
        let text = |content| if let Content::Text(text) = content { Some(text) } else { None };
        (rows.first().map(|row| row.seq), rows.into_iter().filter_map(|row| text(row.content)).collect::<Vec<_>>())
    };
    assert_eq!(held(&bea).await.1, ["secret"], "who is away hears nothing");

    ada.client.act_in_group(chat, &GroupAction::Invite(vec![all[1].user])).await?;
    let back = bea.client.act_in_group(chat, &GroupAction::Join { message: String::new() }).await?.revision;
    let last = place(&ada, chat, ada.client.send_text(chat, "hello again").await?).await;
    let fresh = all[1].device(here).await?;
    for device in [&bea, &fresh] {
        stored(device, chat, last).await;
        assert_eq!(held(device).await, (Some(back), vec!["hello again".to_owned()]));
        let items = scroll(&device.client, chat, 3).await?;
        assert_eq!(texts(&items), [(last, "hello again")]);
        let before = items.iter().find(|item| item.seq == said).context("of the time before")?;
        assert_eq!(before.content, Content::Gone);
    }
    Ok(())
}
