//! TLS on both sockets.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::support::{ADMIN_KEY, PATIENCE, Server, post};
use crate::{session, support};

/// One certificate, both sockets: a REST client that trusts nothing else gets its token, and a session opens with it.
/// Plain text is not understood by either.
#[tokio::test]
async fn with_a_certificate_both_sockets_speak_tls_and_nothing_else() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(folder.path().join("cert.pem"), pair.cert.pem()).expect("written");
    std::fs::write(folder.path().join("key.pem"), pair.signing_key.serialize_pem()).expect("written");
    let server = Server::start(&folder, &["--set", "tls.certificate=cert.pem", "--set", "tls.private_key=key.pem"]);

    let root = reqwest::Certificate::from_pem(pair.cert.pem().as_bytes()).expect("a certificate");
    let client = reqwest::Client::builder().tls_certs_only([root]).build().expect("a client");
    let url = format!("https://localhost:{}/v1/admin", server.http.port());
    let made = post(&client, &format!("{url}/users"), ADMIN_KEY, json!({"users": [{"handle": "anna"}]})).await;
    let user = &made["users"][0]["user"]["id"];
    let issued = post(&client, &format!("{url}/tokens"), ADMIN_KEY, json!({"tokens": [{"user": user}]})).await;

    let mut roots = RootCertStore::empty();
    roots.add(pair.cert.der().clone()).expect("a certificate");
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let socket = TcpStream::connect(server.clients).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    session::open(&mut StreamOwned::new(connection, socket), &issued["tokens"][0]);

    let plain = reqwest::Client::builder().no_proxy().build().expect("a client");
    plain.get(format!("http://{}/healthz", server.http)).send().await.expect_err("plain text gets no answer");
    let http = server.http.to_string();
    let set = ["--set", "tls.certificate=cert.pem", "--set", "tls.private_key=key.pem"];
    let health = support::run(folder.path(), &[&["health", "--http", &http, "--json"], &set[..]].concat());
    assert_eq!(support::stdout_json(&health)["ready"], true);
    server.stop();
}
