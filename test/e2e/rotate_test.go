package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/test/harness"
	"sallyport/test/servers"
)

// The values of a provider's key, one after the other.
const (
	rotatedFirst  = "sk_test_51CANARYrotateFirst000000"
	rotatedSecond = "sk_test_51CANARYrotateSecond00000"
)

// rotating is a provider that notes which key each call had.
type rotating struct {
	mu   sync.Mutex
	keys []string
}

func (r *rotating) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	r.keys = append(r.keys, strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer "))
	r.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"object":"list","data":[],"has_more":false,"url":"/v1/prices"}`))
}

func (r *rotating) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) == 0 {
		return ""
	}
	return r.keys[len(r.keys)-1]
}

func rotatingGate(t *testing.T) (*harness.Gate, *rotating) {
	t.Helper()
	stripe := &rotating{}
	u := harness.Serve(t, stripe)
	config := strings.Replace(shopConfig(u.URL), "env:TEST_STRIPE_KEY", `"keystore:shop/stripe"`, 1)
	config = strings.Replace(config, "        backend: all\n      maps:", "          list-prices: {returns: [has_more], limit: 100000 per minute per session}\n        backend: all\n      maps:", 1)
	g := harness.New(t, config, map[string][]byte{"ca.pem": u.CA}, "SALLYPORT_KEYSTORE_KEY=", "SALLYPORT_KEYSTORE_KEY_FILE=./keystore.key")
	g.MustRun("", "secrets", "init")
	g.MustRun(rotatedFirst, "secrets", "set", "shop/stripe")
	return g.Start(), stripe
}

// TestTheGatesOwnKeysAreRotatedUnderCalls: the keystore's key, the data keys and the session key
// are rotated beside the real binary while a page and a backend call through it: no call fails, no
// visit ends, and what was sealed before a restart opens after it.
func TestTheGatesOwnKeysAreRotatedUnderCalls(t *testing.T) {
	t.Parallel()
	g, stripe := rotatingGate(t)
	key, token := g.Key("shop"), g.Session("shop", "https://shop.example")
	old, err := os.ReadFile(filepath.Join(g.Dir, "keystore.key"))
	if err != nil {
		t.Fatal(err)
	}
	page := map[string]string{"Authorization": "Bearer " + token, "Origin": "https://shop.example"}
	var made atomic.Int64
	stop := make(chan struct{})
	var work sync.WaitGroup
	for _, header := range []map[string]string{page, {"Authorization": "Bearer " + key}} {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
				if r := g.Do("GET", "/shop/api/payments/v1/prices", "", header); r.Status != http.StatusOK {
					t.Errorf("%d %s", r.Status, r.Body)
					return
				}
				made.Add(1)
			}
		})
	}
	for _, args := range [][]string{{"keystore"}, {"keystore", "--finish"}, {"data"}, {"sessions"}, {"data"}, {"keystore"}, {"keystore", "--finish"}} {
		before := made.Load()
		g.MustRun("", append([]string{"secrets", "rotate"}, args...)...)
		within(t, 20*time.Second, "calls after secrets rotate "+strings.Join(args, " "), func() bool { return made.Load() >= before+10 || t.Failed() })
	}
	close(stop)
	work.Wait()
	if now, err := os.ReadFile(filepath.Join(g.Dir, "keystore.key")); err != nil || string(now) == string(old) {
		t.Errorf("the keystore's key is the one of before: %v", err)
	}
	g.Stop()
	g.Start()
	if r := g.Do("GET", "/shop/api/payments/v1/prices", "", page); r.Status != http.StatusOK || stripe.last() != rotatedFirst {
		t.Errorf("a visit of before, after a restart: %d %s", r.Status, r.Body)
	}
	if all := g.Log(); strings.Contains(all, "CANARY") || strings.Contains(all, "AGE-SECRET") || strings.Contains(all, "level=ERROR") {
		t.Errorf("the log:\n%s", all)
	}
}

// TestLeakedKey: from the command on no call carries the old value, the visits of the site have
// ended and new ones begin, and the calls are listed.
func TestLeakedKey(t *testing.T) {
	t.Parallel()
	g, stripe := rotatingGate(t)
	page := map[string]string{"Authorization": "Bearer " + g.Session("shop", "https://shop.example"), "Origin": "https://shop.example"}
	if r := g.Do("GET", "/shop/api/payments/v1/prices", "", page); r.Status != http.StatusOK || stripe.last() != rotatedFirst {
		t.Fatalf("%d %s with %q", r.Status, r.Body, stripe.last())
	}
	if r := g.Do("POST", "/shop/api/payments/v1/customers", "name=Ada", map[string]string{"Authorization": "Bearer " + g.Key("shop"), "Content-Type": "application/x-www-form-urlencoded"}); r.Status == http.StatusUnauthorized {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	out, _ := g.Run(rotatedSecond, "secrets", "rotate", "shop/stripe", "--leaked", "--since", "1h")
	for _, want := range []string{"has one value: the new one", "ended: all visits of shop", "https://dashboard.stripe.com/apikeys", "stripe.create-customer by backend"} {
		if !strings.Contains(out, want) {
			t.Errorf("the command does not say %q:\n%s", want, out)
		}
	}
	within(t, 5*time.Second, "the visit of before ends", func() bool {
		return g.Do("GET", "/shop/api/payments/v1/prices", "", page).Status == http.StatusUnauthorized
	})
	stripe.mu.Lock()
	stripe.keys = nil
	stripe.mu.Unlock()
	time.Sleep(1100 * time.Millisecond) // a visit of the same second counts as begun before
	page["Authorization"] = "Bearer " + g.Session("shop", "https://shop.example")
	if r := g.Do("GET", "/shop/api/payments/v1/prices", "", page); r.Status != http.StatusOK {
		t.Errorf("a new visit: %d %s", r.Status, r.Body)
	}
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	for _, key := range stripe.keys {
		if key != rotatedSecond {
			t.Errorf("a call with another value than the new one: %q", key)
		}
	}
}

// TestKeystoreKeyThatTransitWraps is changed under a running gate, which asks Vault for the new
// one when the old one opens the keystore no more.
func TestKeystoreKeyThatTransitWraps(t *testing.T) {
	t.Parallel()
	v := servers.StartVault(t)
	v.Do(t, "POST", "sys/mounts/transit", map[string]any{"type": "transit"})
	v.Do(t, "POST", "transit/keys/sallyport", map[string]any{})
	v.Policy(t, "gate", `path "transit/*" { capabilities = ["update"] }`)
	token := v.Token(t, map[string]any{"policies": []string{"gate"}, "ttl": "1h"})
	stripe := &rotating{}
	u := harness.Serve(t, stripe)
	config := strings.Replace(shopConfig(u.URL), "env:TEST_STRIPE_KEY", `"keystore:shop/stripe"`, 1)
	config = strings.Replace(config, "  keystore: ./data/keystore.age\n", "  keystore: ./data/keystore.age\n  vault: {address: \""+v.URL+"\", auth: {token: file:./vault-token}, transit: {key: sallyport}}\n", 1)
	g := harness.New(t, config, map[string][]byte{"ca.pem": u.CA, "vault-token": []byte(token)}, "SALLYPORT_KEYSTORE_KEY=", "SALLYPORT_KEYSTORE_KEY_FILE=")
	g.MustRun("", "secrets", "init", "--key-file", "first.key")
	first, err := os.ReadFile(filepath.Join(g.Dir, "first.key"))
	if err != nil {
		t.Fatal(err)
	}
	withFirst := harness.New(t, config, nil, "SALLYPORT_KEYSTORE_KEY="+strings.TrimSpace(string(first)))
	withFirst.Dir, withFirst.Config = g.Dir, g.Config
	withFirst.MustRun("", "secrets", "wrap")
	g.MustRun(rotatedFirst, "secrets", "set", "shop/stripe")
	g.Start()
	header := map[string]string{"Authorization": "Bearer " + g.Key("shop")}
	call := func(when string) {
		t.Helper()
		if r := g.Do("GET", "/shop/api/payments/v1/prices", "", header); r.Status != http.StatusOK || stripe.last() != rotatedFirst {
			t.Fatalf("%s: %d %s\n%s", when, r.Status, r.Body, g.Log())
		}
	}
	call("before")
	for range 2 {
		g.MustRun("", "secrets", "rotate", "keystore")
		call("two keys open it")
		g.MustRun("", "secrets", "rotate", "keystore", "--finish")
		call("one key opens it")
	}
	if out, err := withFirst.Run("", "secrets", "list"); err == nil || !strings.Contains(out, "does not open the keystore") {
		t.Errorf("the first key: %v %s", err, out)
	}
	g.Stop()
	g.Start()
	call("after a restart")
}
