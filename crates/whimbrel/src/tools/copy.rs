//! placeholder until the branch is merged
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(crate) async fn run(_: Args) -> anyhow::Result<std::process::ExitCode> {
    anyhow::bail!("not yet")
}
