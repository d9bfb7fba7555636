//! Compiles the cluster protocol into Rust types and a gRPC service, without protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let root = "../../proto";
    let file = format!("{root}/whimbrel/cluster/v1/cluster.proto");
    println!("cargo:rerun-if-changed={file}");
    let descriptors = protox::compile([&file], [root])?;
    // Bodies are `Bytes`: decoding slices them out of the message instead of copying them.
    tonic_prost_build::configure().bytes(".").emit_rerun_if_changed(false).compile_fds(descriptors)?;
    Ok(())
}
