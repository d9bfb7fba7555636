//! The flags of `whimbrel bench`.

use std::net::SocketAddr;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use whimbrel_core::limits;

use super::body;

/// The flags of `whimbrel bench`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(super) what: What,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub(super) enum What {
    /// Open many sessions that say nothing, and see what one costs
    #[command(after_help = IDLE)]
    Idle(IdleArgs),
    /// Send durable messages between pairs of friends, with receipts, and check each of them
    #[command(after_help = DIRECT)]
    Direct(DirectArgs),
    /// Send messages to a group whose members are all online, and check each of their deliveries
    #[command(after_help = GROUP)]
    Group(GroupArgs),
    /// Make a large group, most of it offline, and see what single things cost in it
    #[command(after_help = LARGE_GROUP)]
    LargeGroup(LargeGroupArgs),
    /// Make a very long conversation, and see how long its pages take, by REST, wherever they lie
    #[command(after_help = HISTORY)]
    History(HistoryArgs),
    /// See how long the list of many conversations with their unread counts takes, and reading on in a very long group
    #[command(after_help = UNREAD)]
    Unread(UnreadArgs),
    /// Send and fetch files by REST, beside the disk's own speed, and watch the server's memory meanwhile
    #[command(after_help = FILES)]
    Files(FilesArgs),
    /// Write a long past, readable, and see how long searches in it take, by REST, and what it costs to place it
    #[command(after_help = SEARCH)]
    Search(SearchArgs),
}

const IDLE: &str = "\
Examples:
  whimbrel bench idle --local standalone
  whimbrel bench idle --local standalone --clients 2000 --seconds 20 --json";

const DIRECT: &str = "\
Examples:
  whimbrel bench direct --local standalone --window 16
  whimbrel bench direct --local standalone --rate 5000 --seconds 60
  whimbrel bench direct --local cluster --transfers 3 --window 16
  whimbrel bench direct --server 127.0.0.1:7100 --api http://127.0.0.1:7180 --admin-key KEY --pid 4711

A server that is not private should be told not to slow the load down:
  --set clients.requests_per_second=0 --set clients.bytes_per_second=0B";

const GROUP: &str = "\
Examples:
  whimbrel bench group --local standalone
  whimbrel bench group --local standalone --members 1000 --window 16
  whimbrel bench group --local standalone --members 1000 --rate 20 --seconds 60
  whimbrel bench group --local cluster --connectors 2 --members 1000";

const LARGE_GROUP: &str = "\
Examples:
  whimbrel bench large-group --local standalone
  whimbrel bench large-group --local cluster --members 20000 --online 100 --json";

const HISTORY: &str = "\
Examples:
  whimbrel bench history --local standalone
  whimbrel bench history --local cluster --messages 1000000 --json

The messages are written into the private server's database past the server: it has to be private.";

const UNREAD: &str = "\
Examples:
  whimbrel bench unread --local standalone
  whimbrel bench unread --local cluster --conversations 200 --long 100000 --json

Every count is compared with what was written. The messages are written into the private server's database past the server:
it has to be private.";

const FILES: &str = "\
Examples:
  whimbrel bench files --local standalone
  whimbrel bench files --local cluster --mib 256 --together 8 --json

With what it measures at a time the disk is filled by --mib × --files, or --upload-mib × --uploads, whichever is more,
and for a second by as much again. A server that is not private has to take readable files, and as many transfers:
  --set messages.bodies_readable=true --set files.transfers=256";

const SEARCH: &str = "\
Examples:
  whimbrel bench search --local standalone
  whimbrel bench search --local cluster --messages 100000 --json

The messages are written into the private server's database past the server: it has to be private.";

/// Which server is measured.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Server")]
pub(super) struct TargetArgs {
    /// Start a private server on a temporary folder, measure that, and stop it
    #[arg(long, value_name = "ROLE", conflicts_with_all = ["server", "api", "admin_key", "pid"])]
    pub(super) local: Option<Local>,
    /// With --local cluster: transfers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(super) transfers: u8,
    /// With --local cluster: connectors
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(super) connectors: u8,
    /// With --local cluster: archivers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(super) archivers: u8,
    /// With --local: a setting of the servers (repeat it for more)
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", requires = "local")]
    pub(super) settings: Vec<String>,
    /// Where clients connect (without TLS)
    #[arg(long, value_name = "IP:PORT", required_unless_present = "local")]
    pub(super) server: Option<SocketAddr>,
    /// Where its REST is
    #[arg(long, value_name = "URL", required_unless_present = "local")]
    pub(super) api: Option<String>,
    /// Its administrator's key, with which accounts are made (or set WHIMBREL_ADMIN__KEY, which is not shown by ps)
    #[arg(long, value_name = "KEY")]
    pub(super) admin_key: Option<String>,
    /// Its process on this machine, to measure its processor time and memory
    #[arg(long, value_name = "PID")]
    pub(super) pid: Option<u32>,
}

