package e2e

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"sallyport/test/harness"
)

// TestTokensThatAsk presents session tokens that ask the verifier for something: no
// algorithm, another one, a key that they bring, keys at an address, a file, a database. Each
// gets the same 401 as a token that is junk, and the gate opens no file and no connection.
func TestTokensThatAsk(t *testing.T) {
	g := harness.New(t, `
version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites:
  shop:
    origins: [https://shop.example]
    connections: {maps: {provider: google-maps, mode: mock, browser: {geocode: {free: [address], returns: [status]}}}}
`, nil).Start()
	fetched, address := canaryListener(t)
	pipe := filepath.Join(t.TempDir(), "key")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	good := g.Unvouched("shop", origin)
	parts := strings.Split(good, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]string
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	kid := header["kid"]
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	jwk := `{"kty":"OKP","crv":"Ed25519","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}`
	keys := g.Do("GET", "/.well-known/jwks.json", "", nil).Body
	const typ = `"typ":"sallyport-session+jwt"`
	headers := map[string]string{
		"none": `{"alg":"none",` + typ + `,"kid":"` + kid + `"}`, "None": `{"alg":"None",` + typ + `,"kid":"` + kid + `"}`, "nOnE": `{"alg":"nOnE",` + typ + `,"kid":"` + kid + `"}`,
		"HS256": `{"alg":"HS256",` + typ + `,"kid":"` + kid + `"}`, "RS256": `{"alg":"RS256",` + typ + `,"kid":"` + kid + `"}`,
		"embedded jwk":      `{"alg":"EdDSA",` + typ + `,"kid":"` + kid + `","jwk":` + jwk + `}`,
		"jku to loopback":   `{"alg":"EdDSA",` + typ + `,"kid":"` + kid + `","jku":"http://` + address + `/keys"}`,
		"x5u to loopback":   `{"alg":"EdDSA",` + typ + `,"kid":"` + kid + `","x5u":"http://` + address + `/cert"}`,
		"kid is an address": `{"alg":"EdDSA",` + typ + `,"kid":"http://` + address + `/k"}`,
		"kid traversal":     `{"alg":"EdDSA",` + typ + `,"kid":"../../../../../../dev/null"}`, "kid is a file": `{"alg":"EdDSA",` + typ + `,"kid":"` + pipe + `"}`,
		"kid SQL": `{"alg":"EdDSA",` + typ + `,"kid":"x' UNION SELECT 'a"}`, "kid is long": `{"alg":"EdDSA",` + typ + `,"kid":"` + strings.Repeat("k", 1000) + `"}`,
		"crit": `{"alg":"EdDSA",` + typ + `,"kid":"` + kid + `","crit":["exp"]}`, "alg twice": `{"alg":"none","alg":"EdDSA",` + typ + `,"kid":"` + kid + `"}`,
		"another type": `{"alg":"EdDSA","typ":"JWT","kid":"` + kid + `"}`, "b64": `{"alg":"EdDSA",` + typ + `,"kid":"` + kid + `","b64":false}`,
	}
	present := func(token string) harness.Reply {
		return g.Do("GET", "/shop/session", "", map[string]string{"Origin": origin, "Authorization": "Bearer " + token})
	}
	if r := present(good); r.Status != 200 {
		t.Fatalf("the control: %d %s", r.Status, r.Body)
	}
	want := uniform(present("junk"))
	for name, h := range headers {
		in := base64.RawURLEncoding.EncodeToString([]byte(h)) + "." + parts[1]
		mac := hmac.New(sha256.New, []byte(keys))
		mac.Write([]byte(in))
		for kind, signature := range map[string]string{"none": "", "its own key": base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(in))),
			"the published key as a secret": base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), "the good one's": parts[2]} {
			r := present(in + "." + signature)
			if r.Status != 401 || uniform(r) != want {
				t.Errorf("%s, signed by %s: %d %s", name, kind, r.Status, r.Body)
			}
		}
	}
	if n := fetched.Load(); n != 0 {
		t.Errorf("%d connections to an address that a token names", n)
	}
	// Whoever opens a pipe for reading waits there for a writer, and would be found.
	if f, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("the gate reads a file that a token names: %v, %v", f, err)
	}
}

// uniform is an answer without what differs from request to request.
func uniform(r harness.Reply) string {
	var document map[string]any
	if json.Unmarshal([]byte(r.Body), &document) != nil {
		return r.Body
	}
	delete(document, "request_id")
	raw, _ := json.Marshal(document)
	return r.Header.Get("WWW-Authenticate") + string(raw)
}

// canaryListener counts connections to an address that nobody has a reason to know.
func canaryListener(t *testing.T) (*atomic.Int64, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	n := &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			_ = c.Close()
		}
	}()
	return n, l.Addr().String()
}
