//! Files: who may read them, what they take up, and when they end.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use whimbrel_core::{Cursors, FileId, MessageKind, Seq, UserId};

use super::Stores;
use super::company::{Company, join};
use super::people::{Lane, people};
use crate::filing::{FileError, FileRow, FileState, Kept, NewFile, NewPicture, Picture, Usage};
use crate::groups::GroupChange;
use crate::{CommitError, CursorWrite, NewRow, PlaceBatch};

const ROOM: Usage = Usage { bytes: 1000, files: 8, uploads: 3 };
const READ: Cursors = Cursors { delivered: Seq(1), read: Seq(1) };
/// Later than everything.
const LATER: u64 = 1 << 40;

/// A file to be.
pub(super) fn new(owner: UserId) -> NewFile {
    NewFile {
        id: FileId::generate(),
        owner,
        conversation: None,
        name: "holiday 🏖.mp4".into(),
        content_type: "video/mp4".into(),
        size: 100,
        hash: [3; 32],
        encrypted: false,
        keeps_metadata: false,
        nonce: Some([9; 16]),
    }
}

/// The same, whole.
pub(super) async fn whole(stores: &Stores, file: NewFile) -> FileId {
    let id = file.id;
    stores.files.announce(file, ROOM, 10).await.expect("room");
    stores.files.complete(id, Kept::Own, None, 20).await.expect("there");
    id
}

/// What a file's content is called.
async fn blob(stores: &Stores, id: FileId) -> FileId {
    stores.files.file(id).await.expect("answers").expect("there").blob
}

/// A row that comes with a file.
fn with_file(mut row: NewRow, file: FileId) -> NewRow {
    row.message.kind = MessageKind::IMAGE;
    row.message.body = [&file.as_bytes()[..], b"sealed"].concat().into();
    row
}

fn about(mut row: NewRow, kind: MessageKind, target: u64) -> NewRow {
    row.message.kind = kind;
    row.message.body = Bytes::copy_from_slice(&target.to_be_bytes());
    row
}

async fn commit(stores: &Stores, rows: Vec<NewRow>) {
    let batch = PlaceBatch { rows, cursors: Vec::new() };
    stores.timeline.commit(batch).await.map_err(|(_, error)| error).expect("places are free");
}

async fn lane(stores: &Stores) -> Lane {
    let users = people(&*stores.directory, "user", 2).await;
    Lane::new(&*stores.timeline, &*stores.directory, users[0], users[1]).await
}

/// Whether a message refers to it.
async fn needed(stores: &Stores, file: FileId) -> bool {
    stores.files.file(file).await.expect("answers").expect("there").idle_since.is_none()
}

async fn reads(stores: &Stores, user: UserId, file: FileId) -> bool {
    stores.files.readable(user, file).await.expect("answers").is_some()
}

async fn usage(stores: &Stores, user: UserId) -> [u64; 3] {
    let usage = stores.files.usage(user).await.expect("answers");
    [usage.bytes, usage.files, usage.uploads]
}

/// Collects until nothing is left to collect; what is then in the trash.
async fn collected(stores: &Stores, before: u64) -> Vec<FileId> {
    while stores.files.collect(before, before, 2).await.expect("answers") > 0 {}
    let mut trash = stores.files.trash(100).await.expect("answers");
    trash.sort_unstable();
    trash
}

