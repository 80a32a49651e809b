package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"

	"sallyport/test/harness"
)

// sdkPort is a gate with an SDK port and three connections in mode mock: whatever an SDK
// reached but for the gate would not know its key.
type sdkPort struct {
	gate  *harness.Gate
	proxy string
	ca    string // file
}

const sdkFile = `version: 1
listen: {public: "127.0.0.1:0", tls: off, sdk: "PORT"}
store: "sqlite:./data/sallyport.db"
sites:
  shop:
    connections:
      payments: {provider: stripe, mode: mock, backend: all}
      texts: {provider: twilio, mode: mock, credentials: {account_sid: AC00000000000000000000000000000001}, backend: all}
      paypal: {provider: paypal, mode: mock, backend: all}
  club:
    connections:
      payments: {provider: stripe, mode: mock, backend: [retrieve-customer]}
`

func startSDKPort(t *testing.T) sdkPort {
	t.Helper()
	s := sdkPort{proxy: harness.FreeAddress(t)}
	s.gate = harness.New(t, strings.ReplaceAll(sdkFile, "PORT", s.proxy), nil).Start()
	s.ca = filepath.Join(s.gate.Dir, "ca.pem")
	s.refresh(t)
	return s
}

// refresh writes what `ca show` prints.
func (s sdkPort) refresh(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(s.ca, []byte(s.gate.MustRun("", "ca", "show")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s sdkPort) node(t *testing.T, sdk, connection string) {
	t.Helper()
	out := s.gate.MustRun("", "keys", "create", "shop", "--connection", connection, "--json")
	user := ""
	if strings.Contains(out, `"user"`) {
		user = jsonField(t, out, "user")
	}
	node(t, setup{gate: s.gate}, "sdk-port.cjs", "SDK="+sdk, "PROXY=http://"+s.proxy, "CA="+s.ca, "NODE_EXTRA_CA_CERTS="+s.ca,
		"SITE_KEY="+jsonField(t, out, "key"), "SITE_USER="+user)
}

func TestSDKPortStripeNode(t *testing.T) { startSDKPort(t).node(t, "stripe", "payments") }

func TestSDKPortTwilioNode(t *testing.T) { startSDKPort(t).node(t, "twilio", "texts") }

func TestSDKPortPayPalNode(t *testing.T) { startSDKPort(t).node(t, "paypal", "paypal") }

// transport is a Go client's way through the port, as the guide says.
func (s sdkPort) transport(t *testing.T) *http.Transport {
	t.Helper()
	pem, err := os.ReadFile(s.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("ca show printed no certificate")
	}
	tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: s.proxy}), TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func TestSDKPortStripeGo(t *testing.T) {
	s := startSDKPort(t)
	backend := func(retries int64) *stripe.Backends {
		return stripe.NewBackendsWithConfig(&stripe.BackendConfig{HTTPClient: &http.Client{Transport: s.transport(t), Timeout: 20 * time.Second},
			MaxNetworkRetries: stripe.Int64(retries), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}})
	}
	sdk := func(key string) *stripe.Client { return stripe.NewClient(key, stripe.WithBackends(backend(0))) }
	ctx := t.Context()
	client := sdk(s.gate.Key("shop", "--connection", "payments", "--shape", "stripe-test"))
	who, err := client.V1Customers.Create(ctx, &stripe.CustomerCreateParams{Email: stripe.String("ada@example.com")})
	if err != nil || !strings.HasPrefix(who.ID, "cus_") {
		t.Fatalf("create: %v", err)
	}
	if read, err := client.V1Customers.Retrieve(ctx, who.ID, nil); err != nil || read.Email != "ada@example.com" {
		t.Fatalf("read: %v %+v", err, read)
	}
	// The key of another site leads to that site's connection, which allows less.
	club := sdk(s.gate.Key("club", "--connection", "payments", "--shape", "stripe-test"))
	if _, err := club.V1Customers.Create(ctx, &stripe.CustomerCreateParams{}); err == nil || !strings.Contains(err.Error(), "operation_refused") {
		t.Errorf("another site's rules: %v", err)
	}
	if _, err := club.V1Customers.Retrieve(ctx, who.ID, nil); err != nil && strings.Contains(err.Error(), "unauthenticated") {
		t.Errorf("another site's key: %v", err)
	}
	log := s.gate.Log()
	if !strings.Contains(log, `"site":"club","connection":"payments"`) || !strings.Contains(log, `"site":"shop","connection":"payments"`) {
		t.Error("the calls are not in the log with their site and connection")
	}
}

