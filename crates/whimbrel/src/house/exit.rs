//! How the process ends: 0 done, 1 failed, 2 told wrongly, 101 a panic, 130 stopped a second time.

use std::process::ExitCode;

use crate::config::Wrong;

/// The code of a wrong configuration or command line (clap's too).
const TOLD_WRONGLY: u8 = 2;

/// Prints an error for people, with its whole chain, and gives the exit code.
pub(crate) fn report(result: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if let Some(Wrong(sentences)) = error.downcast_ref::<Wrong>() {
        for sentence in sentences {
            eprintln!("error: {sentence}");
        }
        return ExitCode::from(TOLD_WRONGLY);
    }
    eprintln!("error: {}", chain(&error));
    ExitCode::FAILURE
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let words: Vec<_> = error.chain().map(|cause| cause.to_string().trim_end_matches('.').to_owned()).collect();
    format!("{}.", words.join(": "))
}
