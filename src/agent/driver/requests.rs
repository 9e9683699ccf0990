//! What callers want, and the jobs that run beside the loop on their behalf.

use super::{Background, Driver, answer_later};
use crate::agent::config::AgentConfig;
use crate::agent::join::Resolve;
use crate::agent::registrations::Written;
use crate::agent::reload;
use crate::api::request::{Reply, Request, RequestError};
use crate::model::{Instant, KeyringCommand, LocalCommand};
use tokio::sync::oneshot;

impl Driver {
    pub(super) fn request(&mut self, request: Request, now: Instant) {
        if self.leave_by.is_some() {
            self.refuse(request);
            return;
        }
        match request {
            Request::Local(command, reply) => {
                if let Some((command, reply)) = self.registrations.take((command, reply), now) {
                    self.apply(&command, reply, now);
                }
            }
            Request::Join(addrs, reply) => match self.joiner.ask(&addrs, reply, now) {
                Ok(resolve) => self.resolve(resolve),
                Err((reply, result)) => self.answers.push(answer_later(reply, result)),
            },
            Request::Leave(reply) => {
                self.leave_replies.push(reply);
                self.begin_leaving(now);
            }
            Request::ForceLeave { node, prune, reply } => {
                let result = self.agent.force_leave(&node, prune, now);
                self.drain(now);
                match &result {
                    Ok(()) => tracing::info!(%node, prune, "a failed member was made to leave"),
                    Err(error) => tracing::debug!(%node, %error, "a member cannot be made to leave"),
                }
                let result = result.map_err(|e| RequestError::ForceLeave(e.to_string()));
                self.answers.push(answer_later(reply, result));
            }
            Request::Keyring(command, reply) => self.change_keyring(&command, reply, now),
            Request::Fire(content, reply) => {
                let result = self.agent.fire(*content, now).map_err(RequestError::Fire);
                self.drain(now);
                self.answers.push(answer_later(reply, result));
            }
            Request::Examine(nodes, reply) => self.examine(nodes, reply, now),
            Request::Reload(reply) => {
                let config = self.config.clone();
                self.spawn(async move {
                    let read = tokio::task::spawn_blocking(move || config.reread()).await;
                    let result = match read {
                        Ok(Ok(config)) => Ok(config),
                        Ok(Err(fault)) => Err(RequestError::Reload(fault.to_string())),
                        Err(died) => Err(RequestError::Reload(died.to_string())),
                    };
                    Background::Reread(Box::new(result), reply)
                });
            }
        }
    }

    /// While the agent leaves: nothing changes any more, and a second wish to leave waits with the
    /// first.
    fn refuse(&mut self, request: Request) {
        let gone = RequestError::ShuttingDown;
        let answer = match request {
            Request::Leave(reply) => {
                self.leave_replies.push(reply);
                return;
            }
            Request::Join(_, reply) => answer_later(reply, Err(gone)),
            Request::Fire(_, reply) => answer_later(reply, Err(gone)),
            Request::Examine(_, reply) => answer_later(reply, Err(gone)),
            Request::Local(_, reply)
            | Request::Reload(reply)
            | Request::Keyring(_, reply)
            | Request::ForceLeave { reply, .. } => answer_later(reply, Err(gone)),
        };
        self.answers.push(answer);
    }

    pub(super) fn apply(&mut self, command: &LocalCommand, reply: Reply<()>, now: Instant) {
        let result = self.agent.apply(command, now);
        self.drain(now);
        if result.is_ok() {
            self.publisher.local(&self.agent);
            match command {
                LocalCommand::RegisterService { definition, .. } => {
                    tracing::info!(service = %definition.service.name, id = %definition.service.id, "registered");
                }
                LocalCommand::TakeFiles(files) => tracing::info!(
                    services = files.services.len(),
                    checks = files.checks.len(),
                    "the definition files were taken over"
                ),
                LocalCommand::DeregisterService(id) => tracing::info!(%id, "deregistered"),
                LocalCommand::ServiceMaintenance { id, enable, .. } => {
                    tracing::info!(%id, enable, "maintenance")
                }
                LocalCommand::NodeMaintenance { enable, .. } => {
                    tracing::info!(enable, "maintenance of this node")
                }
                LocalCommand::RegisterCheck(_)
                | LocalCommand::DeregisterCheck(_)
                | LocalCommand::UpdateCheck { .. } => tracing::debug!(?command, "applied"),
            }
        }
        self.answers.push(answer_later(reply, result.map_err(RequestError::Local)));
    }

