package outbound

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"sallyport/internal/problem"
)

// Policy says what a Dialer connects for. The zero value is the strictest.
type Policy int

// The policies.
const (
	// PolicyDestination is for targets that a customer names, such as webhook
	// receivers: public addresses only, without exception.
	PolicyDestination Policy = iota
	// PolicyProvider is for hosts of the catalog: public addresses, and local ones
	// for a Host that is marked Private.
	PolicyProvider
	// PolicyInfrastructure is for what the operator runs beside the gate (database,
	// Redis, Vault, SMTP, OTLP, ACME): public and local addresses.
	PolicyInfrastructure
)

// maxAddresses bounds how many addresses of one name are tried.
const maxAddresses = 8

// Resolver looks names up. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// DialerConfig makes a Dialer. Everything but Policy may be left out.
type DialerConfig struct {
	Policy Policy
	// Own tells the addresses that the gate itself listens on, at the time of
	// dialling; nothing connects to them. An unspecified address stands for every
	// address of this machine.
	Own func() []netip.AddrPort
	// Resolver is asked once per connection; nil: net.DefaultResolver.
	Resolver Resolver
	// Timeout bounds look-up and connection together; 0: 3 s.
	Timeout time.Duration
}

// Dialer opens TCP connections under one policy. It is safe for concurrent use. No
// other package may dial.
type Dialer struct {
	policy   Policy
	own      func() []netip.AddrPort
	resolver Resolver
	timeout  time.Duration
	// last is asked with the address that the kernel is about to be given, after
	// the policy; nil but in tests, which must not connect to public addresses.
	last func(netip.AddrPort) error
	// via connects instead of the kernel, after the policy; nil but in tests whose clock
	// is virtual, which a socket does not follow.
	via func(context.Context, netip.AddrPort) (net.Conn, error)
}

// NewDialer makes a Dialer.
func NewDialer(c DialerConfig) *Dialer {
	d := &Dialer{policy: c.Policy, own: c.Own, resolver: c.Resolver, timeout: c.Timeout}
	if d.resolver == nil {
		d.resolver = net.DefaultResolver
	}
	if d.timeout <= 0 {
		d.timeout = 3 * time.Second
	}
	return d
}

// DialContext connects to address ("host:port") over TCP; network is tcp, tcp4 or
// tcp6. The name is looked up once; addresses that the policy denies are never
// dialled, also not after others failed. Errors are *problem.Error: egress_denied,
// upstream_unreachable or upstream_timeout. PolicyInfrastructure also connects to a unix
// socket: network is unix, address its path.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	if network == "unix" && d.policy == PolicyInfrastructure {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, dialProblem(ctx, err)
		}
		return conn, nil
	}
	return d.dial(ctx, network, address, false)
}

// Transport is a net/http transport over this Dialer, for what speaks HTTP without
// being a provider (ACME, Vault, OTLP, webhook receivers): no environment proxy, TLS 1.2 or
// later, bounded phases. Each call makes a new one; the caller closes its idle connections.
func (d *Dialer) Transport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            d.DialContext,
		TLSClientConfig:        secureTLS("", roots),
		TLSHandshakeTimeout:    3 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        idleTime,
		MaxIdleConnsPerHost:    8,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// dial takes its time limit from ctx alone.
func (d *Dialer) dial(ctx context.Context, network, address string, private bool) (net.Conn, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, problem.New(problem.EgressDenied, "only TCP connections are made, not %q", network)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, problem.Wrap(err, problem.EgressDenied, "the address to dial is not host:port")
	}
	addrs, err := d.lookup(ctx, network, host)
	if err != nil {
		return nil, dialProblem(ctx, err)
	}
	allowed, err := d.filter(addrs, port, private)
	if err != nil {
		return nil, err
	}
	return d.connect(ctx, allowed, private)
}

// lookup resolves host once. A literal address is taken as it stands; the forms
// that only some resolvers understand (127.1, 0x7f.1) are names like any other,
// and what they resolve to is classified.
func (d *Dialer) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	addrs, err := d.resolver.LookupNetIP(ctx, "ip"+network[len("tcp"):], host)
	if err != nil {
		return nil, fmt.Errorf("look up host: %w", err)
	}
	for i, ip := range addrs {
		// The standard resolver hands out A records in IPv4-mapped form. What a
		// AAAA record maps is then judged as the IPv4 address that it reaches.
		addrs[i] = ip.Unmap()
	}
	return addrs, nil
}

