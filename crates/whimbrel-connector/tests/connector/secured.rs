//! TLS: the handshake, and certificates that change.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use whimbrel_connector::Config;
use whimbrel_connector::tls::{Reloading, TlsError, load};
use whimbrel_core::DeviceId;
use whimbrel_wire::ServerPayload;

use crate::support::{Client, World, config, delivery, ms, send, until};

/// Writes a new certificate and key for localhost.
fn renew(folder: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("cert.pem"), cert.pem()).expect("written");
    std::fs::write(folder.join("key.pem"), signing_key.serialize_pem()).expect("written");
    cert.der().clone()
}

async fn open(folder: &Path) -> Arc<Reloading> {
    Reloading::open(&folder.join("cert.pem"), &folder.join("key.pem"), ms(10)).expect("good files")
}

/// A connection that trusts this certificate only.
async fn connect(world: &World, certificate: &CertificateDer<'static>) -> std::io::Result<Client> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(world.address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    Ok(Client::on(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}

#[tokio::test]
async fn a_session_over_tls_works_both_ways() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = renew(folder.path());
    let world = World::with_tls(config(), Some(open(folder.path()).await)).await;
    let mut client = connect(&world, &certificate).await.expect("a handshake");
    client.hello(world.hello_of(DeviceId::generate(), 60)).await;
    client.welcomed().await;
    client.ask(send()).await;
    until("it is heard", || world.transfer.requests() == 1).await;
    world.push(&client, delivery(&[60_000; 10])).await;
    let mut count = 0;
    while count < 10 {
        let Some(ServerPayload::Deliver(deliver)) = client.next().await.payload else { panic!("another frame") };
        count += deliver.messages.len();
    }
}

#[tokio::test]
async fn a_new_certificate_is_picked_up_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = renew(folder.path());
    let tls = open(folder.path()).await;
    let world = World::with_tls(config(), Some(tls.clone())).await;
    connect(&world, &first).await.expect("the first certificate");

    let before = tls.current();
    let second = renew(folder.path());
    until("the files are read again", || !Arc::ptr_eq(&before, &tls.current())).await;
    // The two files are written one after the other, so the pair may be seen as broken in between; at last it is good.
    connect(&world, &second).await.expect("the second certificate");
    assert!(connect(&world, &first).await.is_err(), "the first is no longer shown");

    std::fs::write(folder.path().join("cert.pem"), "not a certificate").expect("written");
    tokio::time::sleep(ms(100)).await;
    connect(&world, &second).await.expect("the last good one stays");
}

#[tokio::test]
async fn handshakes_that_do_not_end_hold_up_nobody_for_long() {
    // The idea: both turns are taken by clients that say nothing; who comes later gets in once their time is up.
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = renew(folder.path());
    let limited = Config { handshakes: 2, handshake_timeout: ms(500), ..config() };
    let world = World::with_tls(limited, Some(open(folder.path()).await)).await;
    let mut mute = Vec::new();
    for _ in 0..2 {
        mute.push(TcpStream::connect(world.address).await.expect("accepted"));
    }
    until("both are in", || world.connector.connections() == 2).await;
    tokio::time::sleep(ms(200)).await;
    let mut client = connect(&world, &certificate).await.expect("a handshake");
    client.hello(world.hello_of(DeviceId::generate(), 60)).await;
    client.welcomed().await;
    until("the mute ones are gone", || world.connector.connections() == 1).await;
    for stream in &mut mute {
        let _ = stream.shutdown().await;
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    assert!(matches!(load(&certificate, &key), Err(TlsError::Certificate { .. })));
    renew(folder.path());
    std::fs::write(&certificate, "").expect("written");
    assert!(matches!(load(&certificate, &key), Err(TlsError::NoCertificate { .. })));
    renew(folder.path());
    std::fs::remove_file(&key).expect("removed");
    let error = load(&certificate, &key).expect_err("no key");
    assert!(error.to_string().contains("key.pem"), "{error}");
    renew(folder.path());
    let other = tempfile::tempdir().expect("a folder");
    renew(other.path());
    assert!(matches!(load(&certificate, &other.path().join("key.pem")), Err(TlsError::Pair(_))));
}
