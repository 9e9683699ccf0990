use super::Exit;
use super::args::Common;
use super::failure::Failure;
use super::output::Output;

/// Flags of `shoal monitor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Lines come until the agent or this command ends; whatever the agent itself logs at.\n\
    A reader that is too slow for them loses some, and is told how many."
)]
pub struct Monitor {
    /// The least important lines to print: trace, debug, info, warn or error
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,

    /// One JSON object per line, as with --format json
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    common: Common,
}

pub(super) async fn monitor(args: Monitor, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    let json = args.json || output.is_json();
    let mut log = client.monitor(&args.log_level, json).await?;
    while let Some(lines) = log.next().await {
        output.raw(&lines?)?;
        output.flush()?;
    }
    Ok(Exit::Done)
}
