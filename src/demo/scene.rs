//! The cluster of a demo: its nodes, its frontends, and their records.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use b3scale_agent::AgentOptions;
use b3scale_middleware::bbb::Secret;
use b3scale_middleware::cluster::{Backend, Frontend, FrontendSettings, Secrets};
use b3scale_node::{Node, NodeOptions, TestAuthority};
use uuid::Uuid;

use super::agents::{Agents, Redis};
use super::balancer::Balancer;
use super::client::{Client, Endpoint};
use super::folder::Folder;
use super::ports::Port;
use super::{DemoError, DemoOptions, database};
use crate::store::Store;
use crate::store::private::PrivatePostgres;
use crate::token;

/// The frontends, and the tag that each requires of its nodes.
const TENANTS: [(&str, &str); 2] = [("school", "lessons"), ("ministry", "office")];

/// The number of servers. The first one is published.
pub(super) const SERVERS: usize = 3;

/// All there is but the servers.
pub(super) struct Scene {
    /// The URL of each server, without a path. The first one is published.
    pub(super) urls: [String; SERVERS],
    pub(super) tenants: Vec<Tenant>,
    pub(super) places: Vec<Place>,
    pub(super) balancer: Balancer,
    /// The servers' database, for an operator's changes.
    pub(super) store: Store,
    /// For the REST API, with all rights.
    pub(super) token: String,
    pub(super) agents: Agents,
    environment: Vec<(&'static str, String)>,
}

/// A frontend and its required tag.
pub(super) struct Tenant {
    pub(super) key: &'static str,
    pub(super) tag: &'static str,
    /// At each server.
    pub(super) endpoints: [Endpoint; SERVERS],
}

/// A node and its tag.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) tag: &'static str,
    pub(super) secret: Secret,
    pub(super) node: Node,
    /// Where it publishes recordings.
    pub(super) recordings: PathBuf,
    /// The Redis of its events, if there is a `redis-server` on this machine.
    redis: Option<Redis>,
    /// The node's, also while that is away.
    _port: Port,
}

impl Scene {
    /// Starts the nodes, and writes frontends and backends into a fresh database.
    pub(super) async fn set(
        options: &DemoOptions,
        folder: &Folder,
        cluster: &PrivatePostgres,
        urls: [String; SERVERS],
    ) -> Result<Self, DemoError> {
        let authority = options.https_nodes.then(TestAuthority::new).transpose()?;
        let balancer = Balancer::new(Client::new(authority.as_ref())?);
        let tenants: Vec<_> = TENANTS.iter().map(|(key, tag)| Tenant::new(key, tag, &urls)).collect();
        let places = start_nodes(options.nodes, authority.as_ref(), folder).await?;
        let database_url = database::fresh(cluster).await?;
        let store = Store::connect(&database_url, 1).await?;
        record(&store, &tenants, &places).await?;

        let jwt_secret = random_secret();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let token = token::sign(jwt_secret.expose(), "demo", "b3scale b3scale:admin", now)?;
        let mut environment = vec![
            ("B3SCALE_DB_URL", database_url),
            ("B3SCALE_API_JWT_SECRET", jwt_secret.expose().to_owned()),
            ("B3SCALE_LOG_FORMAT", "plain".to_owned()),
            ("B3SCALE_DRAIN_DELAY", "0".to_owned()),
            // The frontends of the demo are on this machine.
            ("B3SCALE_EGRESS_ALLOW", "127.0.0.0/8,::1/128".to_owned()),
        ];
        environment.extend(folder.recordings()?);
        let mut ca_file = None;
        if let Some(authority) = authority {
            let file = folder.path().join("node-ca.pem");
            std::fs::write(&file, authority.pem()).map_err(DemoError::file("write", &file))?;
            environment.push(("B3SCALE_NODE_CA_FILE", file.display().to_string()));
            ca_file = Some(file);
        }
        let mut agents = Agents::default();
        for place in &places {
            let Some(redis) = &place.redis else { continue };
            let options = AgentOptions {
                api_url: urls[0].clone(),
                token: token::sign(jwt_secret.expose(), &place.name, "b3scale:node", now)?,
                node_url: place.node.url(),
                node_secret: place.secret.clone(),
                redis: redis.address(),
                ca_file: ca_file.clone(),
                nodes: NonZeroUsize::new(places.len()).unwrap_or(NonZeroUsize::MIN),
            };
            agents.add(&place.name, options);
        }
        Ok(Self { urls, tenants, places, balancer, store, token, agents, environment })
    }

