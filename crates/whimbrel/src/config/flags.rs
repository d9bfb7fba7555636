//! The flags' layer: short names for what is set most often, and `--set` for everything.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::value::{Given, Origin, Raw};

/// The flags of every command that reads the configuration.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigFlags {
    /// Read this file instead of ./whimbrel.toml (or set WHIMBREL_CONFIG)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data folder [data.folder]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<String>,
    /// Where clients connect [clients.listen]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// Where REST, health and metrics are [http.listen]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) http: Option<String>,
    /// How log lines look [log.format]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<FormatFlag>,
    /// Any other key, such as --set clients.max_connections=5000; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatFlag {
    /// For people
    Text,
    /// One object a line, for machines
    Json,
}

impl ConfigFlags {
    /// What the flags set. `--set` wins over the short names.
    pub(super) fn given(&self) -> Result<Vec<(String, Given)>, String> {
        let format = self.log_format.map(|format| match format {
            FormatFlag::Text => "text".to_owned(),
            FormatFlag::Json => "json".to_owned(),
        });
        let short = [
            ("data.folder", "--data", self.data.clone()),
            ("clients.listen", "--listen", self.listen.clone()),
            ("http.listen", "--http", self.http.clone()),
            ("log.format", "--log-format", format),
        ];
        let mut given: Vec<_> = short
            .into_iter()
            .filter_map(|(key, flag, value)| Some((key.to_owned(), flag_value(flag, value?))))
            .collect();
        for setting in &self.set {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(format!("Flag --set {setting} names no value; write --set section.key=value."));
            };
            given.push((key.trim().to_owned(), flag_value("--set", value.to_owned())));
        }
        Ok(given)
    }
}

fn flag_value(flag: &str, value: String) -> Given {
    Given { raw: Raw::Words(value), origin: Origin::Flag(flag.to_owned()) }
}
