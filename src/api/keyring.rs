//! The cluster's keyring: which keys there are and who has them, and changing it. Never a key itself.
//!
//! Only over the Unix socket; and only the user that the agent runs as, or root, may change anything.
//! Who has which key is what members say in their own records.

use super::access::Caller;
use super::local::refused;
use super::reply::{Failure, Outcome, done, json};
use super::request::Request;
use super::route::Call;
use crate::model::{KEY_WANT, KeyId, KeyMaterial, KeyringCommand};
use crate::view::View;
use http::StatusCode;
use serde_json::{Value, json as object};

/// Names of members in an answer.
const NAMES_MAX: usize = 20;

/// Over TCP whoever can connect could list keys, or install one of his own.
fn over_the_socket(call: &Call) -> Result<(), Failure> {
    match call.caller {
        Caller::Unix { .. } => Ok(()),
        Caller::Tcp(_) | Caller::Unknown => {
            let text = "The keyring is served on the agent's Unix socket only";
            Err(Failure::new(StatusCode::FORBIDDEN, text))
        }
    }
}

fn owner(call: &Call) -> Result<(), Failure> {
    over_the_socket(call)?;
    if !call.app.access.owns(call.caller) {
        let text = "The keyring can be changed by the user that the agent runs as, or by root, only";
        return Err(Failure::new(StatusCode::FORBIDDEN, text));
    }
    Ok(())
}

fn own_keys(view: &View) -> Vec<KeyId> {
    view.own_member().and_then(|own| own.record.keys()).unwrap_or_default()
}

/// The part of the status about encryption.
pub(super) fn summary(view: &View) -> Value {
    let keys = own_keys(view);
    object!({
        "sealed": !keys.is_empty(),
        "primary": keys.first().map(ToString::to_string),
        "keys": keys.len(),
        "advice": view.status().key_advice,
    })
}

/// Each key that this agent has, with how many live members have it and seal with it, and who does not
/// have it.
pub(super) fn list(call: &Call) -> Outcome {
    over_the_socket(call)?;
    let view = call.app.view.load();
    let own = own_keys(&view);
    let live: Vec<(&str, Vec<KeyId>)> = view
        .members()
        .filter(|m| m.member.status.is_live())
        .map(|m| (m.record.name.as_str(), m.record.keys().unwrap_or_default()))
        .collect();
    let keys: Vec<Value> = own
        .iter()
        .map(|id| {
            let have = live.iter().filter(|(_, keys)| keys.contains(id)).count();
            let used = live.iter().filter(|(_, keys)| keys.first() == Some(id)).count();
            let lack = live.iter().filter(|(_, keys)| !keys.contains(id));
            let missing: Vec<&str> = lack.map(|(name, _)| *name).take(NAMES_MAX).collect();
            object!({
                "id": id.to_string(),
                "primary": own.first() == Some(id),
                "have": have,
                "use": used,
                "missing": missing,
            })
        })
        .collect();
    json(&object!({ "sealed": !own.is_empty(), "alive": live.len(), "keys": keys }), call.pretty())
}

pub(super) async fn install(mut call: Call) -> Outcome {
    owner(&call)?;
    let body = call.body().await?;
    let value: Value = serde_json::from_slice(&body)
        .map_err(|_| Failure::bad("Request decode failed: want {\"Key\": \"...\"}"))?;
    let text = value.get("Key").and_then(Value::as_str);
    let text = text.ok_or_else(|| Failure::bad("Missing Key: want {\"Key\": \"...\"}"))?;
    // What was sent may be most of a key: it is not repeated.
    let key =
        KeyMaterial::parse(text).ok_or_else(|| Failure::bad(format!("Invalid Key: want {KEY_WANT}")))?;
    let id = key.id();
    change(&call, KeyringCommand::Install(key)).await?;
    json(&object!({ "id": id.to_string() }), call.pretty())
}

pub(super) async fn use_key(call: Call) -> Outcome {
    owner(&call)?;
    let (id, force) = (key_id(&call)?, call.query.has("force"));
    change(&call, KeyringCommand::Use { id, force }).await?;
    Ok(done())
}

pub(super) async fn remove(call: Call) -> Outcome {
    owner(&call)?;
    let (id, force) = (key_id(&call)?, call.query.has("force"));
    change(&call, KeyringCommand::Remove { id, force }).await?;
    Ok(done())
}

fn key_id(call: &Call) -> Result<KeyId, Failure> {
    KeyId::parse(&call.id)
        .ok_or_else(|| Failure::bad("Invalid key id: want eight hex digits, as the list shows"))
}

async fn change(call: &Call, command: KeyringCommand) -> Result<(), Failure> {
    call.app.ask(|reply| Request::Keyring(command, reply)).await?.map_err(refused)
}
