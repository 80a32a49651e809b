package hashivault_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/secret"
	"sallyport/internal/secret/hashivault"
	"sallyport/test/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Ending(m)) }

func TestReadsWhatIsStored(t *testing.T) {
	t.Parallel()
	v, m := shop(t)
	v.KV(t, "kv1", "1")
	v.Do(t, "PUT", "kv1/shop/old", map[string]any{"key": "v1"})
	v.Put(t, m, "shop/stripe", map[string]any{"secret_key": "second", "number": 42, "empty": "", "tree": map[string]any{"a": 1}})
	v.Put(t, m, "shop/deleted", map[string]any{"key": "x"})
	v.Do(t, "DELETE", m+"/data/shop/deleted", nil)
	v.Put(t, m, "garden/stripe", map[string]any{"key": "not ours"})
	s := open(t, hashivault.Options{Address: v.URL, Auth: byToken(), Secrets: keep("TOKEN", v.Token(t, map[string]any{"policies": []string{"shop-" + m}}))})

	want(t, s, m+"/shop/stripe#secret_key", "second")
	want(t, s, m+"/shop/stripe?version=1#secret_key", "first")
	want(t, s, m+"/shop/stripe#number", "42")
	want(t, s, "kv1/shop/old#key", "v1")
	wantKind(t, s, m+"/shop/stripe#nothing", hashivault.Missing, "no field nothing", "secret_key")
	wantKind(t, s, m+"/shop/stripe#empty", hashivault.Missing)
	wantKind(t, s, m+"/shop/stripe#tree", hashivault.Missing)
	wantKind(t, s, m+"/shop/nothing#key", hashivault.Missing, "vault kv put "+m+"/shop/nothing")
	wantKind(t, s, m+"/shop/deleted#key", hashivault.Missing, "deleted", "undelete")
	wantKind(t, s, m+"/shop/stripe?version=9#secret_key", hashivault.Missing)
	wantKind(t, s, "kv1/shop/old?version=1#key", hashivault.Missing, "keeps no versions")
	wantKind(t, s, m+"/garden/stripe#key", hashivault.Denied, `path "`+m+`/data/garden/stripe" { capabilities = ["read"] }`)
	wantKind(t, s, "other/shop/stripe#key", hashivault.Denied, "no such mount")
	if _, err := read(t, s, m+"/shop/nothing#key"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("what is not there is not ErrNotFound: %v", err)
	}
}

