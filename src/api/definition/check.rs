//! Checks: the fields they may have, what is refused, and which kinds this version runs.

use super::target::Target;
use super::{decode_failed, parse};
use crate::api::duration::{self, Nanos};
use crate::api::json::{Field, Json, Misread, Object};
use crate::api::reply::Failure;
use crate::model::{
    Alias, CheckDefinition, CheckId, CheckKind, CheckStatus, InstanceId, LocalCommand, NodeName,
    OUTPUT_BYTES_MAX, Probe, ProbeTarget,
};
use std::sync::Arc;
use std::time::Duration;

/// Shorter intervals are made as long.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// How long a run may take unless the caller says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(30);
/// An instance is not removed sooner than this after its check turned critical.
const DEREGISTER_AFTER_MIN: Duration = Duration::from_secs(60);

/// Fields of a check, in a service or alone.
const CHECK: &[Field] = &[
    &["CheckID", "check_id"],
    &["ID"],
    &["Name"],
    &["Notes"],
    &["Status"],
    &["ServiceID", "service_id"],
    &["Token"],
    &["TTL"],
    &["HTTP"],
    &["Method"],
    &["Header"],
    &["Body"],
    &["DisableRedirects", "disable_redirects"],
    &["TCP"],
    &["TCPUseTLS", "tcp_use_tls"],
    &["UDP"],
    &["GRPC"],
    &["GRPCUseTLS", "grpc_use_tls"],
    &["H2PING"],
    &["H2PingUseTLS", "h2ping_use_tls"],
    &["ScriptArgs", "Args", "script_args"],
    &["DockerContainerID", "docker_container_id"],
    &["Shell"],
    &["OSService", "os_service"],
    &["AliasNode", "alias_node"],
    &["AliasService", "alias_service"],
    &["Interval"],
    &["Timeout"],
    &["TLSServerName", "tls_server_name"],
    &["TLSSkipVerify", "tls_skip_verify"],
    &["SuccessBeforePassing", "success_before_passing"],
    &["FailuresBeforeWarning", "failures_before_warning"],
    &["FailuresBeforeCritical", "failures_before_critical"],
    &["DeregisterCriticalServiceAfter", "deregister_critical_service_after"],
    &["OutputMaxSize", "output_max_size"],
];

const UPDATE: &[Field] = &[&["Status"], &["Output"], &["CheckID"]];

/// Kinds of check that only later versions run, by the field that asks for them.
const OTHER_KINDS: &[(&str, &str)] = &[("DockerContainerID", "Docker"), ("OSService", "OSService")];

/// A check as the caller sent it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RawCheck {
    id: String,
    name: String,
    notes: String,
    status: String,
    service_id: String,
    ttl: Nanos,
    interval: Nanos,
    timeout: Nanos,
    deregister_after: Nanos,
    output_max_size: i64,
    successes_before_passing: i64,
    failures_before_warning: i64,
    failures_before_critical: i64,
    /// What the agent is to do itself.
    target: Target,
    /// The word of the first kind asked for that this version does not run.
    other_kind: Option<&'static str>,
    alias_node: String,
    alias_service: String,
    /// Anything else was given that keeps the object from being empty.
    extras: bool,
}

impl RawCheck {
    pub(super) fn read(value: &Json, path: &str) -> Result<Self, Misread> {
        let object = Object::read(value, path, CHECK)?;
        let mut other_kind = None;
        for (field, word) in OTHER_KINDS {
            if !object.text(field)?.is_empty() && other_kind.is_none() {
                other_kind = Some(*word);
            }
        }
        let mut extras = false;
        for field in ["Shell", "Token"] {
            extras |= !object.text(field)?.is_empty();
        }
        let id = match object.text("CheckID")? {
            id if id.is_empty() => object.text("ID")?,
            id => id,
        };
        Ok(Self {
            id,
            name: object.text("Name")?,
            notes: object.text("Notes")?,
            status: object.text("Status")?,
            service_id: object.text("ServiceID")?,
            ttl: object.duration("TTL")?,
            interval: object.duration("Interval")?,
            timeout: object.duration("Timeout")?,
            deregister_after: object.duration("DeregisterCriticalServiceAfter")?,
            output_max_size: object.int("OutputMaxSize")?,
            successes_before_passing: object.int("SuccessBeforePassing")?,
            failures_before_warning: object.int("FailuresBeforeWarning")?,
            failures_before_critical: object.int("FailuresBeforeCritical")?,
            target: Target::read(&object)?,
            other_kind,
            alias_node: object.text("AliasNode")?,
            alias_service: object.text("AliasService")?,
            extras,
        })
    }

    /// Nothing was given: counts as no check.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What every agent of this dialect refuses.
    pub(super) fn validate(&self) -> Result<(), Failure> {
        let with_interval = self.other_kind.is_some() || self.target.is_some();
        let critical = self.failures_before_critical;
        let warning = if self.failures_before_warning == 0 { critical } else { self.failures_before_warning };
        let why = if self.interval > 0 && self.ttl > 0 {
            "Interval and TTL cannot both be specified"
        } else if with_interval && self.interval <= 0 {
            "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"
        } else if with_interval && self.is_alias() {
            "Interval cannot be set for Alias checks"
        } else if self.is_alias() && self.ttl > 0 {
            "TTL must be not be set for Alias checks"
        } else if !with_interval && !self.is_alias() && self.ttl <= 0 {
            "TTL must be > 0 for TTL checks"
        } else if self.output_max_size < 0 {
            "MaxOutputMaxSize must be positive"
        } else if warning > critical {
            "FailuresBeforeWarning can't be higher than FailuresBeforeCritical"
        } else {
            return Ok(());
        };
        Err(Failure::bad(format!("Invalid check: {why}")))
    }

