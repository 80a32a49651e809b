package sdkproxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
)

var names = []string{"api-m.sandbox.paypal.com", "api.stripe.com", "api.twilio.com"}

// clock is a wall clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func sealer(t testing.TB, b byte) Sealer {
	t.Helper()
	s, err := seal.NewRoot(secret.NewValue(bytes.Repeat([]byte{b}, seal.RootSize)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t testing.TB, dir string, c *clock, list []string) (*Authority, bool) {
	t.Helper()
	a, issued, err := Open(Options{Dir: dir, Sealer: sealer(t, 1), Now: c.Now}, list)
	if err != nil {
		t.Fatal(err)
	}
	return a, issued
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Second)} }

func TestTheAuthoritySurvivesAStart(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	a, issued := open(t, dir, c, names)
	if !issued {
		t.Fatal("nothing was issued at the first start")
	}
	again, issued := open(t, dir, c, []string{names[2], names[0], names[1], names[0]})
	if issued || again.Info().Fingerprint != a.Info().Fingerprint {
		t.Error("the same names in another order had the authority issued anew")
	}
	shown, err := Show(dir)
	if err != nil || shown.PEM != a.Info().PEM || !slices.Equal(shown.Names, names) {
		t.Errorf("Show: %v %+v", err, shown)
	}
	if _, err := Show(t.TempDir()); !errors.Is(err, ErrNone) {
		t.Errorf("Show of an empty folder: %v", err)
	}
}

func TestOtherNamesHaveItIssuedAnew(t *testing.T) {
	c := newClock()
	a, _ := open(t, t.TempDir(), c, names)
	old, err := a.Certificate("api.stripe.com")
	if err != nil {
		t.Fatal(err)
	}
	before := a.Info()
	if issued, err := a.SetNames(append([]string{"api.nexmo.com"}, names[:2]...)); err != nil || !issued {
		t.Fatalf("other names: %v %v", issued, err)
	}
	if a.Info().Fingerprint == before.Fingerprint || slices.Contains(a.Info().Names, "api.twilio.com") {
		t.Errorf("after other names: %v", a.Info().Names)
	}
	if _, err := a.Certificate("api.twilio.com"); err == nil {
		t.Error("a name that was dropped still gets a certificate")
	}
	leaf, err := a.Certificate("api.stripe.com")
	if err != nil || leaf == old {
		t.Fatalf("a leaf of the certificate before is still given out: %v", err)
	}
	// Who holds the certificate of before goes on with the names that it had.
	if err := verify(before.PEM, leaf.Leaf, "api.stripe.com", c.Now()); err != nil {
		t.Errorf("the certificate of before no longer vouches for a name of before: %v", err)
	}
	fresh, err := a.Certificate("api.nexmo.com")
	if err != nil {
		t.Fatal(err)
	}
	if verify(before.PEM, fresh.Leaf, "api.nexmo.com", c.Now()) == nil {
		t.Error("the certificate of before vouches for a name that came later")
	}
}

