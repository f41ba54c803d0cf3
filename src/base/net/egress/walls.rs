//! Inner addresses: no server of a tenant can have them on the public Internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The special networks of IPv4, as IANA lists them.
const INSIDE_V4: [Ipv4Net; 15] = [
    // Unspecified, and "this network".
    v4([0, 0, 0, 0], 8),
    // Private.
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    // Shared by the customers of a provider, and used inside clouds.
    v4([100, 64, 0, 0], 10),
    // Loopback.
    v4([127, 0, 0, 0], 8),
    // Link-local: metadata services of clouds are here.
    v4([169, 254, 0, 0], 16),
    // Protocol assignments.
    v4([192, 0, 0, 0], 24),
    // Documentation.
    v4([192, 0, 2, 0], 24),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    // Relays of 6to4.
    v4([192, 88, 99, 0], 24),
    // Benchmarks.
    v4([198, 18, 0, 0], 15),
    // Multicast.
    v4([224, 0, 0, 0], 4),
    // Reserved, and broadcast.
    v4([240, 0, 0, 0], 4),
];

/// The IPv6 addresses assigned to hosts. All others are loopback, link-local, unique-local, multicast, or unassigned.
const UNICAST: Ipv6Net = v6([0x2000, 0], 3);

/// The special networks within it.
const INSIDE_V6: [Ipv6Net; 3] = [
    // Protocol assignments, Teredo among them.
    v6([0x2001, 0], 23),
    // Documentation.
    v6([0x2001, 0xdb8], 32),
    v6([0x3fff, 0], 20),
];

/// IPv4 in IPv6, written as such.
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// IPv4 behind a translator.
const NAT64: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// IPv4 behind a tunnel.
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0], 16);

/// The border between inside and outside.
#[derive(Clone, Debug)]
pub(super) struct Walls {
    open: Vec<IpNet>,
}

impl Walls {
    /// The border with these networks open.
    pub(super) fn open_to(open: Vec<IpNet>) -> Self {
        Self { open }
    }

    /// Whether an address may be reached.
    pub(super) fn let_out(&self, address: IpAddr) -> bool {
        let carried = carried(address).map(IpAddr::V4);
        let is_open = |address: &IpAddr| self.open.iter().any(|network| network.contains(address));
        [Some(address), carried].iter().flatten().any(is_open) || !is_inside(carried.unwrap_or(address))
    }
}

/// The IPv4 address that an IPv6 address stands for. A packet for the one reaches the other.
fn carried(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let bits = address.to_bits();
    let from = |shift: u32| Some(Ipv4Addr::from_bits((bits >> shift & u128::from(u32::MAX)) as u32));
    match address {
        address if MAPPED.contains(&address) || NAT64.contains(&address) => from(0),
        address if SIX_TO_FOUR.contains(&address) => from(80),
        _ => None,
    }
}

fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => INSIDE_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            !UNICAST.contains(&address) || INSIDE_V6.iter().any(|network| network.contains(&address))
        }
    }
}

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6([a, b]: [u16; 2], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets_out(open: &[&str], address: &str) -> bool {
        let open = open.iter().map(|network| network.parse().expect("a network")).collect();
        Walls::open_to(open).let_out(address.parse().expect("an address"))
    }

    #[test]
    fn inward_addresses_are_refused() {
        for (kind, addresses) in [
            ("unspecified", &["0.0.0.0", "0.1.2.3", "::"][..]),
            ("loopback", &["127.0.0.1", "127.255.255.255", "::1"]),
            ("private", &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1"]),
            ("shared by a provider", &["100.64.0.1", "100.127.255.255"]),
            ("link-local", &["169.254.169.254", "fe80::1", "febf::1", "fec0::1"]),
            ("unique-local", &["fc00::1", "fdff::1", "fd00:ec2::254"]),
            ("multicast", &["224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"]),
            ("broadcast and reserved", &["240.0.0.1", "255.255.255.255", "4000::1", "5f00::1"]),
            ("documentation and benchmarks", &["192.0.2.1", "198.51.100.1", "203.0.113.1", "198.19.0.1", "3fff::1"]),
            ("documentation in IPv6", &["2001:db8::1", "2001:db8:ffff::1"]),
            ("protocols", &["192.0.0.1", "192.88.99.1", "2001::1", "2001:1ff::1", "100::1"]),
            ("IPv4-compatible", &["::127.0.0.1", "::8.8.8.8"]),
            ("mapped", &["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0"]),
            ("behind NAT64", &["64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8"]),
            ("behind 6to4", &["2002:7f00:1::1", "2002:a00:1::", "2002:a9fe:a9fe::", "2002:c0a8:101::1"]),
        ] {
            for address in addresses {
                assert!(!lets_out(&[], address), "{kind}: {address}");
            }
        }
    }

    #[test]
    fn outward_addresses_are_reached_up_to_the_borders() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2000::",
            "2001:200::1",
            "2001:db7::1",
            "2001:db9::1",
            "2606:4700::1111",
            "3ffe::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(lets_out(&[], address), "{address}");
        }
    }

    #[test]
    fn an_open_network_is_reached_in_all_its_forms_and_no_other() {
        let open = ["10.1.0.0/16", "::1/128", "64:ff9b::192.168.0.0/120"];
        let inside =
            ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::", "::1", "64:ff9b::192.168.0.7"];
        for address in inside {
            assert!(lets_out(&open, address), "{address}");
        }
        for address in ["10.2.0.1", "127.0.0.1", "::2", "192.168.0.7", "::ffff:10.2.0.1"] {
            assert!(!lets_out(&open, address), "{address}");
        }
    }
}
