//! Events that operators of simulated hosts fire, and who heard them.

use super::World;
use crate::core::Event;
use crate::model::{UserEventContent, UserEventError, UserEventId};
use crate::sim::HostId;

impl World {
    /// The host's operator fires an event.
    pub fn fire_event(
        &mut self,
        host: HostId,
        content: &UserEventContent,
    ) -> Result<UserEventId, UserEventError> {
        let fired = self.call(host, |agent, now| agent.fire(content.clone(), now));
        let fired = fired.unwrap_or(Err(UserEventError::Leaving))?;
        self.absorb();
        Ok(fired.id)
    }

    /// The events that the host's agents have told of, in that order, as often as they did.
    pub fn events_heard(&self, host: HostId) -> &[UserEventId] {
        &self.node(host).events_heard
    }

    pub(super) fn note_event(&mut self, host: HostId, event: &Event) {
        if let Event::UserEventHeard(event) = event {
            self.node_mut(host).events_heard.push(event.id);
        }
    }
}
