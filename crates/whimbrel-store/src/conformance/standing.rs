//! Timeline and directory together: changed rights have a place in the order of messages.

use whimbrel_core::{DirectStanding, Members, MessageKind, Seq};

use super::people::{Lane, people};
use crate::directory::RelationChange;
use crate::{CommitError, Directory, PlaceBatch, Timeline};

/// An archiver that remembers a head from before a change: its next place is taken, whatever the change was; the head
/// that it reads then has the new rights, and the same counts.
pub async fn changed_rights_take_a_place_and_show_in_the_head(timeline: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 2).await;
    let [one, two] = users[..] else { unreachable!("two people") };
    let mut lane = Lane::new(timeline, directory, one, two).await;
    lane.say(timeline, 3).await;
    let friends = DirectStanding { friends: true, first_blocks: false, second_blocks: false };
    let request = RelationChange::Request { greeting: String::new() };
    let steps = [
        (one, two, RelationChange::Block, DirectStanding { first_blocks: true, ..friends }),
        (two, one, RelationChange::Block, DirectStanding { first_blocks: true, second_blocks: true, ..friends }),
        (one, two, RelationChange::Unblock, DirectStanding { second_blocks: true, ..friends }),
        (two, one, RelationChange::Unblock, friends),
        (two, one, RelationChange::Remove, DirectStanding::default()),
        (one, two, RelationChange::Block, DirectStanding { first_blocks: true, ..Default::default() }),
        (one, two, RelationChange::Unblock, DirectStanding::default()),
        (one, two, request, DirectStanding::default()),
        (two, one, RelationChange::Accept, friends),
    ];
    for (user, peer, change, expected) in steps {
        let places = !matches!(change, RelationChange::Request { .. });
        directory.change_relation(user, peer, change.clone(), 5).await.expect("it fits");
        let stale = PlaceBatch { rows: vec![lane.row(0)], cursors: Vec::new() };
        let stood = lane.seq;
        let head = timeline.heads(&[lane.conversation]).await.expect("answers")[0].clone().expect("exists");
        let Members::Direct { standing, .. } = head.members else { panic!("a direct conversation") };
        assert_eq!((standing, head.seq), (expected, Seq(stood - u64::from(!places))), "{change:?}");
        if places {
            let result = timeline.commit(stale).await;
            assert!(matches!(result, Err((_, CommitError::SeqTaken))), "{change:?}");
            let row = timeline.read(lane.conversation, Seq(stood - 1), 1).await.expect("answers").remove(0);
            assert_eq!((row.kind, row.sender, row.body.len()), (MessageKind::STANDING, one, 0));
            assert_eq!(row.at, 1004, "time never goes back along a conversation");
        }
        assert_eq!((head.n, head.first_own), (3, 2), "it counts for nobody");
        lane = Lane::of(timeline, lane.conversation, one, two).await;
    }
}
