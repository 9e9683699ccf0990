//! Events that are fired: from the command to the rumour, and from the rumour to whoever listens.

use super::{Agent, Phase};
use crate::core::event::Event;
use crate::core::gossip::spread::Age;
use crate::core::user_events::{KNOWN_MAX, Unheard};
use crate::model::{Instant, UserEvent, UserEventContent, UserEventError};
use std::net::SocketAddr;
use std::sync::Arc;

impl Agent {
    /// Fires an event. It is heard here at once, and with some luck by everybody else; nobody
    /// repairs what gets lost.
    pub fn fire(
        &mut self,
        content: UserEventContent,
        now: Instant,
    ) -> Result<Arc<UserEvent>, UserEventError> {
        if self.phase != Phase::Running {
            return Err(UserEventError::Leaving);
        }
        content.check()?;
        let id = self.heard.next_id();
        self.heard
            .admit(id, Some(std::time::Duration::ZERO), now)
            .map_err(|_| UserEventError::TooMany { known: KNOWN_MAX })?;
        let event = Arc::new(UserEvent { id, from: self.identity.name.clone(), content });
        self.spread.user_event(Arc::clone(&event), Age::none(now), None, now);
        self.events.push_back(Event::UserEventHeard(Arc::clone(&event)));
        self.settle(None, now);
        Ok(event)
    }

    pub(super) fn handle_user_event(&mut self, from: SocketAddr, event: UserEvent, age: u32, now: Instant) {
        if event.content.check().is_err() {
            return self.drop_counted("user_event_refused");
        }
        let sender = self.swim.peers().live_at(from);
        let way = sender.and_then(|key| self.swim.peers().rtt(key)).unwrap_or_default() / 2;
        let age = Age::from_wire(age).map(|age| age + way);
        match self.heard.admit(event.id, age, now) {
            Ok(()) => {
                let event = Arc::new(event);
                self.spread.user_event(Arc::clone(&event), Age::new(age, now), sender, now);
                self.events.push_back(Event::UserEventHeard(event));
            }
            Err(Unheard::Known) => {}
            Err(Unheard::Old) => self.drop_counted("user_event_old"),
            Err(Unheard::Flood) => self.drop_counted("user_event_flood"),
        }
    }
}
