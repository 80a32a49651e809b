package permit_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"sallyport/internal/jws"
	"sallyport/internal/permit"
	"sallyport/internal/session"
)

// keys are the live site keys; asked counts the look-ups.
type keys struct {
	mu    sync.Mutex
	live  map[string]session.StoredKey
	asked int
	err   error
}

func (k *keys) PermitKey(_ context.Context, key ed25519.PublicKey) (session.StoredKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if k.err != nil {
		return session.StoredKey{}, k.err
	}
	if stored, ok := k.live[string(key)]; ok {
		return stored, nil
	}
	return session.StoredKey{}, fmt.Errorf("look: %w", session.ErrKeyNotFound)
}

func (k *keys) add(id, connection string) ed25519.PrivateKey {
	public, private, _ := ed25519.GenerateKey(nil) // never fails
	k.live[string(public)] = session.StoredKey{ID: id, Site: "shop", Connection: connection, PermitKey: public}
	return private
}

type desk struct {
	*permit.Reader
	keys *keys
	now  time.Time
}

func open(t testing.TB) *desk {
	t.Helper()
	d := &desk{keys: &keys{live: map[string]session.StoredKey{}}, now: time.Unix(1_800_000_000, 0)}
	var err error
	if d.Reader, err = permit.NewReader(permit.Options{Keys: d.keys, Now: func() time.Time { return d.now }, CacheEntries: 64}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) sign(t testing.TB, typ string, key ed25519.PrivateKey, change ...any) string {
	t.Helper()
	claims := map[string]any{"jti": "p-1", "site": "shop", "session": "v-1", "exp": d.now.Unix() + 300}
	if typ == permit.Type {
		for name, v := range map[string]any{"connection": "payments", "mode": "live", "operation": "pay", "origin": "https://shop.example",
			"sealed": map[string]any{"amount": 1900}, "uses": 1, "nbf": d.now.Unix()} {
			claims[name] = v
		}
	}
	for i := 0; i+1 < len(change); i += 2 {
		name, _ := change[i].(string)
		claims[name] = change[i+1]
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := key.Public().(ed25519.PublicKey)
	return jws.Sign(typ, base64.RawURLEncoding.EncodeToString(public), key, payload)
}

func reason(err error) string {
	var r *permit.Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return fmt.Sprint(err)
}

// TestRememberedPermitStillEnds: a permit that was verified before is refused once it has
// expired or its key is gone, and works again for nobody.
func TestRememberedPermitStillEnds(t *testing.T) {
	d := open(t)
	key := d.keys.add("key_a", "")
	token := d.sign(t, permit.Type, key)
	for range 3 {
		if p, err := d.ReadPermit(t.Context(), token); err != nil || p.KeyID != "key_a" || p.ID != "p-1" {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	d.keys.err = errors.New("store away")
	if _, err := d.ReadPermit(t.Context(), token); err == nil || reason(err) != "store away" {
		t.Errorf("without a store: %v", err)
	}
	d.keys.err = nil
	for at, want := range map[time.Duration]string{300 * time.Second: "expired", 299 * time.Second: "<nil>", -61 * time.Second: "early"} {
		began := d.now
		d.now = d.now.Add(at)
		if _, err := d.ReadPermit(t.Context(), token); reason(err) != want {
			t.Errorf("after %s: %v, want %s", at, err, want)
		}
		d.now = began
	}
	clear(d.keys.live)
	if _, err := d.ReadPermit(t.Context(), token); reason(err) != "key" {
		t.Errorf("the key is gone: %v", err)
	}
}

// TestKeyOfOneConnection: it signs permits for that one, and vouches for nobody.
func TestKeyOfOneConnection(t *testing.T) {
	d := open(t)
	whole, bound := d.keys.add("key_a", ""), d.keys.add("key_b", "payments")
	for _, row := range []struct {
		name string
		key  ed25519.PrivateKey
		conn string
		want string
	}{{"all", whole, "sms", "<nil>"}, {"its own", bound, "payments", "<nil>"}, {"another", bound, "sms", "connection"}} {
		if _, err := d.ReadPermit(t.Context(), d.sign(t, permit.Type, row.key, "connection", row.conn)); reason(err) != row.want {
			t.Errorf("%s: %v, want %s", row.name, err, row.want)
		}
	}
	if _, err := d.ReadVoucher(t.Context(), d.sign(t, permit.VoucherType, bound), "shop", "v-1"); reason(err) != "connection" {
		t.Errorf("a voucher of a key for one connection: %v", err)
	}
}

func TestVoucher(t *testing.T) {
	d := open(t)
	key := d.keys.add("key_a", "")
	for _, row := range []struct {
		name, site, visit string
		change            []any
		want              string
	}{
		{"good", "shop", "v-1", nil, "<nil>"},
		{"another site", "blog", "v-1", nil, "site"},
		{"signed for another site", "blog", "v-1", []any{"site", "blog"}, "site"},
		{"another visit", "shop", "v-2", nil, "session"},
		{"no visit", "shop", "", nil, "session"},
		{"any", "shop", "v-1", []any{"session", permit.AnySession}, "session"},
		{"expired", "shop", "v-1", []any{"exp", d.now.Unix()}, "expired"},
		{"too long", "shop", "v-1", []any{"exp", d.now.Unix() + 961}, "lifetime"},
		{"a claim more", "shop", "v-1", []any{"level", "login"}, "claims"},
	} {
		if _, err := d.ReadVoucher(t.Context(), d.sign(t, permit.VoucherType, key, row.change...), row.site, row.visit); reason(err) != row.want {
			t.Errorf("%s: %v, want %s", row.name, err, row.want)
		}
	}
	if _, err := d.ReadVoucher(t.Context(), d.sign(t, permit.Type, key), "shop", "v-1"); reason(err) != "malformed" {
		t.Errorf("a permit passes for a voucher: %v", err)
	}
	if _, err := d.ReadPermit(t.Context(), d.sign(t, permit.VoucherType, key)); reason(err) != "malformed" {
		t.Errorf("a voucher passes for a permit: %v", err)
	}
}

// TestReaderFromManyGoroutines: one reader, permits of several keys, more than it remembers.
func TestReaderFromManyGoroutines(t *testing.T) {
	d := open(t)
	key := d.keys.add("key_a", "")
	var tokens []string
	for i := range 200 {
		tokens = append(tokens, d.sign(t, permit.Type, key, "jti", fmt.Sprintf("p-%d", i)))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i, token := range tokens {
				if p, err := d.ReadPermit(context.Background(), token); err != nil || p.ID != fmt.Sprintf("p-%d", i) {
					t.Errorf("%d: %+v, %v", i, p, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestOptions(t *testing.T) {
	for _, o := range []permit.Options{{}, {Keys: &keys{}}, {Now: time.Now}} {
		if _, err := permit.NewReader(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// BenchmarkReadPermit is a permit that was seen before, as a page with several uses has it.
func BenchmarkReadPermit(b *testing.B) {
	d := open(b)
	token := d.sign(b, permit.Type, d.keys.add("key_a", ""))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.ReadPermit(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadPermitFirst is a permit that nobody has seen.
func BenchmarkReadPermitFirst(b *testing.B) {
	d := open(b)
	key := d.keys.add("key_a", "")
	tokens := make([]string, 4096)
	for i := range tokens {
		tokens[i] = d.sign(b, permit.Type, key, "jti", fmt.Sprintf("p-%d", i))
	}
	for i := 0; b.Loop(); i++ {
		if _, err := d.ReadPermit(b.Context(), tokens[i%len(tokens)]); err != nil {
			b.Fatal(err)
		}
	}
}
