//! The flags of `shoal demo`.

/// Flags of `shoal demo`.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(
    after_help = "A shop of seven services runs on five agents in this process, with real sockets on loopback and a\n\
    temporary directory that goes with it; shoppers ask an agent where to go, ten times a second. Break\n\
    something and read how fast everybody knows, and what it cost.\n\n\
    The profile lan is what `shoal agent` has, so the times are those to expect of hosts in one data\n\
    center; local is for agents on one machine and about twice as fast.\n\n\
    Steps of --script, with ; between: kill HOST, pause HOST, unplug HOST, partition HOST,HOST,\n\
    drain HOST|INSTANCE, undrain HOST|INSTANCE, crash INSTANCE, heal [HOST], wait DURATION, settle\n\
    (until everybody knows). Hosts are n1 to n5; instances are as on the screen.\n\n\
    Exit code: 0, or 1 when a step of a story failed or was not known everywhere within a minute.\n\n\
    Examples:\n  shoal demo\n  shoal demo --plain\n  shoal demo --plain --script 'settle; kill n3; settle; heal; settle'"
)]
pub struct DemoArgs {
    /// Timing preset of the agents: lan or local
    #[arg(long, value_name = "PROFILE", default_value = "lan", value_parser = ["lan", "local"])]
    pub profile: String,

    /// Do these steps, one after the other [default without a terminal: a story of about a minute]
    #[arg(long, value_name = "STEPS")]
    pub script: Option<String>,

    /// Print lines of text instead of a full screen, as without a terminal
    #[arg(long)]
    pub plain: bool,
}
