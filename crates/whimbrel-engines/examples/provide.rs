//! Finds or starts Redis, RabbitMQ and MySQL or MariaDB, says which it uses, and runs a command with their addresses in
//! its environment. What was started ends with the command.
//!
//! ```sh
//! cargo run -p whimbrel-engines --example provide                          # says what it would use
//! cargo run -p whimbrel-engines --example provide -- cargo nextest run
//! ```

use std::process::ExitCode;

use whimbrel_engines::{Kind, find};

#[tokio::main]
async fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let command = words.next();
    let mut variables = Vec::new();
    for kind in Kind::ALL {
        match find(kind).await {
            Ok(found) => {
                println!("{}", found.how);
                variables.push((kind.variable(), found.url));
            }
            Err(error) => eprintln!("{error:#}"),
        }
    }
    if variables.len() < Kind::ALL.len() {
        return ExitCode::FAILURE;
    }
    let Some(command) = command else { return ExitCode::SUCCESS };
    match std::process::Command::new(&command).args(words).envs(variables).status() {
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(error) => {
            eprintln!("{} could not be started: {error}", command.to_string_lossy());
            ExitCode::FAILURE
        }
    }
}
