//! Changes of this host's registrations: services, checks, heartbeats, maintenance.
//!
//! Each becomes one command for the agent's loop and is answered when the loop replied, which is
//! when the change is durable and visible on this host.

use super::App;
use super::access::{self, Want};
use super::definition::file::is_script;
use super::definition::{check_registration, check_update, service_registration};
use super::query::{check_tenancy, parse_bool};
use super::reply::{Failure, Outcome, done};
use super::request::{Reply, Request, RequestError};
use super::route::Call;
use crate::model::{
    CheckDefinition, CheckId, CheckStatus, InstanceId, KeyringError, LocalCommand, LocalError,
    ServiceDefinition,
};
use http::StatusCode;
use tokio::sync::oneshot;

pub(super) fn unknown_service(id: &str) -> Failure {
    let text =
        format!("Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name.");
    Failure::not_found(text)
}

pub(super) fn unknown_check(id: &str) -> Failure {
    let text = format!("Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name.");
    Failure::not_found(text)
}

/// What a refusal of the loop is to the caller.
pub(super) fn refused(error: RequestError) -> Failure {
    let text = error.to_string();
    match error {
        RequestError::Local(LocalError::UnknownService(id)) => unknown_service(&id),
        RequestError::Local(LocalError::UnknownCheck(id)) => unknown_check(&id),
        RequestError::Local(LocalError::NotTtl(id)) => {
            Failure::internal(format!("CheckID {:?} does not have associated TTL", id.as_str()))
        }
        RequestError::Local(LocalError::RecordTooLarge { .. } | LocalError::TooManyEntries { .. }) => {
            Failure::bad(text)
        }
        RequestError::Local(LocalError::Leaving) | RequestError::ShuttingDown | RequestError::Busy(_) => {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        RequestError::Keyring(KeyringError::Unknown(_)) => Failure::not_found(text),
        RequestError::Keyring(KeyringError::Leaving) => Failure::new(StatusCode::SERVICE_UNAVAILABLE, text),
        RequestError::Keyring(_) => Failure::new(StatusCode::CONFLICT, text),
        RequestError::Fire(error) => super::event::refusal(&error),
        RequestError::NotDurable(_)
        | RequestError::NotKept(_)
        | RequestError::Join(_)
        | RequestError::ForceLeave(_)
        | RequestError::Reload(_) => Failure::internal(text),
    }
}

impl App {
    /// Sends a request to the loop and waits for its reply. The loop may carry it out even when
    /// the caller has gone or lost patience meanwhile.
    pub(super) async fn ask<T>(
        &self,
        make: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<Result<T, RequestError>, Failure> {
        let patience = self.info.limits.request_timeout;
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.requests.send(make(reply)).await.map_err(|_| RequestError::ShuttingDown)?;
            answer.await.map_err(|_| RequestError::ShuttingDown)?
        };
        tokio::time::timeout(patience, exchange).await.map_err(|_| {
            let seconds = patience.as_secs();
            let text = format!("The agent did not reply within {seconds} s; it may still do what was asked");
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, text)
        })
    }
}

impl Call {
    async fn command(&self, command: LocalCommand) -> Outcome {
        self.app.ask(|reply| Request::Local(command, reply)).await?.map_err(refused)?;
        Ok(done())
    }

    /// As [`Self::command`], and noted with who did it.
    async fn change(&self, what: &str, id: &str, command: LocalCommand) -> Outcome {
        let outcome = self.command(command).await?;
        access::changed(self.caller, what, id);
        Ok(outcome)
    }

    fn permits(&self, want: Want<'_>) -> Result<(), Failure> {
        self.app.permits(self.caller, want)
    }

    /// Whether the caller may change the instance that has this id now, if one has.
    pub(super) fn may_change(&self, id: &InstanceId) -> Result<(), Failure> {
        let view = self.app.view.load();
        match view.local().services.get(id) {
            Some(service) => self.permits(Want::Register(service.name.as_str())),
            None => Ok(()),
        }
    }

    /// The same for the check: it is its instance's, or the node's.
    pub(super) fn may_change_check(&self, id: &CheckId) -> Result<(), Failure> {
        let view = self.app.view.load();
        match view.local().checks.get(id) {
            Some(check) => self.may_change_checks_of(check.definition.service_id.as_ref()),
            None => Ok(()),
        }
    }

    /// Whether the caller may register this instance, also in the place of what is there now: that may
    /// be somebody else's.
    pub(super) fn may_register(&self, definition: &ServiceDefinition) -> Result<(), Failure> {
        self.permits(Want::Register(definition.service.name.as_str()))?;
        self.may_change(&definition.service.id)?;
        definition.checks.iter().try_for_each(|check| self.may_change_check(&check.id))
    }

    /// The same for a check.
    pub(super) fn may_register_check(&self, definition: &CheckDefinition) -> Result<(), Failure> {
        self.may_change_checks_of(definition.service_id.as_ref())?;
        self.may_change_check(&definition.id)
    }

