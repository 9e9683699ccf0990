//! Questions that memory alone does not answer: those for recursors, and for names by address when
//! what is known of these is old.

use super::super::clock;
use super::{Shared, forward};
use crate::dns::{Asked, Outcome, Reply, Transport, fits};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// How often a question is looked at: names by address, then an alias, then the answer.
const STEPS_MAX: usize = 4;

/// A question with its place among [`super::SLOW_MAX`].
pub(super) struct Job {
    shared: Arc<Shared>,
    message: Vec<u8>,
    transport: Transport,
    _place: OwnedSemaphorePermit,
}

/// Answers a question for which there is no place.
pub(super) fn refuse(shared: &Shared, message: &[u8], transport: Transport, out: &mut Vec<u8>) {
    shared.metrics.recursion_refused();
    let rtype = shared.responder().fail(message, transport, out);
    shared.metrics.answered(rtype, Outcome::ServFail, false);
}

impl Job {
    /// `None` when too many wait already.
    pub(super) fn new(shared: &Arc<Shared>, message: &[u8], transport: Transport) -> Option<Self> {
        let place = Arc::clone(&shared.slow).try_acquire_owned().ok()?;
        Some(Self { shared: Arc::clone(shared), message: message.to_vec(), transport, _place: place })
    }

    /// The answer, unless the agent ends or there is none to be given.
    pub(super) async fn answer(self) -> Option<Vec<u8>> {
        let stop = self.shared.stop.clone();
        tokio::select! {
            () = stop.cancelled() => None,
            answer = self.steps() => answer,
        }
    }

    async fn steps(&self) -> Option<Vec<u8>> {
        let (shared, transport) = (&self.shared, self.transport);
        let seed = rand::random();
        let (mut reverse, mut resolved): (_, Option<Vec<u8>>) = (None, None);
        for _ in 0..STEPS_MAX {
            let mut out = Vec::new();
            let view = shared.view.load();
            let reply = {
                let asked = Asked {
                    message: &self.message,
                    transport,
                    view: &view,
                    reverse: reverse.as_deref(),
                    resolved: resolved.as_deref(),
                    unix_seconds: (clock::unix_millis() / 1_000) as u32,
                    seed,
                };
                shared.responder().answer(&asked, &mut out)
            };
            match reply {
                Reply::Answer { rtype, outcome, cut } => {
                    shared.metrics.answered(rtype, outcome, cut);
                    return Some(out);
                }
                Reply::Drop(why) => {
                    shared.metrics.dropped(why);
                    return None;
                }
                Reply::Reverse => reverse = Some(shared.names.of(view).await),
                Reply::Resolve(question) => {
                    // Without an answer the alias is told alone.
                    let told = forward::ask(shared, &question, Transport::Tcp).await;
                    resolved = Some(told.unwrap_or_default());
                }
                Reply::Forward { rtype } => {
                    let Some(mut told) = forward::ask(shared, &self.message, transport).await else { break };
                    if transport == Transport::Udp {
                        fits(&self.message, &mut told);
                    }
                    shared.metrics.answered(rtype, Outcome::Forwarded, false);
                    return Some(told);
                }
            }
        }
        let mut out = Vec::new();
        let rtype = shared.responder().fail(&self.message, transport, &mut out);
        shared.metrics.answered(rtype, Outcome::ServFail, false);
        Some(out).filter(|out| !out.is_empty())
    }
}
