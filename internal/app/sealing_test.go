package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/secret/keystore"
	"sallyport/internal/secret/seal"
	"sallyport/test/servers"
)

const custodyFile = `version: 1
listen: {public: "127.0.0.1:0", tls: off}
%s
sites:
  shop:
    origins: [https://shop.example]
    connections:
      polls: {provider: zigpoll, mode: mock, browser: {list-accounts: {returns: ["body[].title"], limit: 100 per minute per session}}}
`

// custodyNode writes the files of a node, and a keystore where key is not empty; its key's file is
// named by the environment.
func custodyNode(t *testing.T, store string, ks bool) (path string, key secret.Value) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "sallyport.yaml")
	write(t, path, fmt.Sprintf(custodyFile, store))
	if !ks {
		return path, key
	}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := keystore.Create(filepath.Join(dir, "data", "keystore.age"))
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(dir, "keystore.key")
	write(t, keyFile, string(key.Expose()))
	t.Setenv("SALLYPORT_KEYSTORE_KEY_FILE", keyFile)
	return path, key
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func startGate(t *testing.T, path string) *Gate {
	t.Helper()
	g, err := Open(t.Context(), Options{Path: path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = g.Run(ctx, nil) })
	t.Cleanup(func() {
		cancel()
		work.Wait()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// custody opens what commands open, beside a gate.
func custody(t *testing.T, path string) *Custody {
	t.Helper()
	file, faults := config.Load(path, provider.Builtin())
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	store, err := OpenStore(t.Context(), file, StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenCustody(t.Context(), file, store, time.Now)
	if err != nil {
		t.Fatal(errors.Join(err, store.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func sealBy(t *testing.T, ring *seal.Keyring, text string) []byte {
	t.Helper()
	s, err := ring.DataKey(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Seal([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func opens(t *testing.T, who string, ring *seal.Keyring, all map[string][]byte) {
	t.Helper()
	s, err := ring.DataKey(t.Context(), "shop")
	if err != nil {
		t.Fatalf("%s: %v", who, err)
	}
	for name, sealed := range all {
		if got, err := s.Open(sealed, "test"); err != nil || string(got) != name {
			t.Errorf("%s: what was sealed %s: %q, %v", who, name, got, err)
		}
	}
}

// TestDataKeysAreRotatedUnderGates: data keys and their wrapping key get new versions while gates
// run; whatever anybody sealed opens for everybody, also for a gate that starts afterwards, and
// after a crash between any two steps.
func TestDataKeysAreRotatedUnderGates(t *testing.T) {
	for name, ks := range map[string]bool{"with a keystore": true, "with a root key on disk": false} {
		t.Run(name, func(t *testing.T) {
			path, _ := custodyNode(t, "", ks)
			gate := startGate(t, path)
			sealed := map[string][]byte{"before": sealBy(t, gate.keyring, "before")}
			for round := range 2 {
				if ks { // a rotation that died after each of its steps
					c := custody(t, path)
					if _, err := c.StageRoot(t.Context()); err != nil {
						t.Fatal(err)
					}
					opens(t, "the gate, the next key staged", gate.keyring, sealed)
					if _, err := c.nextRoot(t.Context()); err != nil {
						t.Fatal(err)
					}
					if err := c.keyring.Rotate(t.Context(), c.store, "shop"); err != nil {
						t.Fatal(err)
					}
					opens(t, "the gate, one key rotated", gate.keyring, sealed)
					opens(t, "a new process, one key rotated", custody(t, path).keyring, sealed)
					if err := c.keyring.Rewrap(t.Context(), c.store); err != nil {
						t.Fatal(err)
					}
					opens(t, "a new process, all keys wrapped anew", custody(t, path).keyring, sealed)
				}
				done, err := custody(t, path).RotateData(t.Context())
				if err != nil || done.Keys != 2 || done.Wrapped != ks {
					t.Fatalf("%+v, %v", done, err)
				}
				after := fmt.Sprintf("after %d", round)
				sealed[after] = sealBy(t, custody(t, path).keyring, after)
				time.Sleep(30 * time.Millisecond) // a keyring asks the store at most every 20 ms
				opens(t, "the gate", gate.keyring, sealed)
				opens(t, "a new process", custody(t, path).keyring, sealed)
				mid := fmt.Sprintf("by the gate %d", round)
				sealed[mid] = sealBy(t, gate.keyring, mid)
			}
			opens(t, "a new process", custody(t, path).keyring, sealed)
			if !ks {
				return
			}
			c := custody(t, path)
			newest, err := c.ks.WrapKeys(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			alone, err := seal.NewRoot(newest[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := seal.Verify(t.Context(), c.store, alone); err != nil {
				t.Errorf("the newest wrapping key alone does not open all data keys: %v", err)
			}
			old, err := seal.NewRoot(c.root)
			if err != nil {
				t.Fatal(err)
			}
			if err := seal.Verify(t.Context(), c.store, old); err == nil {
				t.Error("the first root key still opens the data keys")
			}
		})
	}
}

// TestKeystoreKeyIsChangedUnderAGate: while both keys open the keystore, after the old one is
// gone, and after the keystore was written by the gate meanwhile.
func TestKeystoreKeyIsChangedUnderAGate(t *testing.T) {
	path, old := custodyNode(t, "", true)
	gate := startGate(t, path)
	ks := gate.secrets["keystore"].(*keystore.Store)
	ref := secret.Ref{Scheme: "keystore", Name: "shop/key"}
	tool, err := keystore.Open(gate.File().Keystore, old)
	if err != nil {
		t.Fatal(err)
	}
	if err := tool.Set(t.Context(), "shop/key", secret.NewValue([]byte("value"))); err != nil {
		t.Fatal(err)
	}
	fresh, err := keystore.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := tool.StageKey(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	read := func(when string) {
		t.Helper()
		if _, err := gate.secrets.Read(t.Context(), ref); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
	}
	read("both keys open it")
	if err := ks.Set(t.Context(), "shop/other", secret.NewValue([]byte("x"))); err != nil { // the gate's process writes with the old key
		t.Fatal(err)
	}
	second, err := keystore.Open(gate.File().Keystore, fresh)
	if err != nil {
		t.Fatalf("the gate's write locked the new key out: %v", err)
	}
	if err := second.FinishKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := gate.secrets.Read(t.Context(), ref); !errors.Is(err, keystore.ErrWrongKey) {
		t.Fatalf("with the old key alone: %v", err)
	}
	write(t, os.Getenv("SALLYPORT_KEYSTORE_KEY_FILE")+".next", string(fresh.Expose()))
	read("the new key lies beside the old one")
	if err := os.Rename(os.Getenv("SALLYPORT_KEYSTORE_KEY_FILE")+".next", os.Getenv("SALLYPORT_KEYSTORE_KEY_FILE")); err != nil {
		t.Fatal(err)
	}
	read("the new key has taken the old one's place")
}

// TestSessionKeyIsRotatedOverTwoGates: nobody's visit ends when the signing key is rotated, over
// two gates on one PostgreSQL; all end when it is replaced.
func TestSessionKeyIsRotatedOverTwoGates(t *testing.T) {
	db := servers.StartPostgres(t, servers.PostgresOptions{})
	redis := servers.StartRedis(t)
	name := db.Database(t)
	root := []byte(strings.Repeat("r", 32))
	var gates []*Gate
	var paths []string
	for range 2 {
		path, _ := custodyNode(t, fmt.Sprintf("store: {url: %q, password: \"file:pg-password\"}\nshared_state: {url: %q, password: \"file:redis-password\"}",
			db.URL(name), redis.URL()), false)
		dir := filepath.Dir(path)
		write(t, filepath.Join(dir, "pg-password"), db.Password)
		write(t, filepath.Join(dir, "redis-password"), redis.Password)
		if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "data", "root.key"), string(root))
		paths, gates = append(paths, path), append(gates, startGate(t, path))
	}
	token := visit(t, gates[0])
	calls := func(when string, want int) {
		t.Helper()
		for i, g := range gates {
			if status, body := request(t, g, "GET", "/shop/api/polls/accounts", token); status != want {
				t.Errorf("%s: gate %d answers %d %s", when, i, status, body)
			}
		}
	}
	calls("before", http.StatusOK)
	sealed := map[string][]byte{"before": sealBy(t, gates[0].keyring, "before")}
	if done, err := custody(t, paths[0]).RotateData(t.Context()); err != nil || done.Keys < 2 || done.Wrapped {
		t.Fatalf("%+v, %v", done, err)
	}
	sealed["after"] = sealBy(t, custody(t, paths[1]).keyring, "after")
	time.Sleep(30 * time.Millisecond)
	for i, g := range gates {
		opens(t, fmt.Sprintf("gate %d", i), g.keyring, sealed)
	}
	from, err := custody(t, paths[0]).RotateSessions(t.Context())
	if err != nil || !from.After(time.Now()) {
		t.Fatalf("%s, %v", from, err)
	}
	for i, g := range gates {
		if err := g.keys.Refresh(t.Context()); err != nil { // as each does every minute
			t.Fatalf("gate %d: %v", i, err)
		}
	}
	calls("the next key is published", http.StatusOK)
	if a, b := gates[0].keys.JWKS(), gates[1].keys.JWKS(); strings.Count(string(a), `"kid"`) != 2 || string(a) != string(b) {
		t.Errorf("the published sets: %s and %s", a, b)
	}
	if err := custody(t, paths[1]).ReplaceSessions(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls("the signing keys are replaced", http.StatusUnauthorized)
	token = visit(t, gates[1])
	calls("a new visit", http.StatusOK)
}
