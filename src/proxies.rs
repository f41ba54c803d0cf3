//! Where a request comes from, when proxies may stand in between.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

/// The trusted proxies, in addition to those on this machine.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<IpAddr>);

impl Proxies {
    /// Trusts these addresses.
    pub fn at(addresses: Vec<IpAddr>) -> Self {
        Self(addresses)
    }

    /// Whether a request from there may be passed on for someone else.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.0.contains(&address)
    }

    /// The client's address of a request from `peer`. A trusted proxy names it by `X-Forwarded-For`.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trust(peer) {
            return peer;
        }
        // Each proxy appends its peer. Addresses before the last untrusted one may be forged.
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let hops = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.rsplit(','));
        let hops = hops.map_while(|hop| address(hop.trim()));
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

/// An address as proxies write it: some add the port, some put brackets around IPv6.
fn address(hop: &str) -> Option<IpAddr> {
    let address = hop.parse().or_else(|_| hop.parse().map(|hop: SocketAddr| hop.ip()));
    let bare = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.ok().or_else(bare).map(|address: IpAddr| address.to_canonical())
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

    #[test]
    fn a_hop_may_have_a_port_and_brackets() {
        let client = |hops: &'static str| {
            let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), HeaderValue::from_static(hops))]);
            Proxies::default().client([127, 0, 0, 1].into(), &headers).to_string()
        };
        assert_eq!(client("192.0.2.1:5678"), "192.0.2.1");
        assert_eq!(client("192.0.2.9, [2001:db8::1]:443"), "2001:db8::1");
        assert_eq!(client("[2001:db8::1]"), "2001:db8::1");
        assert_eq!(client("[::ffff:192.0.2.1]:1"), "192.0.2.1");
        assert_eq!(client("192.0.2.1, [192.0.2.2]:x"), "127.0.0.1", "what stands before may be invented");
    }
}