/// Room is taken by the announcement, so that no upload is refused halfway; each of the three limits counts, and what
/// ends gives it back.
pub async fn a_file_begins_with_room_and_ends_without(stores: &Stores) {
    let user = people(&*stores.directory, "user", 1).await[0];
    let first = new(user);
    let row = stores.files.announce(first.clone(), ROOM, 10).await.expect("room");
    let blob = row.blob;
    let (file, state) = (first.clone(), FileState::Uploading);
    let (announced, picture) = (None, None);
    let expected = FileRow { file, announced, picture, state, blob, idle_since: Some(10), created_at: 10 };
    assert_eq!(row, expected);
    assert_ne!(blob, first.id, "content is never called by a name of the user's choice");
    assert_eq!(stores.files.file(first.id).await.expect("answers"), Some(expected));
    assert_eq!(usage(stores, user).await, [100, 1, 1]);
    assert!(!reads(stores, user, first.id).await, "it is not whole");
    let large = stores.files.announce(NewFile { size: 901, ..new(user) }, ROOM, 10).await;
    assert!(matches!(large, Err(FileError::NoRoom("bytes"))), "{large:?}");
    for _ in 0..2 {
        stores.files.announce(new(user), ROOM, 10).await.expect("room");
    }
    let fourth = stores.files.announce(new(user), ROOM, 10).await;
    assert!(matches!(fourth, Err(FileError::NoRoom("uploads"))), "{fourth:?}");
    let done = stores.files.complete(first.id, Kept::Own, None, 20).await.expect("there");
    assert_eq!((done.state, done.blob, done.file.nonce), (FileState::Whole, blob, None));
    assert_eq!(stores.files.file(first.id).await.expect("answers"), Some(done.clone()));
    assert_eq!(stores.files.complete(first.id, Kept::Own, None, 30).await.expect("again"), done);
    assert_eq!(usage(stores, user).await, [300, 3, 2]);
    let few = Usage { files: 3, ..ROOM };
    let many = stores.files.announce(new(user), few, 10).await;
    assert!(matches!(many, Err(FileError::NoRoom("files"))), "{many:?}");
    let copy = stores.files.copy_file(user, first.id, FileId::generate(), few, 40).await;
    assert!(matches!(copy, Err(FileError::NoRoom("files"))), "{copy:?}");
    collected(stores, LATER).await;
    assert_eq!(usage(stores, user).await, [0, 0, 0]);
}

/// However many devices ask at once, as many get it as fit, by bytes, files and uploads; and who has begun can finish when the
/// room is full.
pub async fn room_is_given_out_once(stores: &Stores) {
    let owner = people(&*stores.directory, "user", 1).await[0];
    let rooms = [
        (Usage { bytes: 450, files: 99, uploads: 99 }, 4, "bytes"),
        (Usage { bytes: 9999, files: 6, uploads: 99 }, 2, "files"),
        (Usage { bytes: 9999, files: 99, uploads: 9 }, 3, "uploads"),
    ];
    let mut there = Vec::new();
    for (room, fits, what) in rooms {
        let mut asking = JoinSet::new();
        for _ in 0..12 {
            let (files, file) = (Arc::clone(&stores.files), new(owner));
            asking.spawn(async move { files.announce(file, room, 10).await });
        }
        let answers = asking.join_all().await;
        let refused = answers.iter().filter(|answer| matches!(answer, Err(FileError::NoRoom(why)) if *why == what));
        assert_eq!((refused.count(), what), (12 - fits, what));
        there.extend(answers.into_iter().flatten());
        let [count, bytes] = [there.len() as u64, 100 * there.len() as u64];
        assert_eq!(usage(stores, owner).await, [bytes, count, count]);
    }
    // What is under way has its room, however little is left for others.
    for file in &there {
        stores.files.complete(file.file.id, Kept::Own, None, 20).await.expect("it has room");
    }
    assert_eq!(usage(stores, owner).await, [900, 9, 0]);
}

/// The same announcement by two devices at once is one file; other words under its id are refused, and so is another's.
pub async fn asking_again_gives_the_same_file(stores: &Stores) {
    let users = people(&*stores.directory, "user", 2).await;
    let file = new(users[0]);
    let both = [stores.files.announce(file.clone(), ROOM, 10), stores.files.announce(file.clone(), ROOM, 10)];
    for answer in futures_util::future::join_all(both).await {
        // Who lost the race to the same id may be told so, and asks again.
        assert!(matches!(answer, Ok(_) | Err(FileError::Taken)), "{answer:?}");
    }
    let again = NewFile { name: "renamed".into(), nonce: Some([1; 16]), ..file.clone() };
    assert_eq!(stores.files.announce(again, ROOM, 11).await.expect("the same").file, file);
    assert_eq!(usage(stores, users[0]).await, [100, 1, 1]);
    for other in [NewFile { hash: [4; 32], ..file.clone() }, NewFile { owner: users[1], ..file.clone() }] {
        let refused = stores.files.announce(other, ROOM, 11).await;
        assert!(matches!(refused, Err(FileError::Taken)), "{refused:?}");
    }
}

