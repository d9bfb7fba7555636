//! What a server says when it is ready: some lines for people, or one event for machines.

use std::fmt::Write;

use super::Standalone;
use crate::config::Config;
use crate::config::sections::{Listen, LogFormat};
use crate::house::master_key;

/// Says it, on standard error.
pub(super) fn say(config: &Config, server: &Standalone) {
    match config.log.format {
        LogFormat::Json => tracing::info!(
            clients = %server.client_addr,
            http = %server.http_addr,
            data = %config.data.folder.display(),
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        ),
        LogFormat::Text => eprint!("{}", text(config, server)),
    }
}

fn text(config: &Config, server: &Standalone) -> String {
    let encrypted = |listen: &Listen| listen.tls && config.tls.certificate.is_some();
    let how = |listen: &Listen| match (encrypted(listen), listen.address.ip().is_loopback()) {
        (true, _) => "TLS",
        (false, true) => "not encrypted: this machine only",
        (false, false) => "not encrypted: something in front must do it",
    };
    let scheme = if encrypted(&config.http) { "https" } else { "http" };
    let key = master_key::file(&config.master_key, &config.data.folder)
        .map_or_else(|| "from the configuration".to_owned(), |file| file.display().to_string());
    let admin = config.admin.key.is_some() || config.admin.key_file.is_some();
    let lines = [
        ("clients", format!("{}   ({})", server.client_addr, how(&config.clients))),
        (
            "REST",
            format!("{scheme}://{}   ({}); /readyz, /metrics, /openapi.json", server.http_addr, how(&config.http)),
        ),
        ("data", format!("{}   (master key: {key})", config.data.folder.display())),
        ("admin", if admin { "on" } else { "off: there is no key (whimbrel admin-key makes one)" }.to_owned()),
        ("stop", "Ctrl-C, or SIGTERM".to_owned()),
    ];
    let mut text = format!("Whimbrel {} is ready.\n", env!("CARGO_PKG_VERSION"));
    for (name, value) in lines {
        let _ = writeln!(text, "  {name:<8} {value}");
    }
    text
}
