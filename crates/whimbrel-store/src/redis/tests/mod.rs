//! What holds for Redis beyond the conformance suite.

mod config;
mod faults;
mod roster;
mod server;

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

    use super::server::{Cluster, quick};
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
}