/// Of many at once, one gets it.
pub async fn a_nonce_is_good_once(stores: &Stores) {
    let user = people(&*stores.directory, "user", 1).await[0];
    let file = new(user);
    stores.files.announce(file.clone(), ROOM, 10).await.expect("room");
    let taken = futures_util::future::join_all((0..4).map(|_| stores.files.take_nonce(file.id))).await;
    let taken: Vec<_> = taken.into_iter().filter_map(|nonce| nonce.expect("answers")).collect();
    assert_eq!(taken, [[9; 16]]);
    assert_eq!(stores.files.take_nonce(FileId::generate()).await.expect("answers"), None);
}

/// The owner always; the other of the two once it was said; nobody else, and not by a copy either. A copy is a file of
/// one's own.
pub async fn a_file_is_read_by_those_who_see_a_message_that_came_with_it(stores: &Stores) {
    let mut lane = lane(stores).await;
    let [owner, other] = lane.users;
    let stranger = people(&*stores.directory, "stranger", 1).await[0];
    let file = whole(stores, new(owner)).await;
    assert_eq!([reads(stores, owner, file).await, reads(stores, other, file).await], [true, false]);
    let row = with_file(lane.row(0), file);
    commit(stores, vec![row]).await;
    assert_eq!([reads(stores, owner, file).await, reads(stores, other, file).await], [true, true]);
    assert!(!reads(stores, stranger, file).await);
    let stolen = stores.files.copy_file(stranger, file, FileId::generate(), ROOM, 30).await;
    assert!(matches!(stolen, Err(FileError::NoSuchFile)), "{stolen:?}");
    let copy = FileId::generate();
    let row = stores.files.copy_file(other, file, copy, ROOM, 30).await.expect("they may read it");
    assert_eq!((row.blob, row.file.owner, row.file.size), (blob(stores, file).await, other, 100));
    assert_eq!(stores.files.copy_file(other, file, copy, ROOM, 31).await.expect("again"), row);
    assert_eq!(usage(stores, other).await, [100, 1, 0]);
    assert_eq!([reads(stores, other, copy).await, reads(stores, owner, copy).await], [true, false]);
    let place = row.file.id;
    let row = with_file(lane.row(1), place);
    commit(stores, vec![row]).await;
    assert!(reads(stores, owner, copy).await);
}

/// In a group: what was said in one's time, before it was cleared; nothing of before and after.
pub async fn a_removed_member_reads_what_was_said_before_and_nothing_after(stores: &Stores) {
    let company = Company::of(stores, 2).await;
    let [owner, member] = company.users[..] else { unreachable!("two people") };
    let late = people(&*stores.directory, "late", 1).await[0];
    let say = async |company: &Company<'_>| {
        let file = whole(stores, new(owner)).await;
        let row = company.rows(&[owner]).await.remove(0);
        company.commit(vec![with_file(row, file)]).await.expect("places are free");
        file
    };
    let before = say(&company).await;
    company.does(owner, GroupChange::Remove { user: member }).await;
    company.does(late, join()).await;
    let after = say(&company).await;
    assert_eq!([reads(stores, member, before).await, reads(stores, member, after).await], [true, false]);
    assert_eq!([reads(stores, late, before).await, reads(stores, late, after).await], [false, true]);
    company.does(member, join()).await;
    let since = say(&company).await;
    let seen = [reads(stores, member, before).await, reads(stores, member, after).await];
    assert_eq!(
        (seen, reads(stores, member, since).await),
        ([true, false], true),
        "who is back reads what they saw before"
    );
    company.does(member, GroupChange::Leave).await;
    assert!(reads(stores, member, before).await && reads(stores, member, since).await);
    let clear = crate::settings::SettingChange { clear: true, ..Default::default() };
    stores.settings.change_setting(late, company.id, clear, 60).await.expect("answers").expect("theirs");
    assert!(!reads(stores, late, after).await);
    assert!(reads(stores, owner, after).await);
    let clear = crate::settings::SettingChange { clear: true, ..Default::default() };
    stores.settings.change_setting(member, company.id, clear, 60).await.expect("answers").expect("theirs");
    assert!(!reads(stores, member, before).await && !reads(stores, member, since).await);
}

