//! What the agent serves, and its end.

use super::{dns, http};

/// The API, and DNS if it is wanted.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) api: http::Server,
    pub(super) dns: Option<dns::Server>,
}

impl Servers {
    /// Takes no more requests and gives those under way a moment.
    pub(super) async fn stop(&self) {
        let dns = async {
            if let Some(dns) = &self.dns {
                dns.stop().await;
            }
        };
        tokio::join!(self.api.stop(), dns);
    }
}
