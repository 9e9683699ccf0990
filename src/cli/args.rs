//! Flags and values that several commands share.

use super::failure::Failure;
use super::output::{Format, Output};
use crate::client::{Client, Service, parse_duration};
use crate::model::CheckStatus;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::ffi::OsString;
use std::time::Duration;

/// Which agent is asked, and how the answer looks.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Common {
    /// The agent's socket, or tcp://HOST:PORT [default: $SHOAL_SOCKET, or that of the user's agent]
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<OsString>,

    /// The agent's token, where it is asked over TCP and wants one
    #[arg(long, value_name = "TOKEN", env = "SHOAL_HTTP_TOKEN", hide = true, hide_env_values = true)]
    pub(super) http_token: Option<String>,

    /// How answers are printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    pub(super) format: Format,

    /// Print answers and errors only, no confirmations and remarks
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl Common {
    /// A client of the agent that is meant; sets the output to the format that is wanted.
    pub(super) fn client(&self, output: &mut Output<'_>) -> Result<Client, Failure> {
        output.set(self.format, self.quiet);
        let client = match &self.socket {
            Some(socket) => Client::connect(socket),
            None => Client::connect_default(),
        };
        let client = match &self.http_token {
            Some(token) if !token.is_empty() => client.and_then(|c| c.with_token(token)),
            _ => client,
        };
        client.map_err(|e| Failure::usage(e.to_string()))
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("want a duration of more than zero, such as 10s, 1m30s or 500ms".to_owned()),
    }
}

pub(super) fn status() -> impl TypedValueParser<Value = CheckStatus> {
    PossibleValuesParser::new(["passing", "warning", "critical"])
        .map(|word| CheckStatus::from_word(&word).expect("the three words are the three states"))
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("want KEY=VALUE".to_owned()),
    }
}

/// What a service instance is, on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Definition {
    /// Id, unique on this host [default: NAME]
    #[arg(long)]
    pub(super) id: Option<String>,

    /// IP address or host name of the instance [default: that of the node]
    #[arg(long)]
    pub(super) address: Option<String>,

    /// Port of the instance
    #[arg(long)]
    pub(super) port: Option<u16>,

    /// A tag; repeatable
    #[arg(long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,

    /// A free pair; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(super) meta: Vec<(String, String)>,

    /// Share of traffic among the instances [default: 1]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) weight: Option<u16>,
}

impl Definition {
    /// Whether anything but the id was given.
    pub(super) fn is_given(&self) -> bool {
        self.address.is_some()
            || self.port.is_some()
            || self.weight.is_some()
            || !self.tags.is_empty()
            || !self.meta.is_empty()
    }

    /// The instance of service `name` that was described.
    pub(super) fn service(self, name: &str) -> Service {
        let mut service = Service::new(name);
        if let Some(id) = self.id {
            service = service.id(id);
        }
        if let Some(address) = self.address {
            service = service.address(address);
        }
        if let Some(port) = self.port {
            service = service.port(port);
        }
        if let Some(weight) = self.weight {
            service = service.weight(weight);
        }
        service = self.tags.into_iter().fold(service, Service::tag);
        self.meta.into_iter().fold(service, |service, (key, value)| service.meta(key, value))
    }
}