/// Another's file, one that is not whole, one that is not there: nothing of the batch is placed, whatever else is in it, and
/// asking beforehand says which one it is. Once it is whole it is placed.
pub async fn a_message_refers_only_to_whole_files_of_its_sender(stores: &Stores) {
    let mut lane = lane(stores).await;
    let [one, two] = lane.users;
    let (secret, own) = (whole(stores, new(one)).await, whole(stores, new(two)).await);
    let half = new(two);
    stores.files.announce(half.clone(), ROOM, 10).await.expect("room");
    let asked = [secret, half.id, own, FileId::generate()].map(|file| (file, two));
    assert_eq!(stores.timeline.files(&asked).await.expect("answers"), [false, false, true, false]);
    assert_eq!(stores.timeline.files(&[]).await.expect("answers"), [false; 0]);
    let (first, second, third) = (lane.row(1), lane.row(1), lane.row(1));
    for (file, _) in [asked[0], asked[1], asked[3]] {
        let rows = vec![first.clone(), with_file(second.clone(), own), with_file(third.clone(), file)];
        for cursors in [Vec::new(), vec![CursorWrite { conversation: lane.conversation, user: one, cursors: READ }]] {
            let refused = stores.timeline.commit(PlaceBatch { rows: rows.clone(), cursors }).await;
            assert!(matches!(refused, Err((_, CommitError::NoFile))), "{refused:?}");
        }
        assert!(
            stores.timeline.read(lane.conversation, Seq(first.message.seq.0 - 1), 9).await.expect("answers").is_empty()
        );
    }
    assert!(!reads(stores, two, secret).await && !reads(stores, one, own).await);
    stores.files.complete(half.id, Kept::Own, None, 20).await.expect("there");
    commit(stores, vec![first, with_file(second, own), with_file(third, half.id)]).await;
    assert!(reads(stores, one, half.id).await && reads(stores, one, own).await);
    let mut short = lane.row(0);
    short.message.kind = MessageKind::IMAGE;
    short.message.body = Bytes::from_static(b"short");
    commit(stores, vec![short]).await;
}

/// Also when both come in one batch. Another message that came with the same file keeps it.
pub async fn what_is_taken_back_frees_its_file(stores: &Stores) {
    let mut lane = lane(stores).await;
    let [owner, other] = lane.users;
    let files = [whole(stores, new(owner)).await, whole(stores, new(owner)).await, whole(stores, new(owner)).await];
    let mut rows: Vec<NewRow> = files.iter().map(|file| with_file(lane.row(0), *file)).collect();
    let places: Vec<u64> = rows.iter().map(|row| row.message.seq.0).collect();
    let twice = with_file(lane.row(0), files[1]);
    rows.push(twice);
    rows.push(about(lane.follow_up(0), MessageKind::RECALL, places[0]));
    commit(stores, rows).await;
    let freed = blob(stores, files[0]).await;
    assert!(!reads(stores, other, files[0]).await);
    let recalls = vec![
        about(lane.follow_up(0), MessageKind::RECALL, places[1]),
        about(lane.follow_up(0), MessageKind::REACTION, places[2]),
    ];
    commit(stores, recalls).await;
    assert!(reads(stores, other, files[1]).await, "another message came with it");
    assert_eq!([needed(stores, files[0]).await, needed(stores, files[1]).await], [false, true]);
    assert!(reads(stores, other, files[2]).await);
    assert!(reads(stores, owner, files[0]).await, "it is theirs");
    assert_eq!(collected(stores, LATER).await, [freed]);
    assert_eq!(usage(stores, owner).await, [200, 2, 0]);
    assert!(reads(stores, other, files[1]).await);
    // Both messages of one file, in one batch.
    let again = with_file(lane.row(0), files[2]);
    let at = again.message.seq.0;
    commit(stores, vec![again]).await;
    let recalls = vec![
        about(lane.follow_up(0), MessageKind::RECALL, places[2]),
        about(lane.follow_up(0), MessageKind::RECALL, at),
    ];
    commit(stores, recalls).await;
    assert!(!needed(stores, files[2]).await);
}

