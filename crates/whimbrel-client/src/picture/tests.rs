//! A device that heard everything as it was said, one that heard it in bursts, and one that heard of it in the end: they see
//! the same.

use bytes::Bytes;
use futures_util::FutureExt;
use proptest::prelude::*;
use whimbrel_core::{DeviceId, Draft, Message};

use super::*;
use crate::content::Outgoing;
use crate::engine::erasure;
use crate::keys::Directory;
use crate::message::{draft, show};
use crate::store::{Commit, Erased, MemoryStore, Store};

const CHAT: ConversationId = ConversationId::from_bytes([1; 16]);

/// What happens next; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Say {
        sender: u64,
        what: u8,
    },
    FollowUp {
        sender: u64,
        target: u64,
        what: u8,
    },
    /// What this one said is emptied, and a row says so.
    Erase {
        user: u64,
    },
    /// A device that hears now and then takes at most so many rows.
    Hear {
        rows: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..4u64, 0..6u8).prop_map(|(sender, what)| Step::Say { sender, what }),
        5 => (1..4u64, 1..20u64, 0..9u8).prop_map(|(sender, target, what)| Step::FollowUp { sender, target, what }),
        1 => (1..4u64).prop_map(|user| Step::Erase { user }),
        3 => (1..6usize).prop_map(|rows| Step::Hear { rows }),
    ]
}

fn said(what: u8) -> Content {
    let text = |text: &str| Content::Text(text.into());
    match what {
        0 => text("hello"),
        1 => Content::Stream("gr".into()),
        2 => Content::Fleeting { after_ms: 9, once_read: false, content: Box::new(text("psst")) },
        3 => Content::Merged { title: "m".into(), messages: Vec::new() },
        4 => Content::Call("all".into()),
        _ => Content::Sticker { pack: "p".into(), name: "s".into(), fallback: "f".into() },
    }
}

fn done(what: u8) -> FollowUp {
    let react = |emoji: &str, removed| FollowUp::React { emoji: emoji.into(), removed };
    match what {
        0 => FollowUp::Edit(Box::new(Content::Text("better".into()))),
        1 => FollowUp::Edit(Box::new(Content::Text("best".into()))),
        2 => FollowUp::Recall,
        3 => react("👍", false),
        4 => react("👍", true),
        5 => FollowUp::Append("ow".into()),
        6 => FollowUp::Finish("grown".into()),
        7 => react("🎉", false),
        _ => FollowUp::Vanish,
    }
}

/// A timeline, and what a server does to it.
#[derive(Default)]
struct Server {
    rows: Vec<Message>,
}

impl Server {
    fn place(&mut self, sender: u64, draft: Draft) {
        let seq = Seq(self.rows.len() as u64 + 1);
        let Draft { message_id, kind, key_version, body } = draft;
        if let Some(target) = kind.target(&body).filter(|_| kind.takes_back()) {
            for row in &mut self.rows {
                if row.seq == target {
                    row.body = Bytes::new();
                } else if row.kind.adds_content() && row.kind.target(&row.body) == Some(target) {
                    row.body = row.body.slice(..8);
                }
            }
        }
        let device = DeviceId::from_bytes([sender as u8; 16]);
        let (conversation, sender) = (CHAT, UserId(sender));
        self.rows.push(Message { conversation, seq, sender, device, message_id, kind, key_version, body, at: seq.0 });
    }

