use super::{Client, Error, Service};
use crate::model::CheckStatus;

/// A registered instance, to keep alive and to take back.
///
/// Dropping it does nothing: the registration stays until [`Registration::deregister`], and its
/// TTL check, if it has one, turns critical by itself when heartbeats stop.
#[derive(Debug, Clone)]
pub struct Registration {
    client: Client,
    id: String,
    check_id: String,
}

impl Registration {
    pub(super) fn new(client: Client, service: &Service) -> Self {
        Self { client, id: service.instance_id().to_owned(), check_id: service.ttl_check_id() }
    }

    /// The instance's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says that all is well, for another TTL.
    pub async fn heartbeat(&self) -> Result<(), Error> {
        self.heartbeat_with(CheckStatus::Passing, "").await
    }

    /// Reports a status and a note for people. An error that [`Error::is_unknown`] means that the
    /// registration is gone, or never had a TTL.
    pub async fn heartbeat_with(&self, status: CheckStatus, note: &str) -> Result<(), Error> {
        self.client.heartbeat_check(&self.check_id, status, note).await
    }

    /// Takes the instance out of the directory.
    pub async fn deregister(self) -> Result<(), Error> {
        self.client.deregister(&self.id).await
    }
}