func TestLogsInWithAppRole(t *testing.T) {
	t.Parallel()
	v, m := shop(t)
	role := v.AppRole(t, "gate", map[string]any{"token_policies": "shop-" + m, "token_ttl": "1h"})
	secrets := keep("ROLE", role, "SECRET", "00000000-0000-0000-0000-000000000000")
	s := open(t, hashivault.Options{Address: v.URL, Auth: byRole(), Secrets: secrets})
	wantKind(t, s, m+"/shop/stripe#secret_key", hashivault.LoginFailed, "secret id", "auth/approle")
	secrets.set("SECRET", v.SecretID(t, "gate"))
	eventually(t, 5*time.Second, "the new secret id is used", func() bool {
		got, err := read(t, s, m+"/shop/stripe#secret_key")
		return err == nil && got == "first"
	})
	if n := tokensOf(t, v, "gate"); n == 0 {
		t.Error("no token of the role")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := tokensOf(t, v, "gate"); n != 0 {
		t.Errorf("%d tokens of the role stay after Close", n)
	}
	if _, err := read(t, s, m+"/shop/stripe#number"); err == nil {
		if _, err := read(t, s, m+"/shop/other#number"); err == nil {
			t.Error("a closed source asks Vault")
		}
	}
}

// tokensOf counts the tokens that a role's logins made.
func tokensOf(t *testing.T, v *servers.Vault, role string) int {
	t.Helper()
	n := 0
	eachToken(t, v, role, func(any) { n++ })
	return n
}

func eachToken(t *testing.T, v *servers.Vault, role string, do func(accessor any)) {
	t.Helper()
	for _, a := range v.Do(t, "LIST", "auth/token/accessors", nil)["data"].(map[string]any)["keys"].([]any) {
		look, err := v.Try("POST", "auth/token/lookup-accessor", map[string]any{"accessor": a})
		if err != nil {
			continue // it has ended meanwhile
		}
		meta, _ := look["data"].(map[string]any)["meta"].(map[string]any)
		if meta["role_name"] == role {
			do(a)
		}
	}
}

// TestManyCallersOneRequest: however many ask at once, Vault hears of it once.
func TestManyCallersOneRequest(t *testing.T) {
	t.Parallel()
	v, m := shop(t)
	url, w := between(t, v.URL)
	s := open(t, hashivault.Options{Address: url, Auth: byToken(), Secrets: keep("TOKEN", v.Root)})
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() { want(t, s, m+"/shop/stripe#secret_key", "first"); want(t, s, m+"/shop/stripe#number", "42") })
	}
	all.Wait()
	// The token's own data, the mount, the secret; each may need two reads of the wire.
	if n := w.seen.Load(); n > 8 {
		t.Errorf("%d reads of the wire for 400 readings of one secret", n)
	}
	before := w.seen.Load()
	for range 1000 {
		want(t, s, m+"/shop/stripe#secret_key", "first")
	}
	if n := w.seen.Load() - before; n != 0 {
		t.Errorf("%d more for a thousand that were remembered", n)
	}
	v.Put(t, m, "shop/stripe", map[string]any{"secret_key": "second"})
	time.Sleep(1100 * time.Millisecond)
	got, err := s.Read(secret.Anew(t.Context()), secret.Ref{Scheme: "vault", Name: m + "/shop/stripe#secret_key"})
	if err != nil || string(got.Expose()) != "second" {
		t.Errorf("asked anew: %q, %v", got.Expose(), err)
	}
}

// TestVaultAway: sealed, hanging and cut off, the last good value is given out until its TTL, then
// nothing; somebody hears of it within ten seconds, and all is well by itself afterwards.
func TestVaultAway(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name       string
		kind       hashivault.Kind
		away, back func(v *servers.Vault, w *wire)
	}{
		{"sealed", hashivault.Sealed, func(v *servers.Vault, _ *wire) { v.Seal(t) }, func(v *servers.Vault, _ *wire) { v.Open(t) }},
		{"hanging", hashivault.Slow, func(v *servers.Vault, _ *wire) { v.Pause() }, func(v *servers.Vault, _ *wire) { v.Resume() }},
		{"cut off", hashivault.Unreachable, func(_ *servers.Vault, w *wire) { w.Cut(true) }, func(_ *servers.Vault, w *wire) { w.Cut(false) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			const ttl = 3 * time.Second
			v, m := stocked(t, servers.StartVault(t))
			url, w := between(t, v.URL)
			s := open(t, hashivault.Options{Address: url, Auth: byToken(), TTL: ttl, Timeout: time.Second, Secrets: keep("TOKEN", v.Root)})
			told := run(t, s)
			want(t, s, m+"/shop/stripe#secret_key", "first")
			row.away(v, w)
			began := time.Now()
			want(t, s, m+"/shop/stripe#secret_key", "first")
			eventually(t, 10*time.Second, "an alert of "+string(row.kind), func() bool { return told.has(row.kind, false) })
			eventually(t, ttl+2*time.Second, "calls are refused", func() bool {
				got, err := read(t, s, m+"/shop/stripe#secret_key")
				if err == nil && (got != "first" || time.Since(began) > ttl+time.Second) {
					t.Fatalf("%q after %s", got, time.Since(began))
				}
				return err != nil
			})
			wantKind(t, s, m+"/shop/stripe#secret_key", row.kind)
			eventually(t, 5*time.Second, "an alert that calls are refused", func() bool { return told.has(hashivault.Closed, false) })
			v.Resume()
			row.back(v, w)
			v.Put(t, m, "shop/stripe", map[string]any{"secret_key": "second"})
			eventually(t, 10*time.Second, "it comes back by itself", func() bool {
				got, err := read(t, s, m+"/shop/stripe#secret_key")
				return err == nil && got == "second"
			})
			eventually(t, 10*time.Second, "its end is told", func() bool { return told.has(row.kind, true) && told.has(hashivault.Closed, true) })
		})
	}
}

