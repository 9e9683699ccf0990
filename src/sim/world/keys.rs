//! Keys of simulated agents: what an operator does with them.

use super::World;
use crate::core::Keyring;
use crate::model::{KeyringCommand, KeyringError};
use crate::sim::HostId;

impl World {
    /// Changes the keyring at that host, as an operator there does. `None`: no agent runs there.
    pub fn change_keyring(
        &mut self,
        host: HostId,
        command: &KeyringCommand,
    ) -> Option<Result<(), KeyringError>> {
        let done = self.call(host, |agent, now| agent.change_keyring(command, now));
        self.absorb();
        done
    }

    /// The keyring of the agent there.
    pub fn keyring(&self, host: HostId) -> Option<Keyring> {
        self.agent(host).and_then(|agent| agent.keyring().cloned())
    }
}
