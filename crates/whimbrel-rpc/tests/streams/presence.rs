//! Questions about presence over streams, and beside transfers that do not know it.

use whimbrel_core::{Sight, UserId};
use whimbrel_rpc::grpc::{Limits, PROTOCOL};
use whimbrel_rpc::{Stirred, Stirring, Transfer};

use crate::support::*;

fn stirring() -> Stirring {
    Stirring { users: vec![UserId(7), UserId(u64::MAX)], since: 50, gone: vec![(UserId(9), 40)] }
}

#[tokio::test]
async fn what_a_connector_asks_of_presence_is_answered() {
    let node = Node::start().await;
    let client = Client::start(&[&node]).await;
    let looks = vec![(UserId(1), UserId(2)), (UserId(5), UserId(4)), (UserId(1), UserId(3))];
    let sight = |invisible, seen_at| Some(Sight { invisible, last_seen_hidden: false, seen_at });
    assert_eq!(client.transfers.sights(looks.clone()).await, Some(vec![sight(false, 2), None, sight(true, 3)]));
    let stirred = Stirred { as_of: 51, here: Some(stirring().users), changed: Some(vec![UserId(9)]) };
    assert_eq!(client.transfers.stirred(stirring()).await, Some(stirred.clone()));
    *node.transfer.is_blind.lock() = true;
    assert_eq!(client.transfers.sights(looks).await, None);
    assert_eq!(client.transfers.stirred(stirring()).await, Some(Stirred { here: None, ..stirred }));
}

/// A frozen transfer is not waited for: another one is asked.
#[tokio::test]
async fn another_transfer_is_asked_when_one_does_not_answer() {
    let (one, two) = (Node::start().await, Node::start().await);
    let limits = Limits { renew_within: std::time::Duration::from_secs(1), ..limits() };
    let client = Client::with(limits, &[&one, &two]).await;
    for frozen in [&one, &two] {
        frozen.transfer.gate.set(false);
        for _ in 0..3 {
            assert!(client.transfers.stirred(stirring()).await.is_some());
        }
        frozen.transfer.gate.set(true);
    }
}

/// A transfer of one number less is not asked: it would end the stream. Beside it, one that knows is.
#[tokio::test]
async fn a_transfer_of_the_protocol_before_is_not_asked_for_presence() {
    let older = Node::with(Limits { protocol: PROTOCOL - 1, ..limits() }, security()).await;
    let client = Client::start(&[&older]).await;
    assert_eq!(client.transfers.stirred(stirring()).await, None);
    assert_eq!(client.transfers.sights(vec![(UserId(1), UserId(2))]).await, None);
    assert_eq!(client.transfers.reachable(), 1, "the stream stands");
    let newer = Node::start().await;
    let client = Client::start(&[&older, &newer]).await;
    for _ in 0..8 {
        assert!(client.transfers.stirred(stirring()).await.is_some());
    }
}
