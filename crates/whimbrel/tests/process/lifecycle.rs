//! From the start to the stop.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use whimbrel_core::GoodbyeCode;

use crate::support::{ADMIN_KEY, PATIENCE, Server, run, stderr};
use crate::{session, support};

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.clients).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

/// Two clients sit there and do nothing. They are told to move, and the server does not wait for more than that.
#[tokio::test]
async fn sigterm_tells_open_clients_to_move_and_exits_with_0_quickly() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(&folder, &[]);
    let (anna, bert) = server.two_friends().await;
    let mut streams = [connect(&server), connect(&server)];
    for (stream, user) in streams.iter_mut().zip([anna, bert]) {
        session::open(stream, &server.token(user).await);
    }
    let told = Instant::now();
    server.signal(Signal::TERM);
    for stream in &mut streams {
        assert_eq!(session::goodbye(stream), GoodbyeCode::MOVING);
    }
    let status = server.wait();
    assert!(status.success(), "{status}:\n{}", server.log());
    assert!(told.elapsed() < Duration::from_secs(15), "{:?}", told.elapsed());
    let unexpected: Vec<_> =
        server.log().lines().filter(|line| !line.contains("\"INFO\"")).map(str::to_owned).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

/// The first signal waits for a connection that never ends its TLS handshake or Hello; the second does not.
#[tokio::test]
async fn a_second_signal_ends_the_process_at_once_with_130() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    // The goodbye is given a minute, and the client never closes.
    let mut server = Server::start(&folder, &["--set", "clients.goodbye_linger=1m", "--set", "process.stop_within=5m"]);
    let (anna, _) = server.two_friends().await;
    let mut stream = connect(&server);
    session::open(&mut stream, &server.token(anna).await);
    server.signal(Signal::INT);
    assert_eq!(session::goodbye(&mut stream), GoodbyeCode::MOVING, "the stop has begun");
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(130), "{}", server.log());
}

#[tokio::test]
async fn a_second_server_on_the_same_data_folder_is_refused_with_the_firsts_process() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder, &[]);
    let second =
        run(folder.path(), &["standalone", "--data", "data", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let expected = format!("The data folder data is in use by process {} (whimbrel standalone)", server.pid());
    assert!(stderr(&second).contains(&expected), "{}", stderr(&second));
    server.stop();
}

/// SIGKILL leaves the lock file and the write-ahead log; neither stands in the way, and what was there is there.
#[tokio::test]
async fn a_killed_server_starts_again_with_what_it_had() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder, &[]);
    let (anna, _) = server.two_friends().await;
    server.kill();
    let server = Server::start(&folder, &[]);
    let token = server.token(anna).await["access_token"].as_str().expect("a token").to_owned();
    let (status, me) = server.get("/v1/me", &token).await;
    assert_eq!(status, 200, "{me}");
    assert!(me.contains("\"anna\""), "{me}");
    server.stop();
}

#[tokio::test]
async fn health_is_ready_while_it_runs_and_not_after() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder, &[]);
    let http = server.http.to_string();
    let ask = || run(folder.path(), &["health", "--http", &http, "--json"]);
    let answer = support::stdout_json(&ask());
    assert_eq!((&answer["ready"], &answer["status"]), (&true.into(), &200.into()), "{answer}");
    server.stop();
    let output = ask();
    assert_eq!(output.status.code(), Some(1));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["ready"], false, "{answer}");
}

/// What all roles count is rendered, for this machine, without a token.
#[tokio::test]
async fn metrics_of_all_roles_are_rendered() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder, &[]);
    let (anna, _) = server.two_friends().await;
    let mut stream = connect(&server);
    session::open(&mut stream, &server.token(anna).await);
    let (status, text) = server.get("/metrics", "").await;
    assert_eq!(status, 200);
    let figures = [
        "whimbrel_build_info{",
        "whimbrel_connector_sessions 1",
        "whimbrel_api_requests_total{",
        "whimbrel_log_records 0",
    ];
    for figure in figures {
        assert!(text.contains(figure), "{figure} in\n{text}");
    }
    assert!(!text.contains(ADMIN_KEY));
    server.stop();
}
