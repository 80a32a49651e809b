package config

import (
	"fmt"
	"net/netip"
	"slices"

	"sallyport/internal/sdkproxy"
)

// SDK is the port for official SDKs that take no address of their own.
type SDK struct {
	Address string         // host:port
	From    []netip.Prefix // networks that may connect beside this machine itself; empty: none
}

// sdk reads listen.sdk. An address that other machines can reach needs the networks that may.
func (b *builder) sdk(v *value) *SDK {
	address, from := v, missing
	if v.form == mapping {
		address, from = v.at("address"), v.at("from")
	}
	if address.str() == "" {
		return nil
	}
	out := &SDK{Address: b.address(address)}
	if out.Address == "" {
		return nil
	}
	for _, item := range from.many() {
		if p, ok := b.sdkNetwork(item); ok && !slices.Contains(out.From, p) {
			out.From = append(out.From, p)
		}
	}
	switch loopback := loopbackAddress(out.Address); {
	case loopback && from.present():
		b.fault(from, "only this machine can reach "+out.Address, "remove from, or listen on an address that those networks reach")
	case !loopback && len(out.From) == 0 && len(from.many()) == 0:
		b.fault(v, fmt.Sprintf("%s can be reached from other machines, and nothing says which may use it", out.Address),
			`listen on loopback ("127.0.0.1:8445"), or name the backends' networks: {address: "`+out.Address+`", from: [10.0.0.0/24]}`)
	case !loopback:
		b.loosen(v, fmt.Sprintf("the SDK port is open to other machines: %v", out.From))
	}
	return out
}

func (b *builder) sdkNetwork(v *value) (netip.Prefix, bool) {
	if v.form != text {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(v.text)
	if a, addrErr := netip.ParseAddr(v.text); addrErr == nil {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case err != nil:
		b.fault(v, "found "+v.shown(), "write a network such as 10.0.0.0/24 or an address such as 10.1.2.3")
	case p.Bits() == 0 || p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && !p.Addr().Is4In6() && p.Bits() < 16 || p.Addr().Is4In6():
		b.fault(v, v.shown()+" is far more than the networks of your backends", "name the networks that your backends are in, such as 10.0.0.0/24")
	case p != p.Masked():
		b.fault(v, v.shown()+" has bits beyond its length", "write "+p.Masked().String())
	default:
		return p, true
	}
	return netip.Prefix{}, false
}

// sdkNames says when the SDK port would answer for nothing.
func (b *builder) sdkNames(v *value) {
	if b.file.Listen.SDK == nil || len(b.file.Sites) == 0 {
		return
	}
	if len(sdkproxy.Routes(b.file.Sites, b.catalog.Find)) == 0 {
		b.fault(v, "no connection has operations for backends, so the SDK port would answer for no host", "write backend: [OPERATION, …] under a connection, or remove sdk")
	}
}