/// A message that is older than is kept, the one that stays without its body, and those of somebody who is erased need
/// their files no more; the others do.
pub async fn what_is_not_kept_frees_its_file(stores: &Stores) {
    let mut lane = lane(stores).await;
    let [owner, other] = lane.users;
    let mut files = Vec::new();
    for sender in [owner, owner, owner, other] {
        files.push(whole(stores, new(sender)).await);
    }
    let senders = [0, 0, 0, 1];
    let rows: Vec<NewRow> =
        files.iter().zip(senders).map(|(file, sender)| with_file(lane.row(sender), *file)).collect();
    let places: Vec<Seq> = rows.iter().map(|row| row.message.seq).collect();
    let conversation = rows[0].message.conversation;
    commit(stores, rows).await;
    stores.keeping.raise_floor(conversation, places[1]).await.expect("answers");
    // From that moment; the rows go later.
    for swept in [false, true] {
        for (file, stays) in files.iter().zip([false, false, true, true]) {
            let reader = if *file == files[3] { owner } else { other };
            assert_eq!(reads(stores, reader, *file).await, stays, "by its message, swept: {swept}");
        }
        while stores.keeping.sweep(conversation, 1).await.expect("answers") > 0 {}
    }
    assert!(!needed(stores, files[0]).await && !needed(stores, files[1]).await && needed(stores, files[2]).await);
    stores.keeping.erase(other).await.expect("noted");
    while stores.keeping.erase_some(other, 100).await.expect("answers").more {}
    assert!(!reads(stores, owner, files[3]).await, "what was erased");
    assert!(reads(stores, other, files[2]).await, "what another said");
    assert_eq!(collected(stores, u64::MAX >> 1).await.len(), 3);
    assert!(reads(stores, other, files[2]).await);
}

/// Uploads that rest and files that nothing refers to, after their time; nothing else, however old.
pub async fn what_a_message_refers_to_is_not_collected(stores: &Stores) {
    let mut lane = lane(stores).await;
    let owner = lane.users[0];
    let (said, unsaid) = (whole(stores, new(owner)).await, whole(stores, new(owner)).await);
    let row = with_file(lane.row(0), said);
    commit(stores, vec![row]).await;
    let upload = new(owner);
    let begun = stores.files.announce(upload.clone(), ROOM, 10).await.expect("room").blob;
    let unsaid = blob(stores, unsaid).await;
    assert_eq!(collected(stores, 10).await, []);
    stores.files.touch(upload.id, 50).await.expect("answers");
    assert_eq!(collected(stores, 21).await, [unsaid]);
    assert_eq!(collected(stores, LATER).await, [unsaid.min(begun), unsaid.max(begun)]);
    assert!(reads(stores, owner, said).await);
    let refused = stores.files.discard(owner, said).await;
    assert!(matches!(refused, Err(FileError::Attached)), "{refused:?}");
    let unsaid = whole(stores, new(owner)).await;
    let foreign = stores.files.discard(lane.users[1], unsaid).await;
    assert!(matches!(foreign, Err(FileError::NoSuchFile)), "{foreign:?}");
    stores.files.discard(owner, unsaid).await.expect("theirs");
    assert!(!reads(stores, owner, unsaid).await);
    let trash = stores.files.trash(100).await.expect("answers");
    assert_eq!(trash.len(), 3);
    stores.files.swept(&trash).await.expect("answers");
    assert_eq!(stores.files.trash(100).await.expect("answers"), []);
}

/// Shared by a proof or a copy: it is thrown away with the last one. What is thrown away is not given to anybody.
pub async fn content_ends_with_its_last_file(stores: &Stores) {
    let users = people(&*stores.directory, "user", 3).await;
    let first = whole(stores, new(users[0])).await;
    let content = blob(stores, first).await;
    assert_eq!(stores.files.shared([3; 32], 100).await.expect("answers"), Some(content));
    assert_eq!(stores.files.shared([3; 32], 101).await.expect("answers"), None);
    let second = new(users[1]);
    let received = stores.files.announce(second.clone(), ROOM, 10).await.expect("room").blob;
    let row = stores.files.complete(second.id, Kept::Shared(content), None, 20).await.expect("there");
    assert_eq!((row.blob, usage(stores, users[1]).await), (content, [100, 1, 0]));
    stores.files.discard(users[0], first).await.expect("theirs");
    let trash = stores.files.trash(100).await.expect("answers");
    assert_eq!(trash, [received], "what was received of the second");
    assert_eq!(stores.files.shared([3; 32], 100).await.expect("answers"), Some(content), "the second has it");
    stores.files.discard(users[1], second.id).await.expect("theirs");
    assert_eq!(stores.files.shared([3; 32], 100).await.expect("answers"), None);
    let mut thrown = vec![content, received];
    thrown.sort_unstable();
    assert_eq!(collected(stores, 0).await, thrown);
    let third = new(users[2]);
    stores.files.announce(third.clone(), ROOM, 10).await.expect("room");
    let late = stores.files.complete(third.id, Kept::Shared(content), None, 20).await;
    assert!(matches!(late, Err(FileError::NoSuchFile)), "{late:?}");
}

