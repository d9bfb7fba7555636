//! Compiles what rests in the broker, and what readable bodies say, into Rust types, without protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let root = "../../proto";
    let files = ["cluster/v1/log", "client/v1/client"].map(|name| format!("{root}/whimbrel/{name}.proto"));
    for file in &files {
        println!("cargo:rerun-if-changed={file}");
    }
    let mut config = prost_build::Config::new();
    // Bodies are `Bytes`: decoding slices them out of what the broker delivered instead of copying them.
    config.bytes(["."]);
    config.compile_fds(protox::compile(&files, [root])?)?;
    Ok(())
}
