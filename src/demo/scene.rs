//! The cluster of a demo: its nodes, its frontends, and what the server is told of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use b3scale_middleware::bbb::{Algorithms, Secret};
use b3scale_middleware::cluster::{AdminState, FrontendSettings};
use uuid::Uuid;

use super::client::{Client, Endpoint};
use super::folder::Folder;
use super::{DemoError, DemoOptions, database};
use crate::node::{Node, NodeOptions, TestAuthority};
use crate::store::private::PrivatePostgres;
use crate::store::{NewBackend, NewFrontend, Store};
use crate::token;

/// The frontends, and the tag that each requires of its nodes.
const TENANTS: [(&str, &str); 2] = [("school", "lessons"), ("ministry", "office")];

/// All there is but the server.
pub(super) struct Scene {
    /// Of the server, without a path.
    pub(super) url: String,
    pub(super) tenants: Vec<Tenant>,
    pub(super) places: Vec<Place>,
    pub(super) client: Client,
    /// The server's log.
    pub(super) log: PathBuf,
    /// For the REST API, with all rights.
    pub(super) token: String,
    environment: Vec<(&'static str, String)>,
}

/// A frontend and what it requires.
pub(super) struct Tenant {
    pub(super) key: &'static str,
    pub(super) tag: &'static str,
    pub(super) endpoint: Endpoint,
}

/// A node and what it is for.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) tag: &'static str,
    pub(super) secret: Secret,
    pub(super) node: Node,
}

impl Scene {
    /// Starts the nodes, and writes frontends and backends into a fresh database.
    pub(super) async fn set(
        options: &DemoOptions,
        folder: &Folder,
        cluster: &PrivatePostgres,
    ) -> Result<Self, DemoError> {
        let authority = options.https_nodes.then(TestAuthority::new).transpose()?;
        let client = Client::new(authority.as_ref())?;
        let listen = free_port(options.listen)?;
        let url = format!("http://{}", reachable(listen));
        let tenants: Vec<_> = TENANTS.iter().map(|(key, tag)| Tenant::new(key, tag, &url)).collect();
        let places = start_nodes(options.nodes, authority.as_ref()).await?;
        let database_url = database::fresh(cluster).await?;
        record(&database_url, &tenants, &places).await?;

        let jwt_secret = random_secret();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let token = token::sign(jwt_secret.expose(), "demo", "b3scale b3scale:admin", now)?;
        let mut environment = vec![
            ("B3SCALE_DB_URL", database_url),
            ("B3SCALE_LISTEN_HTTP", listen.to_string()),
            ("B3SCALE_API_JWT_SECRET", jwt_secret.expose().to_owned()),
            ("B3SCALE_LOG_FORMAT", "plain".to_owned()),
            ("B3SCALE_DRAIN_DELAY", "0".to_owned()),
        ];
        if let Some(authority) = authority {
            let file = folder.path().join("node-ca.pem");
            std::fs::write(&file, authority.pem()).map_err(DemoError::file("write", &file))?;
            environment.push(("B3SCALE_NODE_CA_FILE", file.display().to_string()));
        }
        Ok(Self { url, tenants, places, client, log: folder.path().join("server.log"), token, environment })
    }

    /// What the server is configured by.
    pub(super) fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.environment.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

impl Tenant {
    fn new(key: &'static str, tag: &'static str, url: &str) -> Self {
        let url = format!("{url}/bbb/{key}/bigbluebutton/api/");
        Self { key, tag, endpoint: Endpoint { url, secret: random_secret() } }
    }
}

/// The first half of the nodes is the first tenant's, the second half the second's.
async fn start_nodes(count: usize, authority: Option<&TestAuthority>) -> Result<Vec<Place>, DemoError> {
    let mut places = Vec::with_capacity(count);
    for number in 0..count {
        let name = format!("node-{}", number + 1);
        let (_, tag) = TENANTS[number * TENANTS.len() / count];
        let tls = authority.map(TestAuthority::server_config).transpose()?;
        let secret = random_secret();
        let of_node = secret.expose().to_owned();
        let options = NodeOptions { name: name.clone(), secret: of_node, tls, ..NodeOptions::default() };
        let node = Node::start(options).await.map_err(DemoError::Node)?;
        places.push(Place { name, tag, secret, node });
    }
    Ok(places)
}

async fn record(database_url: &str, tenants: &[Tenant], places: &[Place]) -> Result<(), DemoError> {
    let store = Store::connect(database_url, 1).await?;
    store.migrate().await?;
    for place in places {
        let backend = NewBackend {
            url: place.node.url(),
            secret: place.secret.clone(),
            tags: [place.tag].iter().collect(),
            load_factor: 1.0,
            admin_state: AdminState::Ready,
        };
        store.record_backend(&backend).await?;
    }
    for tenant in tenants {
        let settings = FrontendSettings { required_tags: [tenant.tag].iter().collect(), ..FrontendSettings::default() };
        let frontend = NewFrontend {
            key: tenant.key.to_owned(),
            secret: tenant.endpoint.secret.clone(),
            next_secret: None,
            algorithms: Algorithms::default(),
            active: true,
            settings,
            account_ref: None,
        };
        store.record_frontend(&frontend).await?;
    }
    store.close();
    Ok(())
}

/// Port 0 becomes a port that is free now. The server takes it a moment later; who comes first in between makes it fail.
fn free_port(wanted: SocketAddr) -> Result<SocketAddr, DemoError> {
    if wanted.port() != 0 {
        return Ok(wanted);
    }
    let bound = TcpListener::bind(wanted).and_then(|listener| listener.local_addr());
    bound.map_err(|error| DemoError::NoPort { address: wanted.ip(), error })
}

/// How a client of this machine gets to a server that may listen on all addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, listen.port())
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
            let places = start_nodes(count, None).await.unwrap();
            let of = |tag| places.iter().filter(|place| place.tag == tag).count();
            assert_eq!((of("lessons"), of("office")), expected);
        }
    }

    #[test]
    fn a_server_on_all_addresses_is_reached_on_the_loopback() {
        let reached = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reached("[::]:80"), "[::1]:80");
        assert_eq!(reached("10.1.2.3:80"), "10.1.2.3:80");
    }

    #[test]
    fn port_zero_becomes_a_real_one() {
        assert_ne!(free_port("127.0.0.1:0".parse().unwrap()).unwrap().port(), 0);
        assert_eq!(free_port("127.0.0.1:1".parse().unwrap()).unwrap().port(), 1);
    }
}