    fn change_keyring(&mut self, command: &KeyringCommand, reply: Reply<()>, now: Instant) {
        let result = self.agent.change_keyring(command, now);
        self.drain(now);
        let reply = match &result {
            Ok(()) => {
                tracing::info!(?command, "the cluster's keyring was changed here");
                self.registrations.promise(reply, now)
            }
            Err(_) => Some(reply),
        };
        if let Some(reply) = reply {
            self.answers.push(answer_later(reply, result.map_err(RequestError::Keyring)));
        }
    }

    pub(super) fn written(&mut self, result: Result<(), String>, now: Instant) {
        self.stats.state_writes += 1;
        for reply in self.registrations.promised() {
            let result = result.clone().map_err(RequestError::NotKept);
            self.answers.push(answer_later(reply, result));
        }
        match self.registrations.settle(result, now) {
            Written::Durable(changes) => {
                for (command, reply) in changes {
                    self.apply(&command, reply, now);
                }
            }
            Written::Failed(changes, error) => {
                self.stats.state_writes_failed += 1;
                for (_, reply) in changes {
                    self.answers.push(answer_later(reply, Err(RequestError::NotDurable(error.clone()))));
                }
            }
        }
    }

    pub(super) fn resolve(&self, resolve: Resolve) {
        self.spawn(async move { Background::Resolved(resolve.run().await) });
    }

    /// Runs `job` beside the loop.
    pub(super) fn spawn(&self, job: impl Future<Output = Background> + Send + 'static) {
        let done = self.to_background.clone();
        tokio::spawn(async move {
            let result = job.await;
            // The loop has ended, and with it the wish to know.
            let _ = done.send(result).await;
        });
    }

    pub(super) fn background_done(&mut self, done: Background, now: Instant) {
        match done {
            Background::Resolved(resolved) => {
                let (addrs, answer) = self.joiner.resolved(resolved);
                if let Some((reply, result)) = answer {
                    self.answers.push(answer_later(reply, result));
                }
                // Once it leaves, a node joins nothing.
                if !addrs.is_empty() && self.leave_by.is_none() {
                    tracing::debug!(?addrs, "joining");
                    self.agent.join(&addrs, now);
                    self.drain(now);
                    self.members_changed = true;
                }
            }
            Background::Judged(judged) => self.judged(judged),
            Background::Reread(result, reply) => self.reread(*result, reply, now),
            Background::Registered(result, new, reply) => {
                let result = result.and_then(|()| self.take_over(*new, now));
                self.reloaded(result, reply);
            }
        }
    }

    /// The files were read again. What they define is made durable first, then the rest is done.
    fn reread(&mut self, result: Result<AgentConfig, RequestError>, reply: Reply<()>, now: Instant) {
        let prepared = result.and_then(|new| {
            let command = reload::prepare(&new, &self.agent, now)?;
            Ok((new, command))
        });
        match prepared {
            Err(error) => self.reloaded(Err(error), reply),
            Ok((new, None)) => {
                let result = self.take_over(new, now);
                self.reloaded(result, reply);
            }
            Ok((new, Some(command))) => {
                let (done, wait) = oneshot::channel();
                if let Some((command, done)) = self.registrations.take((command, done), now) {
                    self.apply(&command, done, now);
                }
                self.spawn(async move {
                    let result = wait.await.unwrap_or(Err(RequestError::ShuttingDown));
                    Background::Registered(result, Box::new(new), reply)
                });
            }
        }
    }

    fn take_over(&mut self, new: AgentConfig, now: Instant) -> Result<(), RequestError> {
        let reach = reload::Reach { log: self.log.as_ref(), access: &self.access };
        let result = reload::apply(&mut self.config, new, &mut self.agent, &reach, now);
        self.drain(now);
        result
    }

    fn reloaded(&mut self, result: Result<(), RequestError>, reply: Reply<()>) {
        match &result {
            Ok(()) => tracing::info!("the configuration was read again"),
            Err(error) => tracing::error!(%error, "the configuration was not changed"),
        }
        self.answers.push(answer_later(reply, result));
    }
}
