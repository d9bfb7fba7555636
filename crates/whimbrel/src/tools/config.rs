//! `whimbrel config print | check | default`.

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{self, DEFAULT_FILE, flags::ConfigFlags, print};

/// The flags of `whimbrel config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print what counts, with who said so beside what is not a default; secrets are not shown
    Print {
        #[command(flatten)]
        config: ConfigFlags,
        /// One JSON object: sections of keys, each with "value" and "origin"
        #[arg(long)]
        json: bool,
    },
    /// Say what is wrong with the configuration; exits with 2 if anything is
    Check {
        #[command(flatten)]
        config: ConfigFlags,
    },
    /// Print the manual: every key with its default, explained; a good file to begin with
    Default,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Print { config, json } => {
            let loaded = config::load(config)?;
            if *json {
                println!("{:#}", print::json(&loaded.entries));
            } else {
                print!("{}", print::toml(&loaded.entries));
            }
        }
        What::Check { config } => {
            let loaded = config::load(config)?;
            let from = loaded.file.map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
            eprintln!("The configuration is good ({} keys; {from}).", loaded.entries.len());
        }
        What::Default => print!("{DEFAULT_FILE}"),
    }
    Ok(ExitCode::SUCCESS)
}