// TestSDKPortFollowsTheFile: other hosts in the file, another certificate; the one before is
// still good for what it was good for, and for nothing else.
func TestSDKPortFollowsTheFile(t *testing.T) {
	s := startSDKPort(t)
	old := s.transport(t)
	s.gate.Rewrite(strings.ReplaceAll(strings.Replace(sdkFile, "      texts: {provider: twilio, mode: mock, credentials: {account_sid: AC00000000000000000000000000000001}, backend: all}\n", "      vonage: {provider: vonage, mode: mock, backend: all}\n", 1), "PORT", s.proxy))
	s.gate.WaitLog("configuration swapped")
	if out := s.gate.MustRun("", "audit", "show", "--kind", "authority-issued"); strings.Count(out, "authority-issued") != 2 {
		t.Errorf("the audit log has\n%s", out)
	}
	out := s.gate.MustRun("", "ca", "show", "--json")
	if !strings.Contains(out, "rest.nexmo.com") || strings.Contains(out, "api.twilio.com") {
		t.Errorf("names after the change:\n%s", out)
	}
	s.refresh(t)
	for _, test := range []struct {
		what, host string
		way        *http.Transport
		want       string
	}{
		{"a host of both, the certificate of before", "api.stripe.com", old, ""},
		{"a new host, the certificate of before", "rest.nexmo.com", old, "not authorized"},
		{"a new host, the new certificate", "rest.nexmo.com", s.transport(t), ""},
		{"a host that was dropped", "api.twilio.com", s.transport(t), "Forbidden"},
		{"another host", "bank.example", s.transport(t), "Forbidden"},
	} {
		client := &http.Client{Transport: test.way, Timeout: 10 * time.Second}
		r, err := client.Get("https://" + test.host + "/v1/x")
		if err == nil {
			r.Body.Close()
		}
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) && !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("%s: %v", test.what, err)
		}
	}
	s.gate.Stop()
	s.gate.Start()
	if again := s.gate.MustRun("", "ca", "show", "--json"); again != out {
		t.Error("a start issued the authority anew")
	}
}

// TestSDKPortCurl: OpenSSL trusts the certificate for these names, and the port gives nobody a
// way to anything else. A listener beside it stands for what must not be reached.
func TestSDKPortCurl(t *testing.T) {
	curl := harness.Need(t, "curl")
	s := startSDKPort(t)
	victim, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	reached := make(chan string, 16)
	go func() {
		for {
			c, err := victim.Accept()
			if err != nil {
				return
			}
			reached <- c.RemoteAddr().String()
			c.Close()
		}
	}()
	run := func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, curl, append([]string{"-sS", "--noproxy", "", "--proxy", "http://" + s.proxy, "--cacert", s.ca}, args...)...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	key := s.gate.Key("shop", "--connection", "payments")
	if out, err := run("-u", key+":", "-d", "email=ada@example.com", "https://api.stripe.com/v1/customers"); err != nil || !strings.Contains(out, `"id":"cus_`) {
		t.Errorf("a good call: %v %s", err, out)
	}
	for _, target := range []string{"https://" + victim.Addr().String(), "https://localhost:" + strings.Split(victim.Addr().String(), ":")[1], "https://169.254.169.254",
		"https://api.stripe.com:8443", "https://api.stripe.com.", "https://x.api.stripe.com", "https://bank.example", "https://[::1]", "http://api.stripe.com/v1/customers", "http://" + victim.Addr().String()} {
		out, err := run("-k", "-w", "%{http_code} %{http_connect}", "-u", key+":", target)
		if err == nil && !strings.Contains(out, "403") && !strings.Contains(out, "400") {
			t.Errorf("%s: %s", target, out)
		}
		if strings.Contains(out, " 200") && !strings.HasPrefix(target, "https://api.stripe.com.") {
			t.Errorf("%s: a tunnel was opened: %s", target, out)
		}
	}
	select {
	case who := <-reached:
		t.Errorf("%s reached what stands beside the gate", who)
	default:
	}
}
