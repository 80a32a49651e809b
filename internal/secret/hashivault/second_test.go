package hashivault_test

import (
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/secret/hashivault"
)

// TestTheVersionBeforeIsTheSecondValue: of a KV v2 secret, for a day; not of one that names its
// version, that never changed, whose version before is gone, or that lies in KV v1.
func TestTheVersionBeforeIsTheSecondValue(t *testing.T) {
	t.Parallel()
	v, m := shop(t)
	v.KV(t, "one-"+m, "1")
	v.Policy(t, "one-"+m, `path "one-`+m+`/*" { capabilities = ["read"] }`)
	v.Do(t, "PUT", "one-"+m+"/shop/twice", map[string]any{"key": "one"})
	v.Do(t, "PUT", "one-"+m+"/shop/twice", map[string]any{"key": "two"})
	v.Put(t, m, "shop/gone", map[string]any{"key": "one"})
	v.Put(t, m, "shop/gone", map[string]any{"key": "two"})
	v.Do(t, "POST", m+"/destroy/shop/gone", map[string]any{"versions": []int{1}})
	v.Put(t, m, "shop/removed", map[string]any{"key": "one", "other": "x"})
	v.Put(t, m, "shop/removed", map[string]any{"key": "two", "fresh": "y"})
	var later atomic.Int64
	s := open(t, hashivault.Options{Address: v.URL, Auth: byToken(), Secrets: keep("TOKEN", v.Token(t, map[string]any{"policies": []string{"shop-" + m, "one-" + m}})),
		TTL: time.Hour, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
	told := run(t, s)
	second := func(name, value string) {
		t.Helper()
		got, err := s.Second(t.Context(), secret.Ref{Scheme: "vault", Name: name})
		if err != nil || string(got.Expose()) != value {
			t.Errorf("%s: %q, %v; want %q", name, got.Expose(), err, value)
		}
	}
	second(m+"/shop/stripe#secret_key", "") // there is one version
	v.Put(t, m, "shop/stripe", map[string]any{"secret_key": "second"})
	want(t, s, m+"/shop/stripe#secret_key", "first") // remembered: so the version before is not asked for either
	second(m+"/shop/stripe#secret_key", "")
	time.Sleep(1100 * time.Millisecond) // a new value is asked for once a second at most
	if got, err := s.Read(secret.Anew(t.Context()), secret.Ref{Scheme: "vault", Name: m + "/shop/stripe#secret_key"}); err != nil || string(got.Expose()) != "second" {
		t.Fatalf("%q, %v", got.Expose(), err)
	}
	for range 2 {
		second(m+"/shop/stripe#secret_key", "first")
	}
	second(m+"/shop/stripe?version=2#secret_key", "")
	second(m+"/shop/gone#key", "")
	second(m+"/shop/removed#key", "one")
	second(m+"/shop/removed#fresh", "")
	second("one-"+m+"/shop/twice#key", "")
	later.Store(int64(hashivault.SecondFor - time.Minute))
	second(m+"/shop/stripe#secret_key", "first")
	later.Store(int64(hashivault.SecondFor))
	second(m+"/shop/stripe#secret_key", "")
	if told.has(hashivault.Missing, false) {
		t.Error("a version before that is not there was told of as trouble")
	}
}
