//! TLS: the handshake, and certificates that change.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
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

/// A client that trusts this certificate only.
fn client_config(certificate: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// A connection of such a client.
async fn connect(world: &World, certificate: &CertificateDer<'static>) -> std::io::Result<Client> {
    let config = client_config(certificate);
    let stream = TcpStream::connect(world.address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    Ok(Client::on(TlsConnector::from(config).connect(name, stream).await?))
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

/// The first bytes of a handshake.
fn client_hello(certificate: &CertificateDer<'static>) -> Vec<u8> {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut handshake = ClientConnection::new(client_config(certificate), name).expect("a client");
    let mut bytes = Vec::new();
    handshake.write_tls(&mut bytes).expect("a vector");
    bytes
}

#[tokio::test]
async fn handshakes_that_do_not_end_hold_up_nobody() {
    // The idea: there is one turn, and time without end. Some say nothing, some begin and wait for what is computed,
    // and then say nothing. Who comes after all of them gets in.
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = renew(folder.path());
    let limited = Config { handshakes: 1, handshake_timeout: ms(3_600_000), ..config() };
    let world = World::with_tls(limited, Some(open(folder.path()).await)).await;
    let mut stuck = Vec::new();
    for _ in 0..3 {
        stuck.push(TcpStream::connect(world.address).await.expect("accepted"));
    }
    for _ in 0..3 {
        let mut stream = TcpStream::connect(world.address).await.expect("accepted");
        stream.write_all(&client_hello(&certificate)).await.expect("connected");
        timeout(ms(20_000), stream.readable()).await.expect("an answer").expect("connected");
        stuck.push(stream);
    }
    until("all are in", || world.connector.connections() == 6).await;
    let late = timeout(ms(20_000), connect(&world, &certificate)).await.expect("it gets its turn");
    let mut client = late.expect("a handshake");
    client.hello(world.hello_of(DeviceId::generate(), 60)).await;
    client.welcomed().await;
    assert_eq!(world.connector.connections(), 7, "nobody had to go for it");
}

#[tokio::test]
async fn handshakes_end_in_time_whatever_they_wait_for() {
    // The idea: there is no turn at all. One says nothing, one half a ClientHello, one a whole one.
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = renew(folder.path());
    let limited = Config { handshakes: 0, handshake_timeout: ms(200), ..config() };
    let world = World::with_tls(limited, Some(open(folder.path()).await)).await;
    let hello = client_hello(&certificate);
    for part in [0, hello.len() / 2, hello.len()] {
        let mut stream = TcpStream::connect(world.address).await.expect("accepted");
        stream.write_all(&hello[..part]).await.expect("connected");
        let mut answer = Vec::new();
        // Closed with unread bytes or without; either way nothing was computed.
        let _ = timeout(ms(20_000), stream.read_to_end(&mut answer)).await.expect("it ends");
        assert!(answer.is_empty(), "{part} of {} bytes were answered", hello.len());
    }
    until("all are gone", || world.connector.connections() == 0).await;
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