func verify(ca string, leaf *x509.Certificate, name string, at time.Time) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca)) {
		return errors.New("no certificate")
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

func TestLivesAreShort(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	a, _ := open(t, dir, c, names)
	first, err := a.Certificate("api.stripe.com")
	if err != nil {
		t.Fatal(err)
	}
	if life := first.Leaf.NotAfter.Sub(c.Now()); life > leafLife {
		t.Errorf("a leaf lives %s", life)
	}
	if same, _ := a.Certificate("api.stripe.com"); same != first {
		t.Error("a leaf is made anew although it is fresh")
	}
	c.pass(leafLife/2 + time.Second)
	second, err := a.Certificate("api.stripe.com")
	if err != nil || second == first || !second.Leaf.NotAfter.After(first.Leaf.NotAfter) {
		t.Errorf("after half its life: %v", err)
	}
	if issued, err := a.Renew(); err != nil || issued {
		t.Errorf("renewed long before the end: %v %v", issued, err)
	}
	c.pass(authorityLife - authorityLeft)
	before := a.Info()
	if issued, err := a.Renew(); err != nil || !issued {
		t.Fatalf("near the end: %v %v", issued, err)
	}
	if !a.Info().Ends.After(before.Ends) {
		t.Error("the new certificate ends no later")
	}
	leaf, err := a.Certificate("api.stripe.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(before.PEM, leaf.Leaf, "api.stripe.com", c.Now()); err != nil {
		t.Errorf("who trusts the certificate of before is cut off months before its end: %v", err)
	}
}

func TestTheKeyIsSealedAndForItsOwnerOnly(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	a, _ := open(t, filepath.Join(dir, "ca"), c, names)
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := a.key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, scalar) || bytes.Contains(text, der) {
			t.Errorf("%s holds the key in clear", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ca", keyFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the key: %v %v", info.Mode(), err)
	}
	before, _ := os.ReadFile(path)
	if _, _, err := Open(Options{Dir: filepath.Join(dir, "ca"), Sealer: sealer(t, 2), Now: c.Now}, names); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("another root key: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("a key that did not open was replaced")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(Options{Dir: filepath.Join(dir, "ca"), Sealer: sealer(t, 1), Now: c.Now}, names); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
}

func TestNamesThatNoAuthorityIsMadeFor(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	for _, bad := range [][]string{nil, {""}, {"com"}, {"*.stripe.com"}, {".stripe.com"}, {"api.stripe.com."}, {"API.stripe.com"}, {"127.0.0.1"}, {"localhost"},
		{"api.strîpe.com"}, {"api..com"}, {"-a.com"}, {"a_b.com"}, {"api.stripe.com", "::1"}} {
		if _, _, err := Open(Options{Dir: dir, Sealer: sealer(t, 1), Now: c.Now}, bad); err == nil {
			t.Errorf("an authority was made for %q", bad)
		}
	}
	if _, err := Show(dir); !errors.Is(err, ErrNone) {
		t.Errorf("a certificate was written: %v", err)
	}
	a, _ := open(t, dir, c, names)
	if _, err := a.SetNames(nil); err == nil || !slices.Equal(a.Names(), names) {
		t.Errorf("no names: %v, %v", err, a.Names())
	}
	for _, name := range []string{"", "stripe.com", "x.api.stripe.com", "api.stripe.com.", "API.STRIPE.COM", "169.254.169.254", "localhost"} {
		if _, err := a.Certificate(name); err == nil {
			t.Errorf("a leaf was made for %q", name)
		}
	}
}

func TestACertificateOnDiskThatIsNotOurs(t *testing.T) {
	c := newClock()
	wider := func(t *testing.T, a *Authority) *x509.Certificate { // of our key, without constraints
		template, err := authorityTemplate(a.key, names, c.Now())
		if err != nil {
			t.Fatal(err)
		}
		template.PermittedDNSDomains, template.ExcludedDNSDomains = nil, nil
		return sign(t, template, template, a.key, a.key)
	}
	foreign := func(t *testing.T, _ *Authority) *x509.Certificate {
		key, _ := newKey()
		cert, err := issueAuthority(key, names, c.Now())
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	for what, make := range map[string]func(*testing.T, *Authority) *x509.Certificate{"without constraints": wider, "of another key": foreign} {
		dir := t.TempDir()
		a, _ := open(t, dir, c, names)
		if err := saveCertificate(dir, make(t, a)); err != nil {
			t.Fatal(err)
		}
		again, issued := open(t, dir, c, names)
		if !issued || !slices.Equal(again.cert.PermittedDNSDomains, names) || !again.key.PublicKey.Equal(again.cert.PublicKey) {
			t.Errorf("a certificate %s was taken over", what)
		}
	}
	dir := t.TempDir()
	open(t, dir, c, names)
	if err := os.WriteFile(filepath.Join(dir, certificateFile), []byte("no PEM"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(Options{Dir: dir, Sealer: sealer(t, 1), Now: c.Now}, names); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("a damaged certificate: %v", err)
	}
}

func sign(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// TestStolenKey signs with the authority's own key what it never would: both verifiers, Go's
// and OpenSSL's, refuse everything but a server's certificate for exactly its names.
func TestStolenKey(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is not installed; run scripts/deps")
		}
		t.Log("openssl is not installed: only Go's verifier is asked")
	}
	c := newClock()
	a, _ := open(t, t.TempDir(), c, names)
	leaf := func(name string) *x509.Certificate {
		number, _ := serial()
		return &x509.Certificate{SerialNumber: number, Subject: pkix.Name{Organization: []string{"x"}}, NotBefore: c.Now().Add(-time.Minute), NotAfter: c.Now().Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true, DNSNames: []string{name}}
	}
	address := leaf("")
	address.DNSNames, address.IPAddresses = nil, []net.IP{net.ParseIP("127.0.0.1")}
	six := leaf("")
	six.DNSNames, six.IPAddresses = nil, []net.IP{net.ParseIP("2001:db8::1")}
	both := leaf("api.stripe.com")
	both.DNSNames = append(both.DNSNames, "bank.example")
	code := leaf("api.stripe.com")
	code.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	for _, test := range []struct {
		what, name string
		cert       *x509.Certificate
		good       bool
	}{
		{"a name of the list", "api.stripe.com", leaf("api.stripe.com"), true},
		{"another name of the list", "api.twilio.com", leaf("api.twilio.com"), true},
		{"another name", "bank.example", leaf("bank.example"), false},
		{"a name below", "x.api.stripe.com", leaf("x.api.stripe.com"), false},
		{"all names below", "x.api.stripe.com", leaf("*.api.stripe.com"), false},
		{"a sibling", "dashboard.stripe.com", leaf("dashboard.stripe.com"), false},
		{"all siblings", "api.stripe.com", leaf("*.stripe.com"), false},
		{"the name above", "stripe.com", leaf("stripe.com"), false},
		{"a longer name", "xapi.stripe.com", leaf("xapi.stripe.com"), false},
		{"an IPv4 address", "127.0.0.1", address, false},
		{"an IPv6 address", "2001:db8::1", six, false},
		{"a name of the list and another", "api.stripe.com", both, false},
		{"code", "api.stripe.com", code, false},
	} {
		key, err := newKey()
		if err != nil {
			t.Fatal(err)
		}
		cert := sign(t, test.cert, a.cert, key, a.key)
		if err := verify(a.Info().PEM, cert, test.name, c.Now()); (err == nil) != test.good {
			t.Errorf("Go, %s: %v", test.what, err)
		}
		if out, err := opensslVerify(t, openssl, a.Info().PEM, test.name, cert); (err == nil) != test.good && openssl != "" {
			t.Errorf("OpenSSL, %s: %v %s", test.what, err, out)
		}
	}
	// Nothing below it can be an authority: pathlen 0.
	middleKey, _ := newKey()
	middle := leaf("api.stripe.com")
	middle.IsCA, middle.KeyUsage = true, x509.KeyUsageCertSign
	middleCert := sign(t, middle, a.cert, middleKey, a.key)
	endKey, _ := newKey()
	end := sign(t, leaf("api.stripe.com"), middleCert, endKey, middleKey)
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.cert)
	between.AddCert(middleCert)
	if _, err := end.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: "api.stripe.com", CurrentTime: c.Now()}); err == nil {
		t.Error("Go: an authority below the authority was accepted")
	}
	if out, err := opensslVerify(t, openssl, a.Info().PEM, "api.stripe.com", end, middleCert); err == nil && openssl != "" {
		t.Errorf("OpenSSL: an authority below the authority was accepted: %s", out)
	}
}

