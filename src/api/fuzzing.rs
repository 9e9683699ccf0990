//! What must hold for any body and any filter. See [`crate::fuzzing`].

use super::definition::{check_registration, check_update, service_registration};
use super::filter::{self, Filter};
use crate::model::LocalCommand;
use serde_json::{Value, json};

/// The change that a request with this body asks for, if it is one.
pub(crate) fn command(kind: u8, body: &[u8]) -> Option<LocalCommand> {
    match kind % 3 {
        0 => service_registration(body).ok().map(|definition| LocalCommand::RegisterService {
            definition: Box::new(definition),
            replace_existing_checks: false,
        }),
        1 => check_registration(body).ok().map(|check| LocalCommand::RegisterCheck(Box::new(check))),
        _ => check_update("service:web", body).ok(),
    }
}

/// Reads a filter for elements of each kind and tries it on one.
pub(crate) fn filter(text: &str) {
    let element = element();
    let schemas = [
        filter::NODE,
        filter::AGENT_SERVICE,
        filter::SERVICE_NODE,
        filter::HEALTH_CHECK,
        filter::SERVICE_ENTRY,
        filter::MEMBER,
    ];
    for schema in schemas {
        if let Ok(filter) = Filter::parse(text, schema) {
            let kept = filter.keeps(&element);
            assert_eq!(kept, filter.keeps(&element), "{text:?} is of two minds");
        }
    }
}

/// Something of everything.
fn element() -> Value {
    let service = json!({
        "ID": "web-1", "Service": "web", "Tags": ["a", "b"], "Port": 8080, "Address": "10.0.0.1",
        "Meta": {"rack": "r1", "": ""}, "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false,
        "TaggedAddresses": {"lan": {"Address": "10.0.0.1", "Port": 1}},
    });
    let mut all = service.clone();
    let fields = all.as_object_mut().expect("is an object");
    fields.insert("Node".to_owned(), json!({"ID": "", "Node": "n1", "Address": "10.0.0.1", "Meta": {}}));
    fields.insert("Service".to_owned(), service);
    fields.insert("Checks".to_owned(), json!([{"CheckID": "c", "Status": "passing", "ServiceTags": []}]));
    fields.insert("Status".to_owned(), json!("passing"));
    fields.insert("Name".to_owned(), json!("n1"));
    all
}