    fn erase(&mut self, user: u64) {
        for row in self.rows.iter_mut().filter(|row| row.sender == UserId(user) && row.kind.is_submittable()) {
            row.body = if row.kind.is_follow_up() { row.body.slice(..8) } else { Bytes::new() };
        }
        let (message_id, body) = (MessageId::generate(), format!(r#"{{"user":{user}}}"#).into());
        self.place(user, Draft { message_id, kind: MessageKind::ERASED, key_version: 0, body });
    }

    /// As the archiver decides.
    fn takes(&self, sender: u64, target: Seq, what: &FollowUp) -> bool {
        let Some(row) = self.rows.iter().find(|row| row.seq == target) else { return false };
        let is_own = row.sender == UserId(sender);
        let fixed = [MessageKind::STREAM, MessageKind::FLEETING, MessageKind::MERGED];
        row.kind.is_countable()
            && !row.body.is_empty()
            && match what {
                FollowUp::Edit(_) => is_own && !fixed.contains(&row.kind),
                FollowUp::Append(_) | FollowUp::Finish(_) => is_own && row.kind == MessageKind::STREAM,
                FollowUp::Vanish => row.kind == MessageKind::FLEETING,
                _ => true,
            }
    }
}

/// A device: its store, and a picture that is kept up row by row.
#[derive(Default)]
struct Device {
    store: MemoryStore,
    directory: Directory,
    picture: Picture,
    cursor: usize,
}

impl Device {
    /// Stores rows as the engine does.
    fn hear(&mut self, rows: &[Message]) {
        let taken_back = rows.iter().filter(|row| row.kind.takes_back());
        let taken_back = taken_back.filter_map(|row| Some((CHAT, row.kind.target(&row.body)?))).collect();
        let erased = rows.iter().filter_map(erasure);
        let erased =
            erased.map(|(user, before)| Erased { conversation: CHAT, user, from: Seq::ZERO, before }).collect();
        let commit = Commit { messages: rows.to_vec(), taken_back, erased, ..Commit::default() };
        self.store.commit(commit).now_or_never().expect("at once").expect("stored");
        for row in rows {
            self.picture.apply(show(&self.directory, row.clone()));
        }
        self.cursor += rows.len();
    }

    fn stored(&self) -> Vec<Message> {
        self.store.messages(CHAT, Seq::ZERO, usize::MAX).now_or_never().expect("at once").expect("read")
    }
}

fn picture(rows: &[Message]) -> Vec<Pictured> {
    let directory = Directory::default();
    Picture::of(rows.iter().map(|row| show(&directory, row.clone()))).into_items()
}

fn say(sender: u64, what: impl Into<Outgoing>) -> Draft {
    draft(UserId(sender), CHAT, what, None).expect("it can be sent")
}

proptest! {
    #[test]
    fn who_heard_it_live_sees_what_one_sees_who_comes_late(steps in prop::collection::vec(step(), 1..60)) {
        let (mut server, mut live, mut bursts) = (Server::default(), Device::default(), Device::default());
        for step in steps {
            match step {
                Step::Say { sender, what } => server.place(sender, say(sender, said(what))),
                Step::FollowUp { sender, target, what } => {
                    let what = done(what);
                    if server.takes(sender, Seq(target), &what) {
                        server.place(sender, say(sender, Outgoing::about(Seq(target), what)));
                    }
                }
                Step::Erase { user } => server.erase(user),
                Step::Hear { rows } => {
                    let from = bursts.cursor;
                    let upto = (from + rows).min(server.rows.len());
                    bursts.hear(&server.rows[from..upto]);
                }
            }
            let from = live.cursor;
            live.hear(&server.rows[from..]);
        }
        let from = bursts.cursor;
        bursts.hear(&server.rows[from..]);
        let late = picture(&server.rows);
        for device in [live, bursts] {
            prop_assert_eq!(&device.stored(), &server.rows, "nothing of what was taken back or erased is on the device");
            prop_assert_eq!(&picture(&device.stored()), &late);
            prop_assert_eq!(&device.picture.into_items(), &late);
        }
    }
}

/// Places are counted from 1.
fn story(rows: &[(u64, Outgoing)]) -> Vec<Pictured> {
    let mut server = Server::default();
    for (sender, what) in rows {
        server.place(*sender, say(*sender, what.clone()));
    }
    picture(&server.rows)
}

fn about(target: u64, what: FollowUp) -> Outgoing {
    Outgoing::about(Seq(target), what)
}

#[test]
fn an_edit_keeps_what_was_said_before_and_only_its_author_makes_it() {
    let edit = |text: &str| about(1, FollowUp::Edit(Box::new(Content::Text(text.into()))));
    let seen = story(&[(1, Outgoing::text("a")), (1, edit("b")), (2, edit("mine")), (1, edit("c"))]);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].content, Content::Text("c".into()));
    let said: Vec<_> = seen[0].edits.iter().map(|earlier| (earlier.seq.0, earlier.content.line())).collect();
    assert_eq!(said, [(1, "a".to_owned()), (2, "b".to_owned())]);
}