/// What `--local` starts.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Local {
    /// Everything in one process, on SQLite
    Standalone,
    /// Private Redis, RabbitMQ and MySQL or MariaDB, and processes of every role
    Cluster,
}

/// `whimbrel bench idle`.
#[derive(Debug, ClapArgs)]
pub(super) struct IdleArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Sessions to measure
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=500_000))]
    pub(super) clients: u32,
    /// Sessions that are open before (and stay so), so that what a server allocates once is not counted
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(super) warm: u32,
    /// How long they are watched, for the processor time of their heartbeats; 0: not at all
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(super) seconds: u64,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// `whimbrel bench direct`.
#[derive(Debug, ClapArgs)]
pub(super) struct DirectArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Clients, in pairs
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(2..=20_000))]
    pub(super) clients: u32,
    /// Messages of one batch; the next batch goes out when this one is answered
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=limits::SEND_BATCH_MAX as i64))]
    pub(super) window: u32,
    /// Instead of --window: so many messages per second, all clients together, whether or not the server keeps up
    #[arg(long, conflicts_with = "window", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) rate: Option<u32>,
    /// Both of each pair send (by default one sends and one receives)
    #[arg(long)]
    pub(super) both: bool,
    /// Bytes of each body
    #[arg(long, default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(body::BYTES_MIN as i64..=limits::BODY_MAX as i64))]
    pub(super) bytes: u32,
    /// How long is measured
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) seconds: u64,
    /// How long load runs before that
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub(super) warmup: u64,
    /// What the bodies are made of; random if left out
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// `whimbrel bench group`.
#[derive(Debug, ClapArgs)]
pub(super) struct GroupArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Members of the group, each with a session
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=20_000))]
    pub(super) members: u32,
    /// How many of them send
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) senders: u32,
    /// Messages of one batch; the next batch goes out when this one is answered
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=limits::SEND_BATCH_MAX as i64))]
    pub(super) window: u32,
    /// Instead of --window: so many messages per second, all senders together, whether or not the server keeps up
    #[arg(long, conflicts_with = "window", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) rate: Option<u32>,
    /// Bytes of each body
    #[arg(long, default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(body::BYTES_MIN as i64..=limits::BODY_MAX as i64))]
    pub(super) bytes: u32,
    /// How long is measured
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) seconds: u64,
    /// How long load runs before that
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub(super) warmup: u64,
    /// What the bodies are made of; random if left out
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// `whimbrel bench large-group`.
#[derive(Debug, ClapArgs)]
pub(super) struct LargeGroupArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Members of the group in the end
    #[arg(long, default_value_t = 100_000,
        value_parser = clap::value_parser!(u32).range(3..=limits::GROUP_MEMBERS_MAX as i64))]
    pub(super) members: u32,
    /// How many of them are online
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=20_000))]
    pub(super) online: u32,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// `whimbrel bench history`.
#[derive(Debug, ClapArgs)]
pub(super) struct HistoryArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Messages of the conversation
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000_000))]
    pub(super) messages: u64,
    /// Messages on a page
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=limits::HISTORY_MESSAGES_MAX as i64))]
    pub(super) page: u32,
    /// Pages that are asked for of each kind, one after the other
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) samples: u32,
    /// Bytes of each body
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(super) bytes: u32,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// `whimbrel bench unread`.
#[derive(Debug, ClapArgs)]
pub(super) struct UnreadArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Conversations in the list: half of them with one other user, half of them groups
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=20_000))]
    pub(super) conversations: u32,
    /// Messages of each
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    pub(super) messages: u64,
    /// Messages of one group more, which is read on in
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..=1_000_000_000))]
    pub(super) long: u64,
    /// Times that each thing is done, one after the other
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) samples: u32,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// `whimbrel bench search`.
#[derive(Debug, ClapArgs)]
pub(super) struct SearchArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Readable messages, in ten groups
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub(super) messages: u64,
    /// Searches of each kind, one after the other
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) samples: u32,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// `whimbrel bench files`.
#[derive(Debug, ClapArgs)]
pub(super) struct FilesArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// MiB of each file
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub(super) mib: u32,
    /// Files of each measurement
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) files: u32,
    /// Files at a time, where it is several
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) together: u32,
    /// Small files
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) small: u32,
    /// Bytes of each of these
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(32..=1_000_000))]
    pub(super) small_bytes: u32,
    /// Uploads that run at once while the server's memory is watched
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) uploads: u32,
    /// MiB of each of these
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) upload_mib: u32,
    /// Give up after so many seconds
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) within: u64,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}