/// The same bytes uploaded sealed by two users are two contents.
pub async fn encrypted_content_is_not_found_by_its_hash(stores: &Stores) {
    let user = people(&*stores.directory, "user", 1).await[0];
    let sealed = NewFile { encrypted: true, hash: [5; 32], ..new(user) };
    whole(stores, sealed).await;
    assert_eq!(stores.files.shared([5; 32], 100).await.expect("answers"), None);
}

/// A file is said while it is collected, again and again: either it is there for both afterwards, or it was gone before it
/// was said, and the message is not placed.
pub async fn attaching_and_collecting_at_once_never_lose_a_file(stores: &Stores) {
    let mut lane = lane(stores).await;
    let [owner, other] = lane.users;
    for round in 0..12 {
        let file = whole(stores, new(owner)).await;
        let content = blob(stores, file).await;
        let row = with_file(lane.row(0), file);
        let seq = row.message.seq;
        let (timeline, files) = (Arc::clone(&stores.timeline), Arc::clone(&stores.files));
        let place = async {
            if round % 3 == 0 {
                tokio::task::yield_now().await;
            }
            timeline.commit(PlaceBatch { rows: vec![row], cursors: Vec::new() }).await
        };
        let (placed, done) = tokio::join!(place, files.collect(LATER, LATER, 10));
        let gone = done.expect("answers") > 0;
        assert_eq!(reads(stores, owner, file).await, !gone, "round {round}");
        assert_eq!(reads(stores, other, file).await, !gone, "round {round}");
        match placed {
            Ok(_) => assert!(!gone, "round {round}"),
            Err((_, CommitError::NoFile)) if gone => lane.takes_back_row(0),
            Err((_, error)) => panic!("round {round}: {error}"),
        }
        if gone {
            continue;
        }
        let recall = about(lane.follow_up(0), MessageKind::RECALL, seq.0);
        commit(stores, vec![recall]).await;
        assert!(collected(stores, LATER).await.contains(&content));
        assert_eq!(usage(stores, owner).await, [0, 0, 0]);
    }
}

