//! `whimbrel health`: asks a server whether it is ready, for people and for container health checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::config::{self, Config, flags::ConfigFlags};
use crate::house::exit;

/// The flags of `whimbrel health`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFlags,
    /// The server's HTTP address, such as `https://chat.example.com`; by default the one that is configured here
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Which role of a cluster to ask, at the address that is configured here
    #[arg(long, value_name = "ROLE", conflicts_with = "url")]
    role: Option<Role>,
    /// Trust this certificate (PEM) beside the system's
    #[arg(long, value_name = "FILE")]
    root_certificate: Option<PathBuf>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    timeout: u64,
    /// Print one JSON object: url, ready, status, answer
    #[arg(long)]
    json: bool,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// The server that is everything in one process
    Standalone,
    /// Holds the clients' connections
    Connector,
    /// Decides what happens to messages
    Transfer,
    /// Serves REST
    Api,
    /// Gives messages their places
    Archiver,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (url, local) = match &args.url {
        Some(url) => (url.trim_end_matches('/').to_owned(), false),
        None => (own_url(&config::load(&args.config)?.config, args.role.unwrap_or(Role::Standalone)), true),
    };
    let url = format!("{url}/readyz");
    let (ready, status, answer) = match ask(&args, &url, local).await {
        Ok((status, answer)) => (status == 200, Some(status), answer),
        Err(error) => (false, None, exit::chain(&error)),
    };
    if args.json {
        println!("{}", json!({"url": url, "ready": ready, "status": status, "answer": answer}));
    } else if ready {
        println!("{url}: ready");
    } else {
        println!("{url}: not ready: {answer}");
    }
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where the server of this configuration is, seen from this machine.
fn own_url(config: &Config, role: Role) -> String {
    let (address, tls) = match role {
        Role::Standalone | Role::Api => (config.http.address, config.http.tls && config.tls.certificate.is_some()),
        Role::Connector => (config.places.connector_health, false),
        Role::Transfer => (config.places.transfer_health, false),
        Role::Archiver => (config.places.archiver_health, false),
    };
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

/// The status and the answer. `local`: this machine's own server is asked by number, so its certificate (which has
/// names) is not compared.
async fn ask(args: &Args, url: &str, local: bool) -> anyhow::Result<(u16, String)> {
    let mut builder = reqwest::Client::builder().timeout(Duration::from_secs(args.timeout)).no_proxy();
    if let Some(path) = &args.root_certificate {
        let pem = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let certificate =
            reqwest::Certificate::from_pem(&pem).with_context(|| format!("{} holds no certificate", path.display()))?;
        builder = builder.tls_certs_merge([certificate]);
    } else if local {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    let answer = builder.build()?.get(url).send().await.context("nobody answers")?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await.unwrap_or_default()))
}
