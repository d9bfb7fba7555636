//! What holds for Redis beyond the conformance suite.

mod config;
mod lives;
mod roster;
mod server;
mod service;

mod single {
    use std::sync::Arc;

    use super::server::shared;
    use crate::UserStatus;
    use crate::redis::RedisUserStatus;

    async fn open() -> Arc<dyn UserStatus> {
        Arc::new(RedisUserStatus::new(shared()).expect("a configuration"))
    }

    crate::user_status_conformance!(open);
}

mod cluster {
    use std::sync::Arc;

    use redis::cmd;
    use whimbrel_core::{ConnectorId, DeviceId, SessionId, UserId};

    use super::server::{Cluster, eventually, quick};
    use crate::redis::{RedisConfig, RedisUserStatus};
    use crate::{Route, StoreError, UserStatus};

    async fn open(cluster: &Cluster) -> Arc<dyn UserStatus> {
        Arc::new(RedisUserStatus::new(quick(cluster.config())).expect("a configuration"))
    }

    crate::user_status_conformance!(all_cases_hold_in_a_redis_cluster, Cluster::start(), open);

    /// One node of three is emptied, which holds other users than the one who asks first.
    #[tokio::test]
    async fn one_emptied_node_is_another_incarnation() {
        let cluster = Cluster::start();
        let config = quick(cluster.config());
        let connector = ConnectorId::from_bytes([9; 16]);
        let sure = RedisUserStatus::new(config.clone()).expect("a configuration");
        let first = sure.renew(connector).await.expect("answers");
        let hour = std::time::Duration::from_secs(3600);
        let status = RedisUserStatus::new(RedisConfig { routes_unsure: hour, lease: hour, ..config });
        let status = status.expect("a configuration");
        assert_eq!(status.renew(connector).await.expect("answers").incarnation, first.incarnation);
        let route = |user: u64| {
            let (session, device) = (SessionId::generate(), DeviceId::from_bytes([1; 16]));
            (UserId(user), Route { session, device, connector, since: 1 })
        };
        let sessions: Vec<_> = (1..=100).map(route).collect();
        status.online(&sessions).await.expect("answers");
        let users: Vec<UserId> = sessions.iter().map(|(user, _)| *user).collect();
        let located = status.locate(&users).await.expect("sure");
        assert!(sessions.iter().zip(&located).all(|((_, route), held)| held[..] == [*route]));
        cluster.nodes[1].ask::<()>(cmd("FLUSHALL"));
        let located = status.locate(&users).await;
        assert!(matches!(&located, Err(StoreError::Unavailable(why)) if why.contains("being rebuilt")), "{located:?}");
        assert_ne!(status.renew(connector).await.expect("answers").incarnation, first.incarnation);
    }

    /// It comes back with what it had saved, all of it; whether that was all, nobody can know.
    #[tokio::test]
    async fn a_node_that_was_killed_fails_calls_and_is_another_incarnation_when_it_is_back() {
        let mut cluster = Cluster::start();
        let config = quick(cluster.config());
        let sure = RedisUserStatus::new(config.clone()).expect("a configuration");
        let connector = ConnectorId::from_bytes([9; 16]);
        let first = sure.renew(connector).await.expect("answers").incarnation;
        let hour = std::time::Duration::from_secs(3600);
        let timeout = std::time::Duration::from_secs(2);
        let status = RedisUserStatus::new(RedisConfig { routes_unsure: hour, lease: hour, timeout, ..config });
        let status = status.expect("a configuration");
        let users: Vec<UserId> = (1..=32).map(UserId).collect();
        status.locate(&users).await.expect("sure");
        cluster.nodes[1].ask::<()>(cmd("SAVE"));
        cluster.nodes[1].kill();
        assert!(status.locate(&users).await.is_err());
        cluster.nodes[1].start_again();
        eventually(async || {
            let located = status.locate(&users).await;
            assert!(located.is_err(), "{located:?}");
            located.is_err_and(|error| error.to_string().contains("being rebuilt"))
        })
        .await;
        assert_ne!(status.renew(connector).await.expect("answers").incarnation, first);
    }
}