// TestReadAhead: a value is fresh before its TTL ends, without anybody waiting, and a new one is found.
func TestReadAhead(t *testing.T) {
	t.Parallel()
	v, m := shop(t)
	s := open(t, hashivault.Options{Address: v.URL, Auth: byToken(), TTL: 2 * time.Second, Secrets: keep("TOKEN", v.Root)})
	run(t, s)
	want(t, s, m+"/shop/stripe#secret_key", "first")
	v.Put(t, m, "shop/stripe", map[string]any{"secret_key": "second"})
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(3 * time.Millisecond) {
		at := time.Now()
		got, err := read(t, s, m+"/shop/stripe#secret_key")
		if err != nil || time.Since(at) > 500*time.Millisecond {
			t.Fatalf("%q, %v after %s", got, err, time.Since(at))
		}
	}
	want(t, s, m+"/shop/stripe#secret_key", "second")
}

// TestTokens: a token that ends is renewed, one that was revoked replaced, and where nothing helps
// somebody hears of it.
func TestTokens(t *testing.T) {
	t.Parallel()
	v, m := shop(t)
	t.Run("renewed", func(t *testing.T) {
		t.Parallel()
		token := v.Token(t, map[string]any{"policies": []string{"shop-" + m}, "ttl": "3s"})
		s := open(t, hashivault.Options{Address: v.URL, Auth: byToken(), TTL: time.Second, Secrets: keep("TOKEN", token)})
		run(t, s)
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			want(t, s, m+"/shop/stripe#secret_key", "first")
		}
	})
	t.Run("at its last end", func(t *testing.T) {
		t.Parallel()
		role := v.AppRole(t, "short", map[string]any{"token_policies": "shop-" + m, "token_ttl": "2s", "token_max_ttl": "4s"})
		s := open(t, hashivault.Options{Address: v.URL, Auth: byRole(), TTL: time.Second, Secrets: keep("ROLE", role, "SECRET", v.SecretID(t, "short"))})
		run(t, s)
		for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			want(t, s, m+"/shop/stripe#secret_key", "first")
		}
	})
	t.Run("revoked, with a role", func(t *testing.T) {
		t.Parallel()
		role := v.AppRole(t, "revoked", map[string]any{"token_policies": "shop-" + m, "token_ttl": "1h"})
		s := open(t, hashivault.Options{Address: v.URL, Auth: byRole(), TTL: 30 * time.Second, Secrets: keep("ROLE", role, "SECRET", v.SecretID(t, "revoked"))})
		told := run(t, s)
		want(t, s, m+"/shop/stripe#secret_key", "first")
		eachToken(t, v, "revoked", func(a any) { v.Do(t, "POST", "auth/token/revoke-accessor", map[string]any{"accessor": a}) })
		v.Put(t, m, "shop/later", map[string]any{"key": "later"})
		want(t, s, m+"/shop/later#key", "later")
		time.Sleep(5 * time.Second) // the next look at the token
		if told.has(hashivault.LoginFailed, false) {
			t.Error("an alert, and the gate could help itself")
		}
	})
	t.Run("revoked, without a way to another", func(t *testing.T) {
		t.Parallel()
		token := v.Token(t, map[string]any{"policies": []string{"shop-" + m}, "ttl": "1h"})
		secrets := keep("TOKEN", token)
		s := open(t, hashivault.Options{Address: v.URL, Auth: byToken(), TTL: 3 * time.Second, Secrets: secrets})
		told := run(t, s)
		want(t, s, m+"/shop/stripe#secret_key", "first")
		v.Do(t, "POST", "auth/token/revoke", map[string]any{"token": token})
		eventually(t, 10*time.Second, "an alert", func() bool { return told.has(hashivault.LoginFailed, false) })
		eventually(t, 5*time.Second, "calls are refused", func() bool { _, err := read(t, s, m+"/shop/stripe#secret_key"); return err != nil })
		wantKind(t, s, m+"/shop/stripe#secret_key", hashivault.LoginFailed, "revoked", "secrets.vault.auth.token")
		secrets.set("TOKEN", v.Token(t, map[string]any{"policies": []string{"shop-" + m}, "ttl": "1h"}))
		eventually(t, 10*time.Second, "the new token is used", func() bool { _, err := read(t, s, m+"/shop/stripe#secret_key"); return err == nil })
	})
}

