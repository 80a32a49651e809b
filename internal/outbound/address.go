package outbound

import "net/netip"

// Class says what kind of address one is. The zero value is Special: reachable by nobody.
type Class int

// The classes of addresses.
const (
	// Special: unspecified, multicast, link-local (cloud metadata), documentation,
	// benchmarking, carrier NAT, translation and tunnel ranges, and all that is
	// not allocated as global unicast.
	Special Class = iota
	// Local: loopback and private ranges (RFC 1918, RFC 4193).
	Local
	// Public: global unicast.
	Public
)

// localPrefixes may be named as a private upstream or as infrastructure.
// What lies in metadata is a cloud's metadata service, though other ranges hold it.
var (
	localPrefixes = prefixes("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
	metadata      = prefixes("fd00:ec2::/32", "fd20:ce::/32", "169.254.0.0/16", "168.63.129.16/32")
	// special4 is the IANA IPv4 Special-Purpose Address Registry, what is global in
	// it left out only where a host could answer there.
	special4 = prefixes("0.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24",
		"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")
	// global6 is what IANA has allocated as global unicast; special6 lies inside it.
	global6  = prefixes("2000::/3")
	special6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "3ffe::/16", "5f00::/16")
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func within(ip netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// Classify says what kind of address ip is. An IPv4-mapped address and one with a
// zone are Special as they stand: nobody who means well writes them.
func Classify(ip netip.Addr) Class {
	switch {
	case !ip.IsValid(), ip.Zone() != "", ip.Is4In6(), within(ip, metadata):
		return Special
	case within(ip, localPrefixes):
		return Local
	case ip.Is4() && !within(ip, special4):
		return Public
	case ip.Is6() && within(ip, global6) && !within(ip, special6):
		return Public
	default:
		return Special
	}
}