// filter keeps the addresses that may be dialled, in the resolver's order.
func (d *Dialer) filter(addrs []netip.Addr, port string, private bool) ([]netip.AddrPort, error) {
	var ok []netip.AddrPort
	var denied error
	for _, ip := range addrs {
		ap, err := netip.ParseAddrPort(net.JoinHostPort(ip.String(), port))
		if err != nil {
			return nil, problem.Wrap(err, problem.EgressDenied, "the port to dial is not a number")
		}
		if err := d.Check(ap, private); err != nil {
			denied = err
			continue
		}
		if len(ok) < maxAddresses {
			ok = append(ok, ap)
		}
	}
	switch {
	case len(ok) > 0:
		return ok, nil
	case denied != nil:
		return nil, problem.Wrap(denied, problem.EgressDenied, "the host's address is not one that the gate may connect to").
			WithHint("a provider must lie on a public address; a test or mirror is named with upstream: {url: …, private: true}")
	default:
		return nil, problem.New(problem.UpstreamUnreachable, "the host's name has no address")
	}
}

// connect tries the addresses in order; each has its share of the time that is left.
func (d *Dialer) connect(ctx context.Context, addrs []netip.AddrPort, private bool) (net.Conn, error) {
	var last error
	for i, ap := range addrs {
		conn, err := d.connectOne(ctx, ap, len(addrs)-i, private)
		if err == nil {
			return conn, nil
		}
		last = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, dialProblem(ctx, last)
}

func (d *Dialer) connectOne(ctx context.Context, ap netip.AddrPort, left int, private bool) (net.Conn, error) {
	if until, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(until)/time.Duration(left))
		defer cancel()
	}
	if d.via != nil {
		return d.via(ctx, ap)
	}
	nd := net.Dialer{
		FallbackDelay: -1,
		// The address that the kernel is about to be given is checked again here, so
		// that no path through the standard library can lead elsewhere.
		ControlContext: func(_ context.Context, _, actual string, _ syscall.RawConn) error {
			dialled, err := netip.ParseAddrPort(actual)
			if err != nil {
				return problem.Wrap(err, problem.EgressDenied, "the dialled address cannot be read")
			}
			if err := d.Check(dialled, private); err != nil || d.last == nil {
				return err
			}
			return d.last(dialled)
		},
	}
	return nd.DialContext(ctx, "tcp", ap.String())
}

// Check says whether ap may be dialled under the policy; private is the exception
// of a Host that is marked Private. The error is a *problem.Error of egress_denied.
func (d *Dialer) Check(ap netip.AddrPort, private bool) error {
	class := Classify(ap.Addr())
	local := d.policy == PolicyInfrastructure || d.policy == PolicyProvider && private
	if class != Public && !(class == Local && local) {
		return problem.New(problem.EgressDenied, "the address is not allowed by the dialler's policy")
	}
	if d.own == nil {
		return nil
	}
	for _, own := range d.own() {
		if same, err := isOwn(own, ap); err != nil || same {
			return problem.Wrap(err, problem.EgressDenied, "the address is one that the gate itself listens on")
		}
	}
	return nil
}

// isOwn reports whether dialling ap reaches a listener on own.
func isOwn(own, ap netip.AddrPort) (bool, error) {
	ip := ap.Addr().Unmap()
	switch {
	case own.Port() != ap.Port():
		return false, nil
	case !own.Addr().IsUnspecified():
		return own.Addr().Unmap().WithZone("") == ip, nil
	case ip.IsLoopback():
		return true, nil
	}
	mine, err := net.InterfaceAddrs()
	if err != nil {
		return true, fmt.Errorf("list this machine's addresses: %w", err)
	}
	for _, a := range mine {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap().WithZone("") == ip {
			return true, nil
		}
	}
	return false, nil
}

// dialProblem says in the callers' words why no connection came about.
func dialProblem(ctx context.Context, err error) error {
	var denied *problem.Error
	var ne net.Error
	switch {
	case errors.As(err, &denied):
		return denied
	case errors.Is(ctx.Err(), context.Canceled):
		return problem.Wrap(ctx.Err(), problem.UpstreamTimeout, "the caller went away while connecting")
	case ctx.Err() != nil, errors.As(err, &ne) && ne.Timeout():
		return problem.Wrap(err, problem.UpstreamTimeout, "no connection to the host came about in time")
	default:
		return problem.Wrap(err, problem.UpstreamUnreachable, "no connection to the host could be made")
	}
}
