package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"sallyport/internal/problem"
)

// The table of security.md §5.4 with the class of every address.
func TestClassify(t *testing.T) {
	classes := map[Class]string{
		Local: "127.0.0.1 127.255.0.3 10.1.2.3 172.16.0.1 172.31.255.255 192.168.0.1 ::1 fd12:3456::1",
		Special: `0.0.0.0 0.1.2.3 169.254.169.254 100.64.0.1 100.100.100.200 192.0.0.192 192.0.2.1 198.18.0.1 198.19.255.255
			198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 168.63.129.16 192.88.99.1 :: ::127.0.0.1
			::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 ::ffff:8.8.8.8 fd00:ec2::254 fd20:ce::254 fe80::1%lo fe80::1 fec0::1
			ff02::1 64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe 2002:7f00:1::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1
			3fff::1 5f00::1 100::1 4000::1 2001:4860:4860::8888%eth0`,
		Public: "8.8.8.8 1.1.1.1 172.32.0.1 100.128.0.1 192.0.1.1 198.17.0.1 223.255.255.255 2001:4860:4860::8888 2a00:1450::1 2606:4700::1",
	}
	for class, list := range classes {
		for text := range strings.FieldsSeq(list) {
			if got := Classify(netip.MustParseAddr(text)); got != class {
				t.Errorf("%s: class %d, want %d", text, got, class)
			}
		}
	}
	if Classify(netip.Addr{}) != Special {
		t.Error("no address at all is not Special")
	}
}

// TestDeniedAddresses dials every address of the table, as a literal and as the answer to a
// look-up, alone and behind a good one: for providers and for destinations nothing but a
// public address comes to the system's connect.
func TestDeniedAddresses(t *testing.T) {
	denied := `127.0.0.1 127.255.0.3 0.0.0.0 0.1.2.3 10.1.2.3 172.16.0.1 192.168.0.1 169.254.169.254 100.64.0.1 100.100.100.200
		192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 ::1 :: ::127.0.0.1
		::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 fd00:ec2::254 fe80::1%lo fec0::1 ff02::1 64:ff9b::a9fe:a9fe
		64:ff9b:1::a9fe:a9fe 2002:7f00:1::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1`
	good := netip.MustParseAddr("8.8.8.8")
	for _, policy := range []Policy{PolicyProvider, PolicyDestination} {
		for text := range strings.FieldsSeq(denied) {
			ip := netip.MustParseAddr(text)
			var reached []netip.Addr
			for _, answer := range [][]netip.Addr{{ip}, {ip, good}, {good, ip}} {
				d := NewDialer(DialerConfig{Policy: policy, Resolver: resolverFunc(func(string) ([]netip.Addr, error) { return answer, nil })})
				d.last = func(ap netip.AddrPort) error {
					reached = append(reached, ap.Addr())
					return errors.New("not in a test")
				}
				for _, host := range []string{text, "name.example"} {
					c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, "443"))
					if err == nil {
						c.Close()
						t.Fatalf("%s (policy %d): connected", text, policy)
					}
					if p := problem.From(err); p.Code != problem.EgressDenied && (host == text || len(answer) == 1) {
						t.Errorf("%s as %s (policy %d): %v", text, host, policy, err)
					}
				}
			}
			for _, a := range reached {
				if a != good {
					t.Errorf("%s (policy %d): connect to %s was tried", text, policy, a)
				}
			}
		}
		for _, text := range []string{"8.8.8.8", "2001:4860:4860::8888"} {
			tried := false
			d := NewDialer(DialerConfig{Policy: policy})
			d.last = func(netip.AddrPort) error { tried = true; return errors.New("not in a test") }
			_, _ = d.DialContext(t.Context(), "tcp", net.JoinHostPort(text, "443"))
			if !tried {
				t.Errorf("%s is public and was not tried", text)
			}
		}
	}
}

// What each policy may dial, by class.
func TestPolicies(t *testing.T) {
	tests := []struct {
		name           string
		policy         Policy
		private        bool
		special, local bool
	}{
		{"destination", PolicyDestination, false, false, false},
		{"destination with private asked for", PolicyDestination, true, false, false},
		{"provider", PolicyProvider, false, false, false},
		{"private provider", PolicyProvider, true, false, true},
		{"infrastructure", PolicyInfrastructure, false, false, true},
	}
	for _, test := range tests {
		d := NewDialer(DialerConfig{Policy: test.policy})
		for text, want := range map[string]bool{"169.254.169.254:443": test.special, "127.0.0.1:443": test.local, "[fd12::1]:443": test.local,
			"0.0.0.0:443": false, "8.8.8.8:443": true, "[2001:4860:4860::8888]:443": true} {
			if err := d.Check(netip.MustParseAddrPort(text), test.private); (err == nil) != want {
				t.Errorf("%s: %s: got %v, want allowed=%t", test.name, text, err, want)
			}
		}
	}
}

