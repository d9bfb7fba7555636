//! What holds for the engines in memory beyond the conformance suites.

mod log {
    use std::sync::Arc;

    use super::super::{MemoryLog, MemoryLogConfig};
    use crate::Log;

    async fn open() -> Arc<dyn Log> {
        Arc::new(MemoryLog::default())
    }

    crate::log_conformance!(open);

    fn record() -> crate::Record {
        let (batch, transfer) = (whimbrel_core::BatchId::generate(), whimbrel_core::TransferId::generate());
        crate::Record { batch, transfer, entries: Vec::new() }
    }

    fn is_pending<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::Pin::new(future).poll(&mut context).is_pending()
    }

    /// Polled after the append and after the delivery it is not there; after the acknowledgement it is. Gone with the
    /// log it is an error.
    #[tokio::test]
    async fn a_confirm_comes_with_the_acknowledgement_and_not_before() {
        let log = MemoryLog::default();
        let mut confirm = log.append(0, record()).expect("room");
        let mut lost = log.append(0, record()).expect("room");
        assert!(is_pending(&mut confirm));
        let mut consumer = log.consume().await.expect("nobody consumes");
        let taken = consumer.next(10).await.expect("answers");
        assert!(is_pending(&mut confirm));
        consumer.acknowledge(&[(0, taken[0].tag)]).await.expect("answers");
        assert_eq!(confirm.await, Ok(()));
        assert!(is_pending(&mut lost));
        drop((consumer, log));
        assert!(lost.await.is_err());
    }

    /// Full by records that are not acknowledged, delivered or not; room again after an acknowledgement.
    #[tokio::test]
    async fn a_full_partition_takes_no_more_until_one_is_acknowledged() {
        let log = MemoryLog::new(MemoryLogConfig { records_max: 3, partitions: 2, ..Default::default() });
        let mut confirms: Vec<_> = (0..3).map(|_| log.append(1, record()).expect("room")).collect();
        let full = |log: &MemoryLog| matches!(log.append(1, record()).map(drop), Err(crate::LogError::Full));
        assert!(full(&log));
        confirms.push(log.append(0, record()).expect("another partition"));
        let mut consumer = log.consume().await.expect("nobody consumes");
        let taken = consumer.next(10).await.expect("answers");
        assert_eq!((taken.len(), log.len()), (4, 4));
        assert!(full(&log));
        let first = taken.iter().find(|one| one.partition == 1).expect("three of it");
        consumer.acknowledge(&[(1, first.tag)]).await.expect("answers");
        confirms.push(log.append(1, record()).expect("room again"));
        assert!(full(&log));
        assert!(log.append(2, record()).is_err(), "there are two partitions");
    }

    /// The next consumer repeats an acknowledgement of the former one's before it has taken anything: nothing is lost.
    #[tokio::test]
    async fn what_is_with_nobody_cannot_be_acknowledged() {
        let log = MemoryLog::default();
        let _confirms: Vec<_> = (0..2).map(|_| log.append(0, record()).expect("room")).collect();
        let mut former = log.consume().await.expect("nobody consumes");
        let tag = former.next(10).await.expect("answers")[1].tag;
        drop(former);
        let mut consumer = log.consume().await.expect("its turn");
        consumer.acknowledge(&[(0, tag), (7, tag)]).await.expect("answers");
        assert_eq!(consumer.next(10).await.expect("answers").len(), 2);
    }
}

mod user_status {
    use std::sync::Arc;

    use whimbrel_core::{ConnectorId, DeviceId, SessionId, UserId};

    use super::super::MemoryUserStatus;
    use crate::{Route, UserStatus};

    async fn open() -> Arc<dyn UserStatus> {
        Arc::new(MemoryUserStatus::new())
    }

    crate::user_status_conformance!(open);

    /// Ten thousand users with one session each, their tables' free room counted; and the room comes back.
    #[tokio::test]
    async fn an_idle_session_costs_at_most_150_bytes() {
        let status = MemoryUserStatus::new();
        let sessions: Vec<_> = (1..=10_000).map(|user| (UserId(user), route())).collect();
        status.online(&sessions).await.expect("answers");
        let per_session = status.bytes() / sessions.len();
        assert!((64..=150).contains(&per_session), "{per_session} bytes");
        let goodbyes: Vec<_> = sessions.iter().map(|(user, route)| (*user, route.session)).collect();
        status.offline(&goodbyes).await.expect("answers");
        assert!(status.is_empty());
        assert!(status.bytes() < 200_000, "{} bytes", status.bytes());
    }

    fn route() -> Route {
        Route {
            session: SessionId::generate(),
            device: DeviceId::generate(),
            connector: ConnectorId::generate(),
            since: 1,
        }
    }
}
