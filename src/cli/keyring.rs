use super::Exit;
use super::args::Common;
use super::failure::Failure;
use super::output::Output;
use crate::client::{Client, Error};
use crate::model::{KEY_WANT, KeyId, KeyMaterial};
use std::io::Read;

/// Flags of `shoal keygen`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Keep it where only the agent's user can read it: (umask 077; shoal keygen > keys)")]
pub struct Keygen {}

pub(super) fn keygen(_: &Keygen, output: &mut Output<'_>) -> Result<Exit, Failure> {
    // The generator of the system seeds this one, which is made for keys.
    let key = KeyMaterial::from_bytes(rand::random());
    output.line(key.to_base64())?;
    Ok(Exit::Done)
}

/// Flags of `shoal keyring`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A rotation, on any one host: install the new key; wait until `list` shows that all have it; use it;\n\
    wait until `list` shows that all use it; remove the old one. The agents tell each other.\n\
    Changing keys takes the user that the agent runs as, or root."
)]
pub struct Keyring {
    #[command(subcommand)]
    command: KeyringCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeyringCommand {
    /// Show the keys by their ids, with how many live members have and use each
    #[command(
        after_help = "JSON fields: id, primary, have, use, alive, missing (names of members without it)."
    )]
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Let every agent accept a new key
    Install {
        /// The key in base64; `-` reads it from standard input, which others cannot see
        #[arg(default_value = "-")]
        key: String,

        #[command(flatten)]
        common: Common,
    },
    /// Let every agent seal with a key that all have
    Use {
        /// The key's id, or the key
        key: String,

        /// Also where live members lack it: they will not hear the others
        #[arg(long)]
        force: bool,

        #[command(flatten)]
        common: Common,
    },
    /// Let no agent accept a key any more
    Remove {
        /// The key's id, or the key
        key: String,

        /// Also where live members seal with it: the others will not hear them
        #[arg(long)]
        force: bool,

        #[command(flatten)]
        common: Common,
    },
}

pub(super) async fn keyring(args: Keyring, output: &mut Output<'_>) -> Result<Exit, Failure> {
    match args.command {
        KeyringCommand::List { common } => {
            let client = common.client(output)?;
            list(&client, output).await
        }
        KeyringCommand::Install { key, common } => {
            let client = common.client(output)?;
            let id = client.install_key(&given(&key)?).await?;
            output.done(format_args!("key {id} is installed; the other agents are told"))?;
            Ok(Exit::Done)
        }
        KeyringCommand::Use { key, force, common } => {
            let client = common.client(output)?;
            let id = id_of(&key)?;
            refused(client.use_key(id, force).await)?;
            output.done(format_args!("key {id} is the primary one now; the other agents are told"))?;
            Ok(Exit::Done)
        }
        KeyringCommand::Remove { key, force, common } => {
            let client = common.client(output)?;
            let id = id_of(&key)?;
            refused(client.remove_key(id, force).await)?;
            output.done(format_args!("key {id} is removed; the other agents are told"))?;
            Ok(Exit::Done)
        }
    }
}

async fn list(client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let keys = client.keyring().await?;
    output.list(
        &keys,
        &["KEY", "PRIMARY", "HAVE", "USE", "MISSING ON"],
        |key| {
            let primary = if key.primary { "yes" } else { "" };
            let of_all = |count: usize| format!("{count} of {}", key.alive);
            vec![
                key.id.clone(),
                primary.to_owned(),
                of_all(key.have),
                of_all(key.used),
                key.missing.join(","),
            ]
        },
        "there are no keys: this agent gossips without encryption (see --key-file of `shoal agent`)",
    )?;
    Ok(Exit::Done)
}

/// The agent's refusal is an answer, with what to do about it.
fn refused(result: Result<(), Error>) -> Result<(), Failure> {
    result.map_err(|error| match error {
        Error::Api { message, .. } => Failure::no(message.replace("force it", "pass --force")),
        error => error.into(),
    })
}

/// The key that was typed or is on standard input.
fn given(text: &str) -> Result<KeyMaterial, Failure> {
    let wrong = || Failure::usage(format!("this is no key: want {KEY_WANT}"));
    if text != "-" {
        return KeyMaterial::parse(text).ok_or_else(wrong);
    }
    let mut text = String::new();
    let read = std::io::stdin().take(4_096).read_to_string(&mut text);
    read.map_err(|e| Failure::usage(format!("cannot read the key from standard input: {e}")))?;
    KeyMaterial::parse(&text).ok_or_else(wrong)
}

fn id_of(text: &str) -> Result<KeyId, Failure> {
    KeyId::parse(text).or_else(|| KeyMaterial::parse(text).map(|key| key.id())).ok_or_else(|| {
        Failure::usage(format!(
            "want a key's id of eight hex digits, as `shoal keyring list` shows it, or {KEY_WANT}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_id_or_by_itself() {
        let key = KeyMaterial::from_bytes([3; 32]);
        assert_eq!(id_of(&key.id().to_string()).ok(), Some(key.id()));
        assert_eq!(id_of(&key.to_base64()).ok(), Some(key.id()));
        assert!(id_of("web").is_err() && given("web").is_err());
        assert_eq!(given(&key.to_base64()).ok(), Some(key));
    }
}