func TestOwnListenersAreNotDialled(t *testing.T) {
	own := func() []netip.AddrPort {
		return []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8444"), netip.MustParseAddrPort("0.0.0.0:443"), netip.MustParseAddrPort("8.8.4.4:80")}
	}
	d := NewDialer(DialerConfig{Policy: PolicyInfrastructure, Own: own})
	for text, want := range map[string]bool{"127.0.0.1:8444": false, "127.0.0.1:8445": true, "127.0.0.2:443": false, "[::1]:443": false,
		"8.8.4.4:80": false, "8.8.4.4:443": true, "10.254.254.254:443": true} {
		if err := d.Check(netip.MustParseAddrPort(text), false); (err == nil) != want {
			t.Errorf("%s: got %v, want allowed=%t", text, err, want)
		}
	}
	all := NewDialer(DialerConfig{Policy: PolicyInfrastructure, Own: func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("[::]:443")} }})
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip := netip.MustParsePrefix(a.String()).Addr().Unmap()
		if all.Check(netip.AddrPortFrom(ip, 443), false) == nil {
			t.Errorf("%s:443 is this machine and was allowed", ip)
		}
	}
}

// fakeDNS is a DNS server on loopback whose answers a test chooses.
func fakeDNS(t *testing.T, answer func(q dnsmessage.Question) []dnsmessage.Resource) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			out := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions, Answers: answer(m.Questions[0])}
			if b, err := out.Pack(); err == nil {
				_, _ = pc.WriteTo(b, from)
			}
		}
	}()
	t.Cleanup(func() { pc.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func rr(q dnsmessage.Question, name dnsmessage.Name, ip string) dnsmessage.Resource {
	h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 0}
	a := netip.MustParseAddr(ip)
	if a.Is4() {
		return dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}}
	}
	return dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}
}

// zone answers a question with those of ips that are of its type.
func zone(q dnsmessage.Question, ips ...string) []dnsmessage.Resource {
	var out []dnsmessage.Resource
	for _, ip := range ips {
		if netip.MustParseAddr(ip).Is4() == (q.Type == dnsmessage.TypeA) {
			out = append(out, rr(q, q.Name, ip))
		}
	}
	return out
}

// A name that resolves to the inside, now or on the next look, reaches nothing:
// 1,000 tries, 0 connections. The negative control shows that the canary would
// see one.
func TestDNSRebinding(t *testing.T) {
	canary, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted atomic.Int64
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			c, err := canary.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			c.Close()
		}
	}()
	defer func() { canary.Close(); <-stopped }()
	_, port, _ := net.SplitHostPort(canary.Addr().String())

	var asked atomic.Int64
	resolver := fakeDNS(t, func(q dnsmessage.Question) []dnsmessage.Resource {
		name, _, _ := strings.Cut(q.Name.String(), ".")
		switch name {
		case "flip": // public first, then inside
			if asked.Add(1)%4 < 2 {
				return zone(q, "8.8.8.8")
			}
			return zone(q, "127.0.0.1")
		case "mixed":
			return zone(q, "127.0.0.1", "8.8.8.8", "::1", "10.0.0.1")
		case "mapped":
			return zone(q, "::ffff:127.0.0.1", "2001:4860:4860::8888")
		case "inside":
			return zone(q, "127.0.0.1", "::1")
		case "chain":
			next := dnsmessage.MustNewName("inner.example.")
			alias := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.CNAMEResource{CNAME: next}}
			if q.Type == dnsmessage.TypeA {
				return []dnsmessage.Resource{alias, rr(q, next, "127.0.0.1")}
			}
			return []dnsmessage.Resource{alias}
		}
		return nil
	})
	var public atomic.Int64
	d := NewDialer(DialerConfig{Policy: PolicyProvider, Resolver: resolver})
	d.last = func(ap netip.AddrPort) error {
		if Classify(ap.Addr()) == Public {
			public.Add(1)
			return errors.New("not in a test")
		}
		return nil
	}
	for i := range scaled(1000, 20000) {
		name := []string{"flip", "mixed", "mapped", "inside", "chain"}[i%5]
		c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(name+".example.", port))
		if err == nil {
			c.Close()
			t.Fatalf("try %d (%s) connected", i, name)
		}
		code := problem.From(err).Code
		if (name == "inside" || name == "chain") && code != problem.EgressDenied || code == problem.Internal {
			t.Fatalf("try %d (%s): %v", i, name, err)
		}
	}
	if n := accepted.Load(); n != 0 {
		t.Fatalf("the canary was reached %d times", n)
	}
	if public.Load() < 400 {
		t.Errorf("only %d of the allowed addresses were tried; the test does not reach the dialler", public.Load())
	}
	c, err := (&net.Dialer{Resolver: resolver}).DialContext(t.Context(), "tcp", net.JoinHostPort("inside.example.", port))
	if err != nil {
		t.Fatalf("negative control: %v", err)
	}
	c.Close()
}

