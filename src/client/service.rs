use super::duration::{DURATION_WANTED, parse_duration};
use super::{Error, format_duration};
use crate::model::CheckStatus;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A service instance to register.
///
/// ```
/// use shoal::Service;
///
/// let web = Service::new("web").id("web-1").port(8080).tag("v2").meta("zone", "a").ttl("10s");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    name: String,
    id: Option<String>,
    address: String,
    port: u16,
    tags: Vec<String>,
    meta: BTreeMap<String, String>,
    weight: Option<u16>,
    ttl: Option<Result<Duration, String>>,
    status: Option<CheckStatus>,
    checks: Vec<CheckSpec>,
}

/// What can be given as a TTL: a [`Duration`], or text such as `"10s"` or `"1m30s"`.
pub trait IntoTtl {
    /// The duration, or the text that is none; registering then fails and says so.
    fn into_ttl(self) -> Result<Duration, String>;
}

impl IntoTtl for Duration {
    fn into_ttl(self) -> Result<Duration, String> {
        Ok(self)
    }
}

impl IntoTtl for &str {
    fn into_ttl(self) -> Result<Duration, String> {
        parse_duration(self).ok_or_else(|| self.to_owned())
    }
}

impl Service {
    /// An instance of service `name`. Its id is the name until [`Service::id`] gives another.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            id: None,
            address: String::new(),
            port: 0,
            tags: Vec::new(),
            meta: BTreeMap::new(),
            weight: None,
            ttl: None,
            status: None,
            checks: Vec::new(),
        }
    }

    /// An id of its own, unique on this host; needed for a second instance of a service.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// IP address or host name; the node's address when not given.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// Port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds a free pair.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.meta.insert(key.into(), value.into());
        self
    }

    /// Share of traffic, 1 when not given.
    #[must_use]
    pub fn weight(mut self, weight: u16) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Adds a check by heartbeats: critical when none came for this long.
    #[must_use]
    pub fn ttl(mut self, ttl: impl IntoTtl) -> Self {
        self.ttl = Some(ttl.into_ttl());
        self
    }

    /// Status its checks start with: passing with a TTL, critical for other checks unless given.
    #[must_use]
    pub fn status(mut self, status: CheckStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds a check that the agent runs by itself.
    #[must_use]
    pub fn check(mut self, check: CheckSpec) -> Self {
        self.checks.push(check);
        self
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id it will have.
    pub fn instance_id(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.name)
    }

    /// The id of its TTL check, by Consul's rule for a service's only check.
    pub(super) fn ttl_check_id(&self) -> String {
        format!("service:{}", self.instance_id())
    }

    /// The status that registering reports for the TTL check; `None` without a TTL.
    pub(super) fn first_heartbeat(&self) -> Option<CheckStatus> {
        self.ttl.as_ref().map(|_| self.status.unwrap_or(CheckStatus::Passing))
    }

    /// The body of a registration.
    pub(super) fn to_json(&self) -> Result<Value, Error> {
        if self.name.is_empty() {
            return Err(Error::Invalid {
                what: "service name",
                value: String::new(),
                want: "at least one character",
            });
        }
        let mut checks = Vec::new();
        match &self.ttl {
            Some(Ok(ttl)) if !ttl.is_zero() => checks.push(json!({
                "CheckID": self.ttl_check_id(),
                "TTL": format_duration(*ttl),
                "Status": self.first_heartbeat().unwrap_or(CheckStatus::Passing).as_str(),
            })),
            Some(Ok(_)) => {
                return Err(Error::Invalid { what: "ttl", value: "0s".to_owned(), want: "more than zero" });
            }
            Some(Err(text)) => {
                return Err(Error::Invalid { what: "ttl", value: text.clone(), want: DURATION_WANTED });
            }
            None => {}
        }
        checks.extend(self.checks.iter().map(|check| check.to_json(self.status)));
        let mut body = json!({
            "ID": self.instance_id(),
            "Name": self.name,
            "Address": self.address,
            "Port": self.port,
            "Tags": self.tags,
            "Meta": self.meta,
        });
        if let Some(weight) = self.weight {
            body["Weights"] = json!({"Passing": weight, "Warning": weight});
        }
        if !checks.is_empty() {
            body["Checks"] = Value::Array(checks);
        }
        Ok(body)
    }
}

/// A check that the agent runs by itself, at an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSpec {
    what: &'static str,
    target: Value,
    interval: Duration,
    timeout: Option<Duration>,
}

impl CheckSpec {
    const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

    fn new(what: &'static str, target: Value) -> Self {
        Self { what, target, interval: Self::DEFAULT_INTERVAL, timeout: None }
    }

    /// Passes when a GET of `url` answers 2xx.
    pub fn http(url: impl Into<String>) -> Self {
        Self::new("HTTP", Value::String(url.into()))
    }

    /// Passes when `HOST:PORT` accepts a connection.
    pub fn tcp(address: impl Into<String>) -> Self {
        Self::new("TCP", Value::String(address.into()))
    }

    /// Passes when the gRPC health service at `HOST:PORT[/SERVICE]` answers SERVING.
    pub fn grpc(target: impl Into<String>) -> Self {
        Self::new("GRPC", Value::String(target.into()))
    }

    /// Passes when a shell command exits 0, warns when it exits 1.
    pub fn script(command: impl Into<String>) -> Self {
        Self::new("Args", json!(["/bin/sh", "-c", command.into()]))
    }

    /// Time between two runs; 10 s when not given.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long one run may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    fn to_json(&self, status: Option<CheckStatus>) -> Value {
        let mut check = Map::new();
        check.insert(self.what.to_owned(), self.target.clone());
        check.insert("Interval".to_owned(), format_duration(self.interval).into());
        if let Some(timeout) = self.timeout {
            check.insert("Timeout".to_owned(), format_duration(timeout).into());
        }
        if let Some(status) = status {
            check.insert("Status".to_owned(), status.as_str().into());
        }
        Value::Object(check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_registration_is_consuls() {
        let service = Service::new("web")
            .id("web-1")
            .address("10.0.0.7")
            .port(8080)
            .tag("v2")
            .meta("zone", "a")
            .weight(3)
            .ttl("1m30s")
            .check(CheckSpec::http("http://10.0.0.7:8080/health").interval(Duration::from_secs(5)));
        assert_eq!(
            service.to_json().expect("valid"),
            json!({
                "ID": "web-1", "Name": "web", "Address": "10.0.0.7", "Port": 8080, "Tags": ["v2"],
                "Meta": {"zone": "a"}, "Weights": {"Passing": 3, "Warning": 3},
                "Checks": [
                    {"CheckID": "service:web-1", "TTL": "1m30s", "Status": "passing"},
                    {"HTTP": "http://10.0.0.7:8080/health", "Interval": "5s"},
                ],
            })
        );
    }

    #[test]
    fn without_checks_none_are_sent_and_the_id_is_the_name() {
        let body = Service::new("db").to_json().expect("valid");
        assert_eq!(body["ID"], "db");
        assert!(body.get("Checks").is_none() && body.get("Weights").is_none());
    }

    #[test]
    fn a_bad_ttl_names_the_value_and_what_was_wanted() {
        let e = Service::new("web").ttl("10").to_json().expect_err("no unit").to_string();
        assert!(e.contains("\"10\"") && e.contains("10s"), "{e}");
        assert!(Service::new("web").ttl(Duration::ZERO).to_json().is_err());
        assert!(Service::new("").to_json().is_err());
    }
}
