//! Over real sockets: plain and TLS, slow and impatient peers, and leaving politely.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use whimbrel_api::{Config, TlsSource};

use crate::support::{Api, PASSWORD, config};

const SOON: Duration = Duration::from_secs(10);

struct Server {
    api: Api,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(config: Config, tls: Option<TlsSource>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = Api::with(config);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
        let (role, token) = (api.role.clone(), stop.clone());
        let task = tokio::spawn(async move { role.serve(listener, tls, token).await });
        Self { api, address, stop, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn stopped(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.expect("in time").expect("no panic");
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().build().expect("a client")
}

/// A certificate for 127.0.0.1 that vouches for itself.
fn certificate() -> (CertificateDer<'static>, Arc<rustls::ServerConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.expect("versions").with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
    (made.cert.der().clone(), Arc::new(config.expect("a pair")))
}

#[tokio::test]
async fn people_register_and_ask_over_a_socket() {
    let server = Server::start(config(), None).await;
    let client = client();
    let form = json!({"handle": "anna", "password": PASSWORD});
    let answer = client.post(server.url("/v1/register")).json(&form).send().await.expect("an answer");
    assert_eq!(answer.status(), 201);
    let body: Value = answer.json().await.expect("JSON");
    let token = body["access_token"].as_str().expect("a token");
    let me = client.get(server.url("/v1/me")).bearer_auth(token).send().await.expect("an answer");
    assert_eq!(me.json::<Value>().await.expect("JSON"), body["user"]);
    let metrics = client.get(server.url("/metrics")).send().await.expect("an answer");
    assert_eq!(metrics.status(), 200, "the socket's address is this machine's");
    server.stopped().await;
}

#[tokio::test]
async fn tls_serves_and_new_certificates_count_for_new_connections() {
    // Idea: the source gives another certificate each time; a client that trusts one of them fits one connection only.
    let (first, first_config) = certificate();
    let (second, second_config) = certificate();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let source: TlsSource = Arc::new(move || match counter.fetch_add(1, Ordering::SeqCst) {
        0 => first_config.clone(),
        _ => second_config.clone(),
    });
    let server = Server::start(config(), Some(source)).await;
    let url = format!("https://{}/healthz", server.address);
    for certificate in [first, second] {
        let root = reqwest::Certificate::from_der(&certificate).expect("a certificate");
        let client = reqwest::Client::builder().tls_certs_only([root]).build().expect("a client");
        assert_eq!(client.get(&url).send().await.expect("an answer").status(), 200);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    server.stopped().await;
}

#[tokio::test]
async fn a_peer_that_is_silent_in_its_handshake_holds_nobody_up() {
    let (certificate, tls) = certificate();
    let config = Config { handshake_timeout: Duration::from_millis(300), ..config() };
    let server = Server::start(config, Some(Arc::new(move || tls.clone()))).await;
    let mut silent = TcpStream::connect(server.address).await.expect("connected");
    let root = reqwest::Certificate::from_der(&certificate).expect("a certificate");
    let client = reqwest::Client::builder().tls_certs_only([root]).build().expect("a client");
    let url = format!("https://{}/healthz", server.address);
    assert_eq!(client.get(&url).send().await.expect("an answer").status(), 200);
    let read = tokio::time::timeout(SOON, silent.read(&mut [0; 1])).await.expect("closed in time");
    assert!(matches!(read, Ok(0) | Err(_)));
    server.stopped().await;
}

#[tokio::test]
async fn half_a_head_is_given_up_and_half_a_body_is_answered_timeout() {
    let quick = Duration::from_millis(300);
    let server = Server::start(Config { head_timeout: quick, request_timeout: quick, ..config() }, None).await;
    let mut half_head = TcpStream::connect(server.address).await.expect("connected");
    half_head.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.expect("written");
    let mut half_body = TcpStream::connect(server.address).await.expect("connected");
    let head = b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    half_body.write_all(head).await.expect("written");
    let mut rest = Vec::new();
    let read = tokio::time::timeout(SOON, half_head.read_to_end(&mut rest)).await.expect("closed in time");
    assert!(read.is_err() || !rest.starts_with(b"HTTP/1.1 200"));
    let mut answer = vec![0; 12];
    tokio::time::timeout(SOON, half_body.read_exact(&mut answer)).await.expect("in time").expect("an answer");
    assert_eq!(answer, b"HTTP/1.1 504");
    server.stopped().await;
}

#[tokio::test]
async fn one_address_gets_its_share_of_connections_and_places_come_back() {
    let server = Server::start(Config { connections_per_address: 2, ..config() }, None).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.expect("connected");
        assert!(asks(&mut stream).await);
        held.push(stream);
    }
    let mut third = TcpStream::connect(server.address).await.expect("connected");
    assert!(!asks(&mut third).await, "closed at once");
    drop(held);
    let mut answered = false;
    for _ in 0..1000 {
        let mut next = TcpStream::connect(server.address).await.expect("connected");
        answered = asks(&mut next).await;
        if answered {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(answered);
    server.stopped().await;
}

#[tokio::test]
async fn a_connection_is_not_reused_beyond_its_age() {
    let server = Server::start(Config { connection_age_max: Duration::from_millis(200), ..config() }, None).await;
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    assert!(asks(&mut stream).await);
    let mut rest = Vec::new();
    tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await.expect("closed in time").expect("in order");
    server.stopped().await;
}

/// Whether the server answers on this connection, which stays open.
async fn asks(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 12];
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.is_ok()
        && tokio::time::timeout(SOON, stream.read_exact(&mut answer)).await.expect("in time").is_ok()
        && &answer == b"HTTP/1.1 200"
}

#[tokio::test]
async fn a_request_under_way_is_answered_when_the_server_stops() {
    // Idea: the announcement takes its time; the server is told to stop meanwhile.
    let server = Server::start(config(), None).await;
    let (anna, bert) = (server.api.register("anna").await, server.api.register("bert").await);
    *server.api.recorder.delay.lock().expect("not poisoned") = Duration::from_millis(300);
    let url = server.url(&format!("/v1/relations/{}/request", bert.id));
    let request = tokio::spawn(client().post(url).bearer_auth(&anna.access).send());
    wait_for_change(&server.api, anna.id, bert.id).await;
    let url = server.url("/healthz");
    server.stopped().await;
    let answer = request.await.expect("joined").expect("an answer");
    assert_eq!(answer.status(), 200);
    assert!(client().get(url).send().await.is_err(), "the port is closed");
}

#[tokio::test]
async fn what_was_committed_is_told_though_the_client_has_left() {
    // Idea: the client hangs up while the announcement is under way; it must arrive all the same.
    let server = Server::start(config(), None).await;
    let (anna, bert) = (server.api.register("anna").await, server.api.register("bert").await);
    server.api.recorder.take_rows();
    *server.api.recorder.delay.lock().expect("not poisoned") = Duration::from_millis(200);
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    let head = format!(
        "POST /v1/relations/{}/request HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 0\r\n\r\n",
        bert.id, anna.access
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    wait_for_change(&server.api, anna.id, bert.id).await;
    drop(stream);
    let recorder = server.api.recorder.clone();
    server.stopped().await;
    assert_eq!(recorder.take_rows().len(), 2);
}

async fn wait_for_change(api: &Api, user: u64, peer: u64) {
    let (user, peer) = (whimbrel_core::UserId(user), whimbrel_core::UserId(peer));
    let changed = async {
        while api.store.relation(user, peer).await.expect("a store").is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, changed).await.expect("in time");
}