    /// A frontend that has more than one node.
    pub(super) fn tenant_with_a_node_to_spare(&self) -> Option<&Tenant> {
        self.tenants.iter().find(|tenant| self.places_of(tenant).count() > 1)
    }

    /// The nodes that a frontend's meetings may be on.
    pub(super) fn places_of(&self, tenant: &Tenant) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(move |place| place.tag == tenant.tag)
    }

    /// What all servers are configured by.
    pub(super) fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.environment.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

impl Tenant {
    /// Makes a secret of its own.
    pub(super) fn new(key: &'static str, tag: &'static str, urls: &[String; SERVERS]) -> Self {
        let secret = random_secret();
        let at = |url| Endpoint { url: format!("{url}/bbb/{key}/bigbluebutton/api/"), secret: secret.clone() };
        Self { key, tag, endpoints: urls.each_ref().map(at) }
    }

    /// Where people and programs are told to call.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoints[0]
    }

    /// As the servers are to know it.
    pub(super) fn frontend(&self) -> Frontend {
        let secrets = Secrets::new(self.endpoint().secret.clone(), None);
        let required_tags = Some([self.tag].iter().collect());
        let settings = FrontendSettings { required_tags, ..FrontendSettings::default() };
        Frontend { settings, ..Frontend::new(Uuid::now_v7(), self.key, secrets) }
    }
}

/// The first half of the nodes is the first tenant's, the second half the second's.
async fn start_nodes(
    count: usize,
    authority: Option<&TestAuthority>,
    folder: &Folder,
) -> Result<Vec<Place>, DemoError> {
    let mut places = Vec::with_capacity(count);
    for number in 0..count {
        let name = format!("node-{}", number + 1);
        let recordings = folder.fresh(&format!("{name}-recordings"))?;
        let (_, tag) = TENANTS[number * TENANTS.len() / count];
        let tls = authority.map(TestAuthority::server_config).transpose()?;
        let port = Port::any()?;
        let secret = random_secret();
        let (listen, of_node) = (port.address(), secret.expose().to_owned());
        let redis = Redis::start(folder)?;
        let says = redis.as_ref().map(Redis::url);
        let options = NodeOptions {
            listen,
            name: name.clone(),
            secret: of_node,
            tls,
            redis: says,
            recordings: Some(recordings.clone()),
            ..NodeOptions::default()
        };
        let node = Node::start(options).await.map_err(DemoError::Node)?;
        places.push(Place { name, tag, secret, node, recordings, redis, _port: port });
    }
    Ok(places)
}

async fn record(store: &Store, tenants: &[Tenant], places: &[Place]) -> Result<(), DemoError> {
    store.schema().migrate().await?;
    for place in places {
        let backend = Backend {
            tags: [place.tag].iter().collect(),
            agent_ref: place.redis.is_some().then(|| place.name.clone()),
            ..Backend::new(Uuid::now_v7(), place.node.url(), place.secret.clone())
        };
        store.backends().record(&backend).await?;
    }
    for tenant in tenants {
        store.frontends().record(&tenant.frontend()).await?;
    }
    Ok(())
}

/// From the system's random numbers, as a real secret: the demo may listen beyond the loopback.
fn random_secret() -> Secret {
    let digits = [Uuid::new_v4(), Uuid::new_v4()].map(|half| half.simple().to_string()).concat();
    Secret::new(&digits).expect("digits are not empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_tenant_gets_half_of_the_nodes() {
        for (count, expected) in [(2, (1, 1)), (3, (2, 1)), (4, (2, 2)), (5, (3, 2))] {
            let folder = Folder::open(None).unwrap();
            let places = start_nodes(count, None, &folder).await.unwrap();
            let of = |tag| places.iter().filter(|place| place.tag == tag).count();
            assert_eq!((of("lessons"), of("office")), expected);
        }
    }
}