    fn may_change_checks_of(&self, service: Option<&InstanceId>) -> Result<(), Failure> {
        service.map_or_else(|| self.permits(Want::Administer), |id| self.may_change(id))
    }

    fn service_id(&self) -> Result<InstanceId, Failure> {
        // An id that cannot be is one that is not there.
        let id = InstanceId::new(&self.id).map_err(|_| unknown_service(&self.id))?;
        self.may_change(&id)?;
        // Not left to the loop where names matter: until it looks, somebody could register it.
        let guarded = self.app.access.guards_names();
        if guarded && !self.app.view.load().local().services.contains_key(&id) {
            return Err(unknown_service(&self.id));
        }
        Ok(id)
    }

    fn check_id(&self) -> Result<CheckId, Failure> {
        let id = CheckId::new(&self.id).map_err(|_| unknown_check(&self.id))?;
        self.may_change_check(&id)?;
        let guarded = self.app.access.guards_names();
        if guarded && self.app.view.load().local().checks.get(&id).is_none() {
            return Err(unknown_check(&self.id));
        }
        Ok(id)
    }

    fn enable(&self) -> Result<bool, Failure> {
        match self.query.get("enable") {
            "" => Err(Failure::bad("Missing value for enable")),
            text => {
                parse_bool(text).ok_or_else(|| Failure::bad(format!("Invalid value for enable: {text:?}")))
            }
        }
    }

    fn tenancy(&self) -> Result<(), Failure> {
        check_tenancy(&self.query, &self.headers)
    }
}

impl Call {
    /// Whoever may register a script may run any program as the agent's user: that must be wanted.
    fn admits(&self, check: &CheckDefinition) -> Result<(), Failure> {
        if is_script(check) && !self.app.info.script_checks {
            return Err(Failure::internal(
                "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' \
                 to true",
            ));
        }
        Ok(())
    }
}

pub(super) async fn register_service(mut call: Call) -> Outcome {
    call.tenancy()?;
    let body = call.body().await?;
    let definition = Box::new(service_registration(&body)?);
    definition.checks.iter().try_for_each(|check| call.admits(check))?;
    call.may_register(&definition)?;
    let replace_existing_checks = call.query.has("replace-existing-checks")
        && parse_bool(call.query.get("replace-existing-checks")).unwrap_or(true);
    let id = definition.service.id.clone();
    let command = LocalCommand::RegisterService { definition, replace_existing_checks };
    call.change("register service", id.as_str(), command).await
}

pub(super) async fn deregister_service(call: Call) -> Outcome {
    call.tenancy()?;
    let id = call.service_id()?;
    call.change("deregister service", &call.id, LocalCommand::DeregisterService(id)).await
}

pub(super) async fn register_check(mut call: Call) -> Outcome {
    call.tenancy()?;
    let body = call.body().await?;
    let definition = Box::new(check_registration(&body)?);
    call.admits(&definition)?;
    call.may_register_check(&definition)?;
    let id = definition.id.clone();
    let asked = call.app.ask(|reply| Request::Local(LocalCommand::RegisterCheck(definition), reply));
    match asked.await? {
        Ok(()) => {
            access::changed(call.caller, "register check", id.as_str());
            Ok(done())
        }
        Err(RequestError::Local(LocalError::UnknownService(id))) => {
            Err(Failure::not_found(format!("ServiceID {id:?} does not exist")))
        }
        Err(error) => Err(refused(error)),
    }
}

pub(super) async fn deregister_check(call: Call) -> Outcome {
    call.tenancy()?;
    let id = call.check_id()?;
    call.change("deregister check", &call.id, LocalCommand::DeregisterCheck(id)).await
}

/// `pass`, `warn`, `fail`: the note becomes the output.
pub(super) async fn heartbeat(call: Call, status: CheckStatus) -> Outcome {
    call.tenancy()?;
    let id = call.check_id()?;
    let output = call.query.get("note").to_owned();
    call.command(LocalCommand::UpdateCheck { id, status, output }).await
}

pub(super) async fn update_check(mut call: Call) -> Outcome {
    call.tenancy()?;
    let body = call.body().await?;
    let command = check_update(&call.id, &body)?;
    call.check_id()?;
    call.command(command).await
}

pub(super) async fn service_maintenance(call: Call) -> Outcome {
    call.tenancy()?;
    if call.id.is_empty() {
        return Err(Failure::bad("Missing service ID"));
    }
    let enable = call.enable()?;
    let id = call.service_id()?;
    let reason = call.query.get("reason").to_owned();
    let what = if enable { "drain service" } else { "end draining service" };
    call.change(what, &call.id, LocalCommand::ServiceMaintenance { id, enable, reason }).await
}

pub(super) async fn node_maintenance(call: Call) -> Outcome {
    call.tenancy()?;
    let enable = call.enable()?;
    let reason = call.query.get("reason").to_owned();
    call.command(LocalCommand::NodeMaintenance { enable, reason }).await
}