func opensslVerify(t *testing.T, openssl, ca, name string, cert *x509.Certificate, between ...*x509.Certificate) (string, error) {
	t.Helper()
	if openssl == "" {
		return "", nil
	}
	dir := t.TempDir()
	write := func(file string, data []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := []string{"verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-purpose", "sslserver", "-CAfile", write("ca.pem", []byte(ca))}
	if net.ParseIP(name) != nil {
		args = append(args, "-verify_ip", name)
	} else {
		args = append(args, "-verify_hostname", name)
	}
	for _, b := range between {
		args = append(args, "-untrusted", write("between.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.Raw})))
	}
	args = append(args, write("leaf.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})))
	out, err := exec.Command(openssl, args...).CombinedOutput()
	return string(out), err
}

func TestCertificatesFromManyGoroutines(t *testing.T) {
	c := newClock()
	a, _ := open(t, t.TempDir(), c, names)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for n := range 20 {
				if leaf, err := a.Certificate(names[(i+n)%len(names)]); err != nil || leaf == nil {
					t.Errorf("Certificate: %v", err)
				}
				if i == 0 && n%5 == 0 {
					if _, err := a.SetNames(append(slices.Clone(names), "api.nexmo.com")[:3+n/5%2]); err != nil {
						t.Errorf("SetNames: %v", err)
					}
				}
			}
		})
	}
	wait.Wait()
}
