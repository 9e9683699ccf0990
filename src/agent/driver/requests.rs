//! What callers want, and the jobs that run beside the loop on their behalf.

use super::{Background, Driver, answer_later};
use crate::agent::join::Resolve;
use crate::agent::registrations::Written;
use crate::agent::reload;
use crate::api::request::{Reply, Request, RequestError};
use crate::model::{Instant, LocalCommand};

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
            Request::Fire(content, reply) => {
                let result = self.agent.fire(*content, now).map_err(RequestError::Fire);
                self.drain(now);
                self.answers.push(answer_later(reply, result));
            }
            Request::Reload(reply) => {
                let config = self.config.clone();
                self.spawn(async move {
                    let read = tokio::task::spawn_blocking(move || config.reread()).await;
                    let result = match read {
                        Ok(Ok(config)) => Ok(config),
                        Ok(Err(fault)) => Err(RequestError::Reload(fault.to_string())),
                        Err(died) => Err(RequestError::Reload(died.to_string())),
                    };
                    Background::Reloaded(Box::new(result), reply)
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
            Request::Local(_, reply) | Request::Reload(reply) | Request::ForceLeave { reply, .. } => {
                answer_later(reply, Err(gone))
            }
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

    pub(super) fn written(&mut self, result: Result<(), String>, now: Instant) {
        self.stats.state_writes += 1;
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
    fn spawn(&self, job: impl Future<Output = Background> + Send + 'static) {
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
            Background::Reloaded(result, reply) => {
                let result = (*result).and_then(|new| {
                    reload::apply(&mut self.config, new, &mut self.agent, self.log.as_ref(), now)
                });
                self.drain(now);
                match &result {
                    Ok(()) => tracing::info!("the configuration was read again"),
                    Err(error) => tracing::error!(%error, "the configuration was not changed"),
                }
                self.answers.push(answer_later(reply, result));
            }
        }
    }
}
