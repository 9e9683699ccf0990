use super::address::authority;
use super::{Client, Error, Health, Instance, Query};
use std::collections::BTreeMap;
use std::fmt;

/// Where one usable instance of a service answers. Displays as `address:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// IP address or host name: the instance's own, else its node's.
    pub address: String,
    /// Port; 0 when the instance has none.
    pub port: u16,
    /// The node it runs on.
    pub node: String,
    /// The instance's id, unique on its node.
    pub id: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its free pairs.
    pub meta: BTreeMap<String, String>,
    /// Its share of traffic at its present health.
    pub weight: u32,
    /// Passing or warning.
    pub health: Health,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::join(&self.address, self.port))
    }
}

impl From<&Instance> for Endpoint {
    fn from(instance: &Instance) -> Self {
        let health = instance.health();
        let weights = instance.service.weights;
        Self {
            address: instance.address().to_owned(),
            port: instance.service.port,
            node: instance.node.name.clone(),
            id: instance.service.id.clone(),
            tags: instance.service.tags.clone(),
            meta: instance.service.meta.clone(),
            weight: if health == Health::Passing { weights.passing } else { weights.warning },
            health,
        }
    }
}

impl Endpoint {
    /// `address:port`, with brackets around an IPv6 address.
    pub fn join(address: &str, port: u16) -> String {
        authority(address, port)
    }

    /// The usable ones of `instances`: passing before warning, otherwise in the order given.
    /// Instances that are critical or in maintenance are left out.
    pub fn usable(instances: &[Instance]) -> Vec<Self> {
        let mut endpoints: Vec<Self> =
            instances.iter().map(Self::from).filter(|endpoint| endpoint.health.is_usable()).collect();
        endpoints.sort_by_key(|endpoint| endpoint.health);
        endpoints
    }
}

impl Client {
    /// Where to reach a service: its usable instances, passing before warning and nearest first.
    /// Empty when there is none, whether the service is unknown or all of it is down;
    /// [`Client::health`] tells the two apart.
    pub async fn resolve(&self, name: &str) -> Result<Vec<Endpoint>, Error> {
        let query = Query { near: Some("_agent".to_owned()), ..Query::default() };
        Ok(Endpoint::usable(&self.health(name, &query).await?))
    }
}
