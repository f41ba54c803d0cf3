//! Where a request comes from, when proxies may stand in between.

use std::net::IpAddr;

use http::HeaderMap;

/// The proxies whose word is taken, beside those on this machine.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<IpAddr>);

impl Proxies {
    /// Those at these addresses.
    pub fn at(addresses: Vec<IpAddr>) -> Self {
        Self(addresses)
    }

    /// Whether a request from there may be passed on for someone else.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.0.contains(&address)
    }

    /// Where a request comes from that `peer` sent: of one that a trusted proxy passes on, what that says of it.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trust(peer) {
            return peer;
        }
        // Each proxy adds whom it heard it from at the end. Addresses before the last one that is not ours may be invented.
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let hops = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.rsplit(','));
        let hops = hops.map_while(|hop| hop.trim().parse::<IpAddr>().ok()).map(|hop| hop.to_canonical());
        let mut nearest = peer;
        for hop in hops {
            nearest = hop;
            if !self.trust(hop) {
                break;
            }
        }
        nearest
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_proxy_is_believed_only_if_it_is_trusted() {
        let proxies = Proxies::at(vec![[10, 0, 0, 1].into()]);
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.9, 192.0.2.1, 10.0.0.1"));
        let client = |peer: [u8; 4]| proxies.client(peer.into(), &headers);
        assert_eq!(client([10, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]), "what stands before may be invented");
        assert_eq!(client([127, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));
        assert_eq!(client([10, 0, 0, 2]), IpAddr::from([10, 0, 0, 2]));
        assert_eq!(proxies.client([10, 0, 0, 1].into(), &HeaderMap::new()), IpAddr::from([10, 0, 0, 1]));
    }
}
