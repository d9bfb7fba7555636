//! Logs on standard error, and figures for Prometheus.
//!
//! Standard output belongs to what a command was asked for; nothing here writes to it.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::sections::{Log, LogFormat};

/// Histograms keep their buckets; this often they are brought up to date without anybody asking.
const UPKEEP: Duration = Duration::from_secs(5);

/// Seconds: from a tenth of a millisecond to ten seconds.
const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counts, such as rows of a transaction.
const COUNTS: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];

/// Begins to write log lines. A second call changes nothing.
pub(crate) fn init_log(log: &Log) {
    let mut filter: Targets = log.filter.parse().expect("the configuration's check parsed it");
    if !log.filter.contains("lapin") {
        // It calls everything an error, before it says so to who asked; and that is logged where it is consumed. And it
        // writes what comes back with its body, which is a message's.
        filter = filter.with_target("lapin", LevelFilter::OFF);
    }
    let layer = match log.format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
            fmt::layer().with_writer(std::io::stderr).with_ansi(colours).boxed()
        }
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
    };
    // Fails only if logs are being written already, which is what was wanted.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}

/// Begins to count. Once in a process.
pub(crate) fn init_metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .and_then(|builder| builder.set_buckets(&COUNTS))
        .and_then(PrometheusBuilder::install_recorder)
        .context("The recorder of metrics could not be installed")?;
    metrics::gauge!("whimbrel_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// Keeps the recorder's memory bounded while nobody asks for figures; ends with the runtime.
pub(crate) fn spawn_upkeep(handle: PrometheusHandle) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            handle.run_upkeep();
        }
    })
}
