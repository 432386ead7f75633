//! Which addresses are public: neither this machine nor a network of one's own.
//!
//! The networks are those of the IANA special-purpose registries (RFC 6890 and its updates) that are not globally
//! reachable, multicast, and the prefixes that carry an IPv4 address inside an IPv6 one, through which a private address
//! could be reached.

use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

static NOT_PUBLIC: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    let networks = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ];
    networks.map(|network| network.parse().expect("the networks above are written as CIDR")).to_vec()
});

/// Returns whether an address is public. An IPv4 address that is written as an IPv6 one is judged as what it is.
pub(super) fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    !NOT_PUBLIC.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_private_networks_are_not_public_and_others_are() {
        let public = |text: &str| is_public(text.parse().unwrap());

        for text in ["8.8.8.8", "141.211.243.44", "2001:4860:4860::8888", "::ffff:8.8.8.8"] {
            assert!(public(text), "{text}");
        }
        for text in [
            "127.0.0.1",
            "10.0.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.100.100.200",
            "169.254.169.254",
            "0.0.0.0",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "fd00::1",
            "fe80::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(!public(text), "{text}");
        }
    }
}
