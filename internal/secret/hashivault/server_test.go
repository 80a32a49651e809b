package hashivault_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/outbound"
	"sallyport/internal/secret"
	"sallyport/internal/secret/hashivault"
	"sallyport/test/servers"
)

// held is a secret.Source whose values a test changes.
type held struct {
	mu     sync.Mutex
	values map[string]string
}

func (h *held) Read(_ context.Context, ref secret.Ref) (secret.Value, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v := h.values[ref.Name]; v != "" {
		return secret.NewValue([]byte(v)), nil
	}
	return secret.Value{}, secret.ErrNotFound
}

func (h *held) set(name, value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values[name] = value
}

func keep(pairs ...string) *held {
	h := &held{values: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		h.values[pairs[i]] = pairs[i+1]
	}
	return h
}

func env(name string) secret.Ref { return secret.Ref{Scheme: "env", Name: name} }

func byToken() hashivault.Auth {
	return hashivault.Auth{Method: hashivault.Token, Token: env("TOKEN")}
}

func byRole() hashivault.Auth {
	return hashivault.Auth{Method: hashivault.AppRole, RoleID: env("ROLE"), SecretID: env("SECRET")}
}

func transport() *outbound.Dialer {
	return outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyInfrastructure})
}

func open(t *testing.T, o hashivault.Options) *hashivault.Source {
	t.Helper()
	if o.Transport == nil {
		o.Transport = transport().Transport(nil)
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	s, err := hashivault.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func read(t *testing.T, s *hashivault.Source, name string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	v, err := s.Read(ctx, secret.Ref{Scheme: "vault", Name: name})
	if err == nil && v.Empty() {
		t.Errorf("%s: an empty value without an error", name)
	}
	return string(v.Expose()), err
}

func want(t *testing.T, s *hashivault.Source, name, value string) {
	t.Helper()
	if got, err := read(t, s, name); err != nil || got != value {
		t.Errorf("%s = %q, %v; want %q", name, got, err, value)
	}
}

func wantKind(t *testing.T, s *hashivault.Source, name string, kind hashivault.Kind, words ...string) {
	t.Helper()
	got, err := read(t, s, name)
	var f *hashivault.Failure
	if !errors.As(err, &f) || f.Kind != kind {
		t.Errorf("%s = %q, %v; want a failure of kind %s", name, got, err, kind)
		return
	}
	for _, w := range words {
		if !strings.Contains(f.Text, w) {
			t.Errorf("%s: %q does not say %q", name, f.Text, w)
		}
	}
}

func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

const shopPolicy = `path "kv/data/shop/*" { capabilities = ["read"] }
path "kv1/*" { capabilities = ["read"] }
path "leased/*" { capabilities = ["read"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "transit/*" { capabilities = ["update"] }`

// shop gives the shared Vault with a KV v2 secret and a policy that reads it.
func shop(t *testing.T) (v *servers.Vault, mount string) {
	t.Helper()
	return stocked(t, servers.SharedVault(t))
}

// stocked gives a Vault a mount of its own.
func stocked(t *testing.T, v *servers.Vault) (*servers.Vault, string) {
	t.Helper()
	mount := "kv-" + strings.ToLower(rand.Text()[:8])
	v.KV(t, mount, "2")
	v.Put(t, mount, "shop/stripe", map[string]any{"secret_key": "first", "number": 42, "empty": "", "tree": map[string]any{"a": 1}})
	v.Policy(t, "shop-"+mount, strings.ReplaceAll(shopPolicy, "kv/", mount+"/"))
	return v, mount
}

// wire is a way to Vault that can be cut.
type wire struct {
	net.Listener
	to    string
	mu    sync.Mutex
	conns map[net.Conn]bool
	cut   bool
	seen  atomic.Int64
}

func between(t *testing.T, url string) (string, *wire) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, to: strings.TrimPrefix(url, "http://"), conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { w.carry(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); w.Cut(true); all.Wait() })
	return "http://" + l.Addr().String(), w
}

func (w *wire) carry(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer out.Close()
	w.mu.Lock()
	if w.cut {
		w.mu.Unlock()
		return
	}
	w.conns[in], w.conns[out] = true, true
	w.mu.Unlock()
	defer func() { w.mu.Lock(); delete(w.conns, in); delete(w.conns, out); w.mu.Unlock() }()
	done := make(chan struct{}, 2)
	pipe := func(to, from net.Conn, count bool) {
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			if count && n > 0 {
				w.seen.Add(1)
			}
			if n > 0 {
				if _, err := to.Write(buf[:n]); err != nil {
					break
				}
			}
			if err != nil {
				break
			}
		}
		done <- struct{}{}
	}
	go pipe(out, in, true)
	go pipe(in, out, false)
	<-done
	_, _ = in.Close(), out.Close()
	<-done
}

// Cut cuts all connections and lets none come about, or ends that.
func (w *wire) Cut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for c := range w.conns {
			_ = c.Close()
		}
	}
}

// run runs a source until the test ends.
func run(t *testing.T, s *hashivault.Source) *tale {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l, done := &tale{}, make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx, func(tr hashivault.Trouble) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.all = append(l.all, tr)
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return l
}
