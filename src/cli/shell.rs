use super::Exit;
use super::failure::Failure;
use super::output::Output;
use clap_complete::Shell;
use std::path::PathBuf;

/// Flags of `shoal completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  shoal completions bash > ~/.local/share/bash-completion/completions/shoal"
)]
pub struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn completions(
    args: &Completions,
    mut program: clap::Command,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    // Into memory first: the generator panics when its writer fails, as on a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "shoal", &mut script);
    output.raw(&script)?;
    Ok(Exit::Done)
}

/// Flags of `shoal man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  shoal man > shoal.1 && man ./shoal.1")]
pub struct Man {
    /// Print the page of this command instead
    #[arg(conflicts_with = "dir")]
    command: Option<String>,

    /// Write every page into this directory instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn man(args: &Man, program: clap::Command, output: &mut Output<'_>) -> Result<Exit, Failure> {
    if let Some(dir) = &args.dir {
        clap_mangen::generate_to(program, dir)
            .map_err(|e| Failure::no(format!("cannot write manual pages into {}: {e}", dir.display())))?;
        return Ok(Exit::Done);
    }
    let mut program = program;
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => {
            let found = program.find_subcommand(name).cloned();
            found.ok_or_else(|| Failure::usage(format!("no command is named {name:?}")))?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    output.raw(&text)?;
    Ok(Exit::Done)
}
