//! Compiles what rests in the broker into Rust types, without protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let root = "../../proto";
    let file = format!("{root}/whimbrel/cluster/v1/log.proto");
    println!("cargo:rerun-if-changed={file}");
    let mut config = prost_build::Config::new();
    // Bodies are `Bytes`: decoding slices them out of what the broker delivered instead of copying them.
    config.bytes(["."]);
    config.compile_fds(protox::compile([&file], [root])?)?;
    Ok(())
}
