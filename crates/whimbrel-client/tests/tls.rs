//! TLS for REST and for the socket.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use whimbrel_client::testing::FakeServer;
use whimbrel_client::{Client, Rest};

/// Listens with TLS and passes on to `inner`; gives the port.
async fn terminate(config: Arc<ServerConfig>, inner: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, inner) = (TlsAcceptor::from(config.clone()), inner.clone());
            tokio::spawn(async move {
                if let Ok(mut outer) = acceptor.accept(stream).await {
                    let mut inner = TcpStream::connect(inner).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
                }
            });
        }
    });
    port
}

/// With the right root certificate everything works over TLS; with another one nothing does.
#[tokio::test]
async fn rest_and_socket_speak_tls_and_trust_the_given_root_only() {
    let fake = FakeServer::start().await;
    let (alice, _, chat) = fake.friends("alice", "bob");
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(certificate.cert.der().to_vec())];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let api = terminate(config.clone(), fake.api_url().trim_start_matches("http://").into()).await;
    let socket = terminate(config, fake.server()).await;
    let (api, socket) = (format!("https://localhost:{api}"), format!("localhost:{socket}"));

    let build = || Client::builder(&api, &socket).credentials(fake.credentials(alice));
    let (client, _events) = build().root_certificate(certificate.cert.pem()).connect().await.unwrap();
    timeout(Duration::from_secs(20), client.wait_online()).await.unwrap().unwrap();
    let id = client.send_text(chat, "over TLS").await.unwrap();
    timeout(Duration::from_secs(20), client.sent(chat, id)).await.unwrap().unwrap();
    client.close().await;

    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap().cert.pem();
    let rest = Rest::with_root_certificate(&api, stranger.as_bytes()).unwrap();
    assert!(rest.log_in("alice", "secret", &whimbrel_client::DeviceInfo::default()).await.is_err());
}
