//! `whimbrel admin-key`: the key with which the embedding product creates users and tokens.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::house::secret_file;

/// The flags of `whimbrel admin-key`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write the key to this new file (0600) instead of printing it
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let key = fresh();
    match &args.to {
        Some(path) => {
            secret_file::create(path, &format!("{key}\n"))?;
            eprintln!("Wrote a fresh administrator's key. Start the server with:");
            eprintln!("  whimbrel standalone --set admin.key_file={}", path.display());
        }
        None => {
            println!("{key}");
            eprintln!("Give it to the server by the environment, and to nobody but your product's back end:");
            eprintln!("  WHIMBREL_ADMIN__KEY={key} whimbrel standalone");
        }
    }
    eprintln!("Your back end sends it as: Authorization: Bearer <key>   (see docs/configuration.md)");
    Ok(ExitCode::SUCCESS)
}

/// 256 random bits, as hexadecimal digits.
fn fresh() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
