use super::Exit;
use super::args::Common;
use super::failure::Failure;
use super::output::Output;
use super::register::unknown_instance;
use super::table::on_one_line;
use serde_json::Value;

/// Flags of `shoal maintenance`.
#[derive(Debug, clap::Args)]
#[command(after_help = "In maintenance an instance stays registered and is no longer resolved.")]
pub struct Maintenance {
    /// Out of service, or back in
    #[arg(value_enum)]
    state: Switch,

    /// Only this instance of the host [default: everything on the node]
    #[arg(long, value_name = "ID")]
    service: Option<String>,

    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

pub(super) async fn maintenance(args: Maintenance, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let client = args.common.client(output)?;
    let on = args.state == Switch::On;
    match &args.service {
        None => client.node_maintenance(on, &args.reason).await?,
        Some(id) => match client.service_maintenance(id, on, &args.reason).await {
            Err(e) if e.is_unknown() => return Err(unknown_instance(&client, id).await?),
            done => done?,
        },
    }
    let what = args.service.as_deref().unwrap_or("this node");
    output.done(format_args!("{what} is {} maintenance", if on { "in" } else { "out of" }))?;
    Ok(Exit::Done)
}

/// Flags of `shoal info`.
#[derive(Debug, clap::Args)]
#[command(after_help = "With --format json: the object of GET /v1/shoal/status.")]
pub struct Info {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn info(args: Info, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let status = args.common.client(output)?.status().await?;
    if output.is_json() {
        output.json(&status.all)?;
        return Ok(Exit::Done);
    }
    let mut pairs = Vec::new();
    let mut all = status.all;
    if let Value::Object(fields) = &mut all {
        // `shoal metrics` has them, with what else can be counted.
        fields.remove("counters");
    }
    flatten("", &all, &mut pairs);
    let width = pairs.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    for (key, value) in pairs {
        output.line(format_args!("{key:width$}  {value}"))?;
    }
    Ok(Exit::Done)
}

/// Nested objects as `outer.inner` keys, in the order of their names.
fn flatten(prefix: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, pairs);
            }
        }
        Value::Null => pairs.push((prefix.to_owned(), "-".to_owned())),
        Value::String(text) => pairs.push((prefix.to_owned(), on_one_line(text))),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            pairs.push((prefix.to_owned(), value.to_string()));
        }
    }
}

/// Flags of `shoal metrics`.
#[derive(Debug, clap::Args)]
pub struct Metrics {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn metrics(args: Metrics, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let text = args.common.client(output)?.metrics().await?;
    output.raw(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Flags of `shoal reload`.
#[derive(Debug, clap::Args)]
pub struct Reload {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn reload(args: Reload, output: &mut Output<'_>) -> Result<Exit, Failure> {
    args.common.client(output)?.reload().await?;
    output.done("the agent has read its configuration again")?;
    Ok(Exit::Done)
}
