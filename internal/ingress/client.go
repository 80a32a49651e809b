package ingress

import (
	"net/http"
	"net/netip"
	"strings"

	"sallyport/internal/problem"
)

// client decides who a request is from. Peers in From may say; of everybody else such
// headers are ignored.
func (b Behind) client(peer netip.Addr, h http.Header) (netip.Addr, *problem.Error) {
	if !contains(b.From, peer) {
		return peer, nil
	}
	lines := h.Values(b.Header)
	hops := strings.Split(strings.Join(lines, ","), ",")
	if len(lines) == 0 {
		return netip.Addr{}, problem.New(problem.ClientAddress, "the request came from a named proxy without the header that says who the client is").
			WithHint("make the proxy set the header named in listen.behind.client_ip, or take its address out of listen.behind.from")
	}
	// From the right: each hop that we trust may name the one before it.
	var last netip.Addr
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.Trim(hops[i], " \t")
		if strings.EqualFold(b.Header, "Forwarded") {
			hop = forwardedFor(hop)
		}
		a, ok := hopAddr(hop)
		if !ok {
			return netip.Addr{}, problem.New(problem.ClientAddress, "the header that says who the client is holds something that is not an address").
				WithHint("make the proxy set the header itself and not pass on what the client sent")
		}
		last = a
		if !contains(b.From, a) {
			break
		}
	}
	return last, nil
}

// forwardedFor takes the for parameter out of one element (RFC 7239 §4).
func forwardedFor(element string) string {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
		if strings.EqualFold(name, "for") {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// hopAddr reads 192.0.2.1, 192.0.2.1:443, 2001:db8::1, [2001:db8::1] and [2001:db8::1]:443.
func hopAddr(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err == nil
}
