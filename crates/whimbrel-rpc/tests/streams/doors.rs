//! Who is let in.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use secrecy::SecretString;
use whimbrel_core::{ConnectorId, TransferId};
use whimbrel_rpc::grpc::{Announcer, Limits, PROTOCOL, Role, Security, Tls, TransferAt, Transfers};
use whimbrel_rpc::{Peers as _, Transfer as _};

use crate::support::*;

/// Gives a stranger the time to be let in by a server that lets somebody else in meanwhile, several times.
async fn stays_out(stranger: &Transfers, node: &Node, friend: &Security) {
    for _ in 0..3 {
        let (push, _) = FakePush::new();
        let known = Transfers::with_limits(ConnectorId::generate(), push, friend.clone(), limits());
        known.set(vec![node.at()]);
        eventually("who belongs there is let in", || known.reachable() == 1).await;
        assert_eq!(stranger.reachable(), 0);
    }
}

fn stranger(security: Security, limits: Limits, at: TransferAt) -> std::sync::Arc<Transfers> {
    let (push, _) = FakePush::new();
    let stranger = Transfers::with_limits(ConnectorId::generate(), push, security, limits);
    stranger.set(vec![at]);
    stranger
}

#[tokio::test]
async fn without_the_secret_nobody_is_let_in() {
    let node = Node::start().await;
    for secret in ["", "a secret of test", "a secret of testS"] {
        let wrong = Security { secret: SecretString::from(secret), tls: None };
        let connector = stranger(wrong.clone(), limits(), node.at());
        let announcer = Announcer::with(wrong, Role::Api, limits());
        announcer.set(vec![node.at()]);
        stays_out(&connector, &node, &security()).await;
        assert_eq!(announcer.reachable(), 0);
    }
}

#[tokio::test]
async fn neighbouring_protocols_run_together_and_others_do_not() {
    let of = |protocol| Limits { protocol, ..limits() };
    let node = Node::start().await;
    let neighbour = stranger(security(), of(PROTOCOL + 1), node.at());
    eventually("a neighbour is let in", || neighbour.reachable() == 1).await;
    let far = stranger(security(), of(PROTOCOL + 2), node.at());
    let announcer = Announcer::with(security(), Role::Archiver, of(PROTOCOL + 2));
    announcer.set(vec![node.at()]);
    stays_out(&far, &node, &security()).await;
    assert_eq!(announcer.reachable(), 0);
    assert!(!node.streams.connectors().is_empty());
}

/// A transfer that was killed and started again at its address is on the list twice, until the lease of the run before
/// has ended. Were that one's stream let in too, it would take the place of the connector's real one, and that its
/// place, and so on.
#[tokio::test]
async fn the_run_before_is_not_looked_for_where_another_transfer_listens() {
    let node = Node::start().await;
    let (push, _) = FakePush::new();
    let id = ConnectorId::generate();
    let connector = Transfers::with_limits(id, push, security(), limits());
    let before = TransferAt { id: TransferId::generate(), address: node.proxy.address.clone() };
    connector.set(vec![before.clone(), node.at()]);
    let stream = node.push_to(id).await;
    let announcer = Announcer::with(security(), Role::Archiver, limits());
    announcer.set(vec![before.clone()]);
    stays_out(&stranger(security(), limits(), before), &node, &security()).await;
    assert_eq!((connector.reachable(), announcer.reachable()), (1, 0));
    assert!(std::sync::Arc::ptr_eq(&stream, &node.push_to(id).await), "it is still the first stream");
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    /// A certificate and its key; `trusted`: the authority that others must be of.
    fn issue(&self, trusted: &Self) -> Tls {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["transfer.test".to_owned()]).expect("params");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        let name = Some("transfer.test".to_owned());
        Tls::new(&certificate.pem(), &key.serialize_pem(), &trusted.0.pem(), name).expect("usable")
    }
}

#[tokio::test]
async fn with_certificates_only_those_of_the_authority_are_let_in_and_trusted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let with = |tls| Security { tls, ..security() };
    let friend = with(Some(ours.issue(&ours)));
    let node = Node::with(limits(), with(Some(ours.issue(&ours)))).await;
    // The right secret in all of them.
    let plain = stranger(with(None), limits(), node.at());
    let foreign = stranger(with(Some(theirs.issue(&ours))), limits(), node.at());
    let distrusting = stranger(with(Some(ours.issue(&theirs))), limits(), node.at());
    for outside in [&plain, &foreign, &distrusting] {
        stays_out(outside, &node, &friend).await;
    }
    let client = stranger(friend, limits(), node.at());
    eventually("it is let in", || client.reachable() == 1).await;
    assert!(client.renew(ConnectorId::generate()).await.incarnation.is_some());
}

#[test]
fn certificates_that_are_none_are_known_at_the_start() {
    assert!(Tls::new("x", "y", "z", None).is_err());
    assert!(Tls::read("/nowhere/a", "/nowhere/b", "/nowhere/c", None).is_err());
}

/// Who opens a connection and says nothing does not keep others out, nor a server from stopping.
#[tokio::test]
async fn a_silent_connection_is_no_burden() {
    let node = Node::start().await;
    let _silent = tokio::net::TcpStream::connect(&node.proxy.address).await.expect("a connection");
    let friend = stranger(security(), limits(), node.at());
    eventually("others are let in", || friend.reachable() == 1).await;
    node.stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), node.serving).await.expect("in time").expect("ran").expect("served");
}