// TestLeases: a leased secret is renewed while Vault allows it, and read anew afterwards; its lease is its TTL.
func TestLeases(t *testing.T) {
	t.Parallel()
	v, m := shop(t)
	v.Do(t, "POST", "sys/mounts/leased", map[string]any{"type": "leased"})
	v.Do(t, "PUT", "leased/db", map[string]any{"password": "one", "lease": "2s"})
	s := open(t, hashivault.Options{Address: v.URL, Auth: byToken(), TTL: time.Hour, Secrets: keep("TOKEN", v.Token(t, map[string]any{"policies": []string{"shop-" + m}}))})
	run(t, s)
	want(t, s, "leased/db#password", "one")
	time.Sleep(3 * time.Second)
	want(t, s, "leased/db#password", "one")
	v.Do(t, "PUT", "leased/db", map[string]any{"password": "two", "lease": "2s"})
	v.Do(t, "PUT", "sys/leases/revoke-prefix/leased", map[string]any{})
	eventually(t, 8*time.Second, "after the lease was revoked, a new one", func() bool {
		got, err := read(t, s, "leased/db#password")
		return err == nil && got == "two"
	})
}

// TestTransit: what was wrapped opens for its purpose only, also after the key was rotated.
func TestTransit(t *testing.T) {
	t.Parallel()
	v, m := shop(t)
	v.Do(t, "POST", "sys/mounts/transit", map[string]any{"type": "transit"})
	v.Do(t, "POST", "transit/keys/gate", map[string]any{})
	s := open(t, hashivault.Options{Address: v.URL, Auth: byToken(), Secrets: keep("TOKEN", v.Token(t, map[string]any{"policies": []string{"shop-" + m}}))})
	k, ctx, key := hashivault.TransitKey{Mount: "transit", Key: "gate"}, t.Context(), secret.NewValue([]byte("\x00\x01 root \xff"))
	one, err := s.Wrap(ctx, k, "root", key)
	if err != nil || !strings.HasPrefix(one, "vault:v1:") {
		t.Fatalf("%q, %v", one, err)
	}
	v.Do(t, "POST", "transit/keys/gate/rotate", map[string]any{})
	two, err := s.Rewrap(ctx, k, one)
	if err != nil || !strings.HasPrefix(two, "vault:v2:") {
		t.Fatalf("%q, %v", two, err)
	}
	for _, wrapped := range []string{one, two} {
		if got, err := s.Unwrap(ctx, k, "root", wrapped); err != nil || !got.Equal(key) {
			t.Errorf("%.9s: %v", wrapped, err)
		}
		if _, err := s.Unwrap(ctx, k, "keystore", wrapped); !errors.Is(err, hashivault.ErrPurpose) {
			t.Errorf("for another purpose: %v", err)
		}
	}
	v.Do(t, "POST", "transit/keys/gate/config", map[string]any{"min_decryption_version": 2})
	if _, err := s.Unwrap(ctx, k, "root", one); err == nil {
		t.Error("a version that Transit gave up opens")
	}
	if _, err := s.Unwrap(ctx, hashivault.TransitKey{Mount: "transit", Key: "other"}, "root", two); err == nil {
		t.Error("another key opens it")
	}
	var f *hashivault.Failure
	if _, err := s.Unwrap(ctx, hashivault.TransitKey{Mount: "elsewhere", Key: "gate"}, "root", two); !errors.As(err, &f) || f.Kind != hashivault.Denied || !strings.Contains(f.Text, "elsewhere/decrypt/gate") {
		t.Errorf("a mount that is not there: %v", err)
	}
}

// tale is what Run told.
type tale struct {
	mu  sync.Mutex
	all []hashivault.Trouble
}

func (l *tale) has(k hashivault.Kind, over bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.all {
		if t.Kind == k && t.Over == over {
			return true
		}
	}
	return false
}