#[test]
fn of_what_was_taken_back_only_its_place_is_seen() {
    let edit = about(1, FollowUp::Edit(Box::new(Content::Text("b".into()))));
    let react = about(1, FollowUp::React { emoji: "👍".into(), removed: false });
    let seen = story(&[(1, Outgoing::text("a")), (1, edit), (2, react), (3, about(1, FollowUp::Recall))]);
    let gone = Gone { by: Some(UserId(3)), at: 4, vanished: false };
    assert_eq!((&seen[0].content, seen[0].gone), (&Content::Gone, Some(gone)));
    assert!(seen[0].edits.is_empty() && seen[0].reactions.is_empty());
}

#[test]
fn a_stream_grows_until_it_is_finished() {
    let more = |text: &str| about(1, FollowUp::Append(text.into()));
    let start = (1, Content::Stream("He".into()).into());
    let seen = story(&[start.clone(), (1, more("llo")), (2, more("!!!"))]);
    assert_eq!((&seen[0].content, seen[0].grows), (&Content::Text("Hello".into()), true));
    let finish = about(1, FollowUp::Finish("Hello.".into()));
    let seen = story(&[start, (1, more("l")), (1, finish), (1, more("?"))]);
    assert_eq!((&seen[0].content, seen[0].grows), (&Content::Text("Hello.".into()), false));
}

#[test]
fn each_user_reacts_once_with_each_emoji_and_takes_back_their_own() {
    let react = |user, emoji: &str, removed| (user, about(1, FollowUp::React { emoji: emoji.into(), removed }));
    let seen = story(&[
        (1, Outgoing::text("a")),
        react(2, "👍", false),
        react(2, "👍", false),
        react(1, "👍", false),
        react(3, "🎉", false),
        react(2, "👍", true),
        react(2, "🎉", true),
        react(3, "🎉", true),
    ]);
    assert_eq!(seen[0].reactions, [Reacted { emoji: "👍".into(), users: vec![UserId(1)] }]);
}

#[test]
fn of_one_who_was_erased_places_and_what_others_said_are_seen() {
    let react =
        |user, target, emoji: &str| (user, about(target, FollowUp::React { emoji: emoji.into(), removed: false }));
    let mut server = Server::default();
    let edit = (1, about(1, FollowUp::Edit(Box::new(Content::Text("b".into())))));
    let rows = [
        (1, Outgoing::text("a")),
        (2, Outgoing::text("c")),
        edit,
        react(1, 2, "👍"),
        react(3, 2, "🎉"),
        react(2, 2, "👍"),
    ];
    rows.into_iter().for_each(|(sender, what)| server.place(sender, say(sender, what)));
    let mut live = Device::default();
    live.hear(&server.rows.clone());
    let users =
        |reaction: &Reacted| (reaction.emoji.clone(), reaction.users.iter().map(|user| user.0).collect::<Vec<_>>());
    let given = |seen: &[Pictured]| seen[1].reactions.iter().map(users).collect::<Vec<_>>();
    let before: Vec<_> = live.picture.items().cloned().collect();
    assert_eq!(given(&before), [("👍".into(), vec![1, 2]), ("🎉".into(), vec![3])]);
    server.erase(1);
    server.place(1, say(1, Outgoing::text("anew")));
    live.hear(&server.rows[6..]);
    let seen = picture(&server.rows);
    assert_eq!(live.picture.into_items(), seen);
    assert_eq!(seen[0].gone, Some(Gone { by: Some(UserId(1)), at: 7, vanished: false }));
    assert!(seen[0].content == Content::Gone && seen[0].edits.is_empty());
    assert_eq!((&seen[1].content, seen[1].gone), (&Content::Text("c".into()), None));
    assert_eq!(given(&seen), [("🎉".into(), vec![3]), ("👍".into(), vec![2])]);
    assert_eq!(seen[2].content, Content::Text("anew".into()), "what is said after it stays");
}
