//! What a send and its answer cost over one stream on loopback: `cargo run --release -p whimbrel-rpc --example stream_cost`.
//!
//! Both sides are this process. So many sends wait at a time (each is sent again when its answer has come); every send
//! crosses the stream to the transfer, and its answer crosses it back as a push that is acknowledged: three things a
//! send. CPU is of the whole process, from /proc.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use whimbrel_core::*;
use whimbrel_rpc::grpc::{Limits, Security, Streams, TransferAt, Transfers, serve};
use whimbrel_rpc::*;

/// Answers every send as soon as it comes, what came together in one push.
struct Echo(mpsc::UnboundedSender<(ConnectorId, Vec<Request>)>);

#[async_trait]
impl Transfer for Echo {
    async fn attach(&self, _: Vec<Attach>) -> Vec<Result<Attached, AttachRefused>> {
        Vec::new()
    }
    fn submit(&self, from: ConnectorId, requests: Vec<Request>) {
        let _ = self.0.send((from, requests));
    }
    async fn detach(&self, _: Vec<SessionRef>) {}
    async fn renew(&self, _: ConnectorId) -> Lease {
        Lease { incarnation: None, term: 0, kept: true }
    }
    async fn assert(&self, _: ConnectorId, _: Vec<whimbrel_rpc::Standing>) -> bool {
        true
    }
    async fn leave(&self, _: ConnectorId) {}
}

#[async_trait]
impl Announce for Echo {
    async fn placed(&self, _: Vec<PlacedBatch>, _: Through) -> Told {
        Told::default()
    }
    async fn advanced(&self, _: Vec<CursorMoved>, _: Through) -> Told {
        Told::default()
    }
    async fn expel(&self, _: Vec<ConnectorId>) -> bool {
        true
    }
    async fn revoked(&self, _: Vec<Revoked>) {}
}

/// Counts answers.
struct Count(mpsc::UnboundedSender<usize>);

#[async_trait]
impl Push for Count {
    async fn push(&self, items: Vec<PushItem>) -> Taken {
        let _ = self.0.send(items.len());
        Taken::default()
    }
}

fn answer(request: Request) -> PushItem {
    let RequestBody::Send { conversation, drafts } = request.body else { unreachable!("only sends") };
    let sent = Outcome::Sent { seq: Seq(1), at: 1 };
    let answers = drafts.iter().map(|draft| (draft.message_id, sent)).collect();
    PushItem { to: request.from.session.into(), body: PushBody::Answers { conversation, answers } }
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after = stat.rsplit(')').next().expect("a name");
    let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

#[tokio::main]
async fn main() {
    let security = Security { secret: SecretString::from("measured"), tls: None };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (asked_in, mut asked) = mpsc::unbounded_channel::<(ConnectorId, Vec<Request>)>();
    let echo = Arc::new(Echo(asked_in));
    let here = TransferId::generate();
    let streams = Streams::new(here, Limits::default());
    tokio::spawn(serve(listener, security.clone(), streams.clone(), echo.clone(), echo, CancellationToken::new()));
    tokio::spawn(async move {
        while let Some((from, requests)) = asked.recv().await {
            let items = requests.into_iter().map(answer).collect();
            let Some(push) = streams.connector(from) else { continue };
            tokio::spawn(async move { push.push(items).await });
        }
    });
    let (answered_in, mut answered) = mpsc::unbounded_channel();
    let id = ConnectorId::generate();
    let transfers = Transfers::new(id, Arc::new(Count(answered_in)), security);
    transfers.set(vec![TransferAt { id: here, address }]);
    while transfers.reachable() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let from = SessionRef { session: SessionId::generate(), user: UserId(1), device: DeviceId::generate() };
    let send = || {
        let draft = Draft {
            message_id: MessageId::generate(),
            kind: MessageKind::TEXT,
            key_version: 1,
            body: bytes::Bytes::from_static(&[7; 120]),
        };
        let body = RequestBody::Send { conversation: ConversationId::generate(), drafts: vec![draft] };
        Request { from, body }
    };
    println!("| waiting | sends/s | CPU per send and answer |");
    println!("|---|---|---|");
    for window in [1, 16, 64, 256] {
        let (began, cpu_began, mut sent) = (Instant::now(), cpu(), 0_u32);
        transfers.submit(id, (0..window).map(|_| send()).collect());
        while began.elapsed() < Duration::from_secs(4) {
            let count = answered.recv().await.expect("answers");
            sent += count as u32;
            transfers.submit(id, (0..count).map(|_| send()).collect());
        }
        let (took, used) = (began.elapsed(), cpu() - cpu_began);
        let mut left = window;
        while left > 0 {
            left -= answered.recv().await.expect("answers");
        }
        let rate = f64::from(sent) / took.as_secs_f64();
        println!("| {window} | {rate:.0} | {:.2} µs |", used.as_secs_f64() * 1e6 / f64::from(sent));
    }
}
