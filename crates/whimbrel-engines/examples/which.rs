//! Prints which Redis, RabbitMQ and MySQL or MariaDB the tests would use; fails with a sentence if one is nowhere.

use std::process::ExitCode;

use whimbrel_engines::{Kind, find};

#[tokio::main]
async fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for kind in Kind::ALL {
        match find(kind).await {
            Ok(found) => println!("{}", found.how),
            Err(error) => {
                eprintln!("{error:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