// Forms of 127.0.0.1 that some resolvers understand are judged by what they become.
func TestOddFormsOfAddresses(t *testing.T) {
	d := NewDialer(DialerConfig{Policy: PolicyProvider, Resolver: resolverFunc(func(host string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1"), netip.MustParseAddr("127.0.0.1")}, nil
	})})
	for _, host := range []string{"127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost.", "localhost", "①②⑦.⓪.⓪.①", "127.0.0.1", "::1", "::ffff:127.0.0.1", "fe80::1%lo"} {
		_, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, "443"))
		if err == nil || problem.From(err).Code != problem.EgressDenied {
			t.Errorf("%s: got %v, want egress_denied", host, err)
		}
	}
	for _, address := range []string{"example.com", "example.com:80:22", "example.com:http", "example.com:99999"} {
		if _, err := d.DialContext(t.Context(), "tcp", address); err == nil || problem.From(err).Code != problem.EgressDenied {
			t.Errorf("%s: got %v, want egress_denied", address, err)
		}
	}
	if _, err := d.DialContext(t.Context(), "unix", "/run/x.sock"); problem.From(err).Code != problem.EgressDenied {
		t.Errorf("unix socket: %v", err)
	}
}

type resolverFunc func(host string) ([]netip.Addr, error)

func (f resolverFunc) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return f(host)
}

type hangingResolver struct{}

func (hangingResolver) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestDialFailuresAreNamed(t *testing.T) {
	none := resolverFunc(func(string) ([]netip.Addr, error) { return nil, &net.DNSError{IsNotFound: true} })
	empty := resolverFunc(func(string) ([]netip.Addr, error) { return nil, nil })
	const nobody = "127.0.0.1:1" // no service listens there, and no outgoing connection gets it
	tests := []struct {
		name     string
		resolver Resolver
		address  string
		code     problem.Code
	}{
		{"no such host", none, "nowhere.example:443", problem.UpstreamUnreachable},
		{"no address", empty, "nowhere.example:443", problem.UpstreamUnreachable},
		{"refused", nil, nobody, problem.UpstreamUnreachable},
		{"look-up hangs", hangingResolver{}, "slow.example:443", problem.UpstreamTimeout},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			patience := 10 * time.Second
			if test.code == problem.UpstreamTimeout {
				patience = 50 * time.Millisecond
			}
			d := NewDialer(DialerConfig{Policy: PolicyInfrastructure, Resolver: test.resolver, Timeout: patience})
			_, err := d.DialContext(t.Context(), "tcp", test.address)
			wantProblem(t, err, test.code, problem.NotSent)
		})
	}
}

// The address list is bounded and tried in order until one answers.
func TestSecondAddressIsTried(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	d := NewDialer(DialerConfig{Policy: PolicyInfrastructure, Resolver: resolverFunc(func(string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.77.0.1"), netip.MustParseAddr("127.0.0.1")}, nil
	})})
	c, err := d.DialContext(t.Context(), "tcp", "two.example:"+port)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestHostURLs(t *testing.T) {
	d := NewDialer(DialerConfig{Policy: PolicyProvider})
	for _, good := range []string{"https://api.stripe.com", "https://api.example.com/", "https://api.example.com:8443/v1", "https://127.0.0.1:12112", "https://[::1]:12112"} {
		if _, err := NewHost(HostConfig{URL: good, Dialer: d}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "http://api.example.com", "api.example.com", "https://", "https://api.test@evil.test/", `https://api.test\@evil.test/`,
		"https://api.test%2eevil.test/", "https://api.test:80:22", "https://api.test:0", "https://api.test:", "https://API.test", "https://ａpi.test",
		"https://api.test/?a=b", "https://api.test/#a", "https://api.test/a/../b", "https://api.test/a//b", "https://api.test/%2e%2e/b",
		"https://127.1", "https://0x7f.1", "https://2130706433", "https://[fe80::1%25lo]/", "https://api.test.", "ftp://api.test", "https:api.test"} {
		if _, err := NewHost(HostConfig{URL: bad, Dialer: d}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	_, err := NewHost(HostConfig{URL: "http://x", Dialer: NewDialer(DialerConfig{}), Timeouts: Timeouts{Dial: -1}})
	for _, part := range []string{"https", "PolicyProvider", "duration"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error %v does not name %s", err, part)
		}
	}
	if _, err := NewHost(HostConfig{URL: "https://api.example.com"}); err == nil {
		t.Error("a Host without a Dialer was accepted")
	}
}

// Environment proxies are not used, by the wire or by Transport.
func TestNoEnvironmentProxy(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	u := replying(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	if _, err := to(t, u, nil).Do(t.Context(), get("/")); err != nil {
		t.Error(err)
	}
	if tr := NewDialer(DialerConfig{Policy: PolicyInfrastructure}).Transport(nil); tr.Proxy != nil {
		t.Error("Transport has a proxy")
	}
}

func Example() {
	d := NewDialer(DialerConfig{Policy: PolicyDestination})
	err := d.Check(netip.MustParseAddrPort("169.254.169.254:80"), false)
	fmt.Println(problem.From(err).Code)
	// Output: egress_denied
}