    /// The initial status, if one was given; `refusal` is what a wrong word is answered with.
    pub(super) fn initial_status(&self, refusal: &str) -> Result<Option<CheckStatus>, Failure> {
        if self.status.is_empty() {
            return Ok(None);
        }
        match CheckStatus::from_word(&self.status) {
            Some(status) => Ok(Some(status)),
            None => Err(Failure::bad(refusal)),
        }
    }

    /// What this version does not run is refused rather than never run.
    pub(super) fn refuse_other_kinds(&self) -> Result<(), Failure> {
        match self.other_kind {
            None => Ok(()),
            Some(kind) => Err(Failure::bad(format!(
                "Invalid check: {kind} checks are not supported: want a TTL, HTTP, TCP, UDP, gRPC, H2PING, \
                 script or alias check"
            ))),
        }
    }

    const fn is_alias(&self) -> bool {
        !self.alias_node.is_empty() || !self.alias_service.is_empty()
    }

    fn alias(&self) -> Result<Alias, Failure> {
        let invalid = |e| Failure::bad(format!("Invalid check: {e}"));
        let node = (!self.alias_node.is_empty()).then(|| NodeName::new(&self.alias_node));
        let service = (!self.alias_service.is_empty()).then(|| InstanceId::new(&self.alias_service));
        Ok(Alias { node: node.transpose().map_err(invalid)?, service: service.transpose().map_err(invalid)? })
    }

    /// The id given, if any.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The definition under `id`. `unset` is how a duration that was not given is shown.
    pub(super) fn define(
        mut self,
        id: String,
        default_name: impl FnOnce() -> String,
        service_id: Option<InstanceId>,
        initial_status: Option<CheckStatus>,
        unset: &str,
    ) -> Result<CheckDefinition, Failure> {
        let shown = |nanos: Nanos| if nanos == 0 { unset.to_owned() } else { duration::format(nanos) };
        let whole = |n: i64| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
        let critical = whole(self.failures_before_critical).max(1);
        let warning = whole(self.failures_before_warning);
        if self.target.is_some() && duration::to_std(self.interval) < INTERVAL_MIN {
            let interval = duration::format(self.interval);
            tracing::warn!(
                check = id,
                interval,
                "the interval of a check is shorter than a second; it is a second"
            );
        }
        let kind = match self.target.take() {
            None if self.is_alias() => CheckKind::Alias(Arc::new(self.alias()?)),
            None => CheckKind::Ttl { ttl: duration::to_std(self.ttl) },
            Some(target) => CheckKind::Probe(Arc::new(Probe {
                timeout: if self.timeout > 0 {
                    duration::to_std(self.timeout)
                } else if matches!(target, ProbeTarget::Script { .. }) {
                    SCRIPT_TIMEOUT
                } else {
                    TIMEOUT
                },
                target,
                interval: duration::to_std(self.interval).max(INTERVAL_MIN),
                successes_before_passing: whole(self.successes_before_passing).max(1),
                failures_before_warning: if warning == 0 { critical } else { warning },
                failures_before_critical: critical,
                output_bytes_max: match usize::try_from(self.output_max_size) {
                    Ok(0) | Err(_) => OUTPUT_BYTES_MAX,
                    Ok(bytes) => bytes.min(OUTPUT_BYTES_MAX),
                },
            })),
        };
        Ok(CheckDefinition {
            id: CheckId::new(id).map_err(|e| Failure::bad(format!("Invalid check: {e}")))?,
            name: if self.name.is_empty() { default_name() } else { self.name },
            notes: self.notes,
            service_id,
            kind,
            initial_status,
            interval: shown(self.interval),
            timeout: shown(self.timeout),
            deregister_critical_after: (self.deregister_after > 0)
                .then(|| duration::to_std(self.deregister_after).max(DEREGISTER_AFTER_MIN)),
        })
    }
}

/// The body of `agent/check/register`.
pub(in crate::api) fn check_registration(body: &[u8]) -> Result<CheckDefinition, Failure> {
    define_alone(RawCheck::read(&parse(body)?, "").map_err(decode_failed)?)
}

/// A check that does not come with a service.
pub(super) fn define_alone(raw: RawCheck) -> Result<CheckDefinition, Failure> {
    if raw.name.is_empty() {
        return Err(Failure::bad("Missing check name"));
    }
    let status = raw.initial_status("Bad check status")?;
    raw.validate()?;
    raw.refuse_other_kinds()?;
    let service_id = match raw.service_id.as_str() {
        "" => None,
        id => {
            // An id that cannot be is one that is not there.
            let unknown = || Failure::not_found(format!("ServiceID {id:?} does not exist"));
            Some(InstanceId::new(id).map_err(|_| unknown())?)
        }
    };
    let name = raw.name.clone();
    let id = if raw.id.is_empty() { name.clone() } else { raw.id.clone() };
    raw.define(id, || name, service_id, status, "0s")
}

/// The body of `agent/check/update`, for the check `id`.
pub(in crate::api) fn check_update(id: &str, body: &[u8]) -> Result<LocalCommand, Failure> {
    let body = parse(body)?;
    let read = || {
        let object = Object::read(&body, "", UPDATE)?;
        Ok((object.text("Status")?, object.text("Output")?))
    };
    let (status, output) = read().map_err(decode_failed)?;
    let Some(status) = CheckStatus::from_word(&status) else {
        return Err(Failure::bad(format!("Invalid check status: '{status}'")));
    };
    let id = CheckId::new(id).map_err(|_| crate::api::local::unknown_check(id))?;
    Ok(LocalCommand::UpdateCheck { id, status, output })
}