/// The bytes of a picture that was cleaned are others than were announced: the file then is what is kept, takes up no more
/// room than that, and is the same file when its announcement is repeated.
pub async fn what_is_made_of_an_upload_is_kept_instead_of_it(stores: &Stores) {
    let users = people(&*stores.directory, "user", 2).await;
    let (file, seen) = (photo(users[0]), picture());
    let begun = stores.files.announce(file.clone(), ROOM, 10).await.expect("room");
    let made = Kept::Made { hash: [4; 32], size: 60 };
    let done = stores.files.complete(file.id, made, Some(seen.clone()), 20).await.expect("there");
    assert_eq!((done.blob, done.announced), (begun.made(), Some((100, [3; 32]))));
    assert_eq!((done.file.size, done.file.hash, done.picture.as_ref()), (60, [4; 32], Some(&seen.picture)));
    assert_eq!(usage(stores, users[0]).await, [60, 1, 0]);
    assert_eq!(stores.files.trash(9).await.expect("answers"), [begun.blob], "what was uploaded goes");
    assert_eq!(stores.files.file(file.id).await.expect("answers").as_ref(), Some(&done));
    assert_eq!(stores.files.complete(file.id, Kept::Own, None, 30).await.expect("again"), done);
    assert_eq!(stores.files.announce(file.clone(), ROOM, 30).await.expect("the same"), done);
    let other = stores.files.announce(NewFile { size: 60, hash: [4; 32], ..file.clone() }, ROOM, 30).await;
    assert!(matches!(other, Err(FileError::Taken)), "{other:?}");
    let kept = NewFile { keeps_metadata: true, ..file.clone() };
    let kept = stores.files.announce(kept, ROOM, 30).await;
    assert!(matches!(kept, Err(FileError::Taken)), "{kept:?}");
    // It is found by the hash of what is kept, and not by that of what was announced; who shares it has its looks too.
    assert_eq!(stores.files.shared([3; 32], 100).await.expect("answers"), None);
    assert_eq!(stores.files.shared([4; 32], 60).await.expect("answers"), Some(done.blob));
    let second = photo(users[1]);
    stores.files.announce(second.clone(), ROOM, 10).await.expect("room");
    let same = stores.files.complete(second.id, Kept::Shared(done.blob), None, 20).await.expect("there");
    assert_eq!((same.blob, same.file.size, same.picture), (done.blob, 60, done.picture));
    assert_eq!(usage(stores, users[1]).await, [60, 1, 0]);
    assert_eq!(stores.files.thumbnail(done.blob).await.expect("answers"), Some(seen.thumbnail));
    for (user, file) in [(users[0], file.id), (users[1], second.id)] {
        stores.files.discard(user, file).await.expect("theirs");
        assert_eq!(usage(stores, user).await, [0, 0, 0]);
    }
    assert_eq!(stores.files.thumbnail(done.blob).await.expect("answers"), None, "it went with its content");
}

/// A readable picture.
fn photo(owner: UserId) -> NewFile {
    NewFile { content_type: "image/png".into(), ..new(owner) }
}

fn picture() -> NewPicture {
    let picture = Picture { width: 40, height: 20, blur_hash: "LEHV6nWB".into(), has_thumbnail: true };
    NewPicture { picture, thumbnail: Bytes::from_static(b"jpeg") }
}

/// A process that was killed may have made something of the upload already: it is thrown away with the upload, and when
/// something else is kept. Nothing is made of what is sealed, is no picture, or is to be kept as it is.
pub async fn what_may_have_been_made_of_an_upload_is_thrown_away_with_it(stores: &Stores) {
    let user = people(&*stores.directory, "user", 1).await[0];
    let mut expected = Vec::new();
    for (index, other) in [
        photo(user),
        NewFile { encrypted: true, ..photo(user) },
        new(user),
        NewFile { keeps_metadata: true, ..photo(user) },
    ]
    .into_iter()
    .enumerate()
    {
        let row = stores.files.announce(other.clone(), ROOM, 10).await.expect("room");
        stores.files.discard(user, other.id).await.expect("theirs");
        expected.push(row.blob);
        if index == 0 {
            expected.push(row.made());
        }
    }
    let file = photo(user);
    let row = stores.files.announce(file.clone(), ROOM, 10).await.expect("room");
    stores.files.complete(file.id, Kept::Own, None, 20).await.expect("there");
    expected.push(row.made());
    expected.sort_unstable();
    let mut trash = stores.files.trash(20).await.expect("answers");
    trash.sort_unstable();
    assert_eq!(trash, expected);
}

/// The newest first, uploads too, page by page, also where several began in one millisecond; nobody else's.
pub async fn a_users_files_are_listed_by_age(stores: &Stores) {
    let users = people(&*stores.directory, "user", 2).await;
    let room = Usage { bytes: 10_000, files: 100, uploads: 100 };
    let mut expected = Vec::new();
    for at in [10, 30, 30, 30, 20] {
        let row = stores.files.announce(new(users[0]), room, at).await.expect("room");
        expected.push(row);
    }
    expected[0] = stores.files.complete(expected[0].file.id, Kept::Own, Some(picture()), 40).await.expect("there");
    stores.files.announce(new(users[1]), room, 25).await.expect("room");
    expected.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.file.id)));
    let (mut listed, mut before) = (Vec::new(), None);
    loop {
        let page = stores.files.files_of(users[0], before, 2).await.expect("answers");
        let Some(last) = page.last() else { break };
        before = Some((last.created_at, last.file.id));
        listed.extend(page);
    }
    assert_eq!(listed, expected);
}
