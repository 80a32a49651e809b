package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/test/harness"
	"sallyport/test/servers"
)

// vaultGate starts a gate whose Stripe key lies in a real Vault, which it logs in to by AppRole
// with a secret id in a file.
func vaultGate(t *testing.T, v *servers.Vault, extra string) (*harness.Gate, *harness.Upstream) {
	t.Helper()
	v.KV(t, "kv", "2")
	v.Put(t, "kv", "shop/stripe", map[string]any{"secret_key": liveKey})
	v.Policy(t, "gate", "path \"kv/data/shop/*\" { capabilities = [\"read\"] }\npath \"transit/*\" { capabilities = [\"update\"] }")
	role := v.AppRole(t, "gate", map[string]any{"token_policies": "gate", "token_ttl": "1h"})
	stripe := harness.StripeMock(t)
	config := strings.Replace(shopConfig(stripe.URL), "env:TEST_STRIPE_KEY", `"vault:kv/shop/stripe#secret_key"`, 1)
	config = strings.Replace(config, "  keystore: ./data/keystore.age\n", "  vault: {address: \""+v.URL+"\", ttl: 5s, timeout: 1s, auth: {approle: {role_id: env:TEST_ROLE_ID, secret_id: file:./secret-id}}"+extra+"}\n", 1)
	g := harness.New(t, config, map[string][]byte{"ca.pem": stripe.CA, "secret-id": []byte(v.SecretID(t, "gate"))}, "TEST_ROLE_ID="+role)
	return g, stripe
}

func (v vaultCalls) call() harness.Reply {
	return v.g.Do("POST", "/shop/api/payments/v1/customers", "name=Ada&email=ada%40example.com",
		map[string]string{"Authorization": "Bearer " + v.key, "Content-Type": "application/x-www-form-urlencoded"})
}

type vaultCalls struct {
	g   *harness.Gate
	key string
}

func within(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", d, what)
		}
	}
}

// TestVaultSealed: the real binary in front of a real Vault that is sealed, hangs, and takes the gate's
// token away: no call without the credential, an alert within ten seconds, and no restart.
func TestVaultSealed(t *testing.T) {
	t.Parallel()
	v := servers.StartVault(t)
	g, stripe := vaultGate(t, v, "")
	g.Start()
	c := vaultCalls{g, g.Key("shop")}
	if r := c.call(); r.Status != http.StatusOK {
		t.Fatalf("%d %s\n%s", r.Status, r.Body, g.Log())
	}
	if out := g.MustRun("", "check", "--secrets"); !strings.Contains(out, "vault:kv/shop/stripe#secret_key: good") {
		t.Errorf("check says:\n%s", out)
	}
	for _, row := range []struct {
		reason     string
		away, back func()
	}{
		{"sealed", func() { v.Seal(t) }, func() { v.Open(t) }},
		{"slow", v.Pause, v.Resume},
	} {
		row.away()
		within(t, 10*time.Second, "an alert of "+row.reason, func() bool {
			return strings.Contains(g.Log(), `"msg":"alert"`) && strings.Contains(g.Log(), fmt.Sprintf(`"reason":%q`, row.reason))
		})
		var r harness.Reply
		within(t, 10*time.Second, "calls are refused", func() bool { r = c.call(); return r.Status != http.StatusOK })
		if r.Status != http.StatusServiceUnavailable || field(t, r.Body, "code") != "credential_unavailable" {
			t.Errorf("%s: %d %s", row.reason, r.Status, r.Body)
		}
		before := len(stripe.Requests())
		for range 20 {
			c.call()
		}
		if n := len(stripe.Requests()) - before; n != 0 {
			t.Errorf("%s: %d calls reached the provider without a credential", row.reason, n)
		}
		row.back()
		within(t, 10*time.Second, "it comes back by itself", func() bool { return c.call().Status == http.StatusOK })
	}
	for _, r := range stripe.Requests() {
		if r.Header.Get("Authorization") != "Bearer "+liveKey {
			t.Fatalf("a call without the credential reached the provider: %q", r.Header.Get("Authorization"))
		}
	}
	noSecretIn(t, g, liveKey, v.Root)
}

// noSecretIn looks for secrets in what other programs see of the process, and in its files.
func noSecretIn(t *testing.T, g *harness.Gate, secrets ...string) {
	t.Helper()
	id, err := os.ReadFile(filepath.Join(g.Dir, "secret-id"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"environ", "cmdline"} {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", g.Pid(), name))
		if err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
		for _, s := range append(secrets, string(id)) {
			if strings.Contains(string(raw), s) {
				t.Errorf("a secret stands in /proc/PID/%s", name)
			}
		}
	}
	for _, s := range append(secrets, string(id)) {
		if strings.Contains(g.Log(), s) {
			t.Error("a secret stands in the log")
		}
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", g.Pid()))
	if err != nil || !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0") {
		t.Errorf("core dumps are not off: %v\n%s", err, limits)
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d/mem", g.Pid()))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the memory of the process: %v, %v", info, err)
	}
}

// TestTransitWrapsTheRootKey: with Transit a root key never lies on disk as it is; it goes there and back by
// two commands, and a gate whose key Vault does not open does not start.
func TestTransitWrapsTheRootKey(t *testing.T) {
	t.Parallel()
	v := servers.StartVault(t)
	v.Do(t, "POST", "sys/mounts/transit", map[string]any{"type": "transit"})
	v.Do(t, "POST", "transit/keys/sallyport", map[string]any{})
	g, _ := vaultGate(t, v, ", transit: {key: sallyport}")
	plain, sealed := filepath.Join(g.Dir, "data", "root.key"), filepath.Join(g.Dir, "data", "root.key.wrapped")
	there := func(path string) bool { _, err := os.Stat(path); return err == nil }
	g.Start()
	key := g.Key("shop")
	ok := func(when string) {
		t.Helper()
		if r := (vaultCalls{g, key}).call(); r.Status != http.StatusOK {
			t.Errorf("%s: %d %s", when, r.Status, r.Body)
		}
	}
	ok("wrapped from the start")
	if there(plain) || !there(sealed) {
		t.Fatal("the root key of a new gate is not wrapped")
	}
	g.Stop()
	g.MustRun("", "secrets", "unwrap")
	if !there(plain) || there(sealed) {
		t.Fatal("unwrap left two root keys, or none")
	}
	g.Start()
	ok("unwrapped")
	g.Stop()
	g.MustRun("", "secrets", "wrap")
	if there(plain) || !there(sealed) {
		t.Fatal("wrap left two root keys, or none")
	}
	v.Do(t, "POST", "transit/keys/sallyport/rotate", map[string]any{})
	g.MustRun("", "secrets", "wrap")
	if raw, err := os.ReadFile(sealed); err != nil || !strings.Contains(string(raw), "vault:v2:") {
		t.Errorf("after a rotation in Transit: %v\n%s", err, raw)
	}
	v.Do(t, "POST", "transit/keys/sallyport/config", map[string]any{"min_decryption_version": 2})
	g.Start()
	ok("wrapped anew")
	g.Stop()
	v.Seal(t)
	if out, err := g.Run("", "run"); err == nil || !strings.Contains(out, "sealed") || !strings.Contains(out, "root.key.wrapped") {
		t.Errorf("a gate whose root key Vault does not open: %v\n%s", err, out)
	}
}
