package redis

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/ratelimit"
	"sallyport/test/servers"
)

// TestRedisHoldsNoNames searches all of Redis for what a call was counted by.
func TestRedisHoldsNoNames(t *testing.T) {
	server := servers.StartRedis(t)
	node := opening{server: server, key: newKey(t)}.open(t)
	l := node.limiter(1)
	s := ratelimit.Subject{Site: "CANARYSITE", Connection: "CANARYCONN", Operation: "CANARYOP", Session: "CANARYVISIT", Client: netip.MustParseAddr("203.0.113.7")}
	for _, p := range []ratelimit.Per{ratelimit.PerSession, ratelimit.PerPrefix, ratelimit.PerSite, ratelimit.PerOperation, ratelimit.PerConnection} {
		take(t, l, l.Check(ratelimit.AtOperation, ratelimit.Rule{Calls: 5, Window: time.Hour, Per: p}, &s))
	}
	id := [32]byte([]byte("CANARYPROOFCANARYPROOFCANARYPROO"))
	if first, err := node.Once(time.Now).Use(t.Context(), id, time.Now().Add(time.Minute)); err != nil || !first {
		t.Fatal(first, err)
	}
	keys, err := node.client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) < 6 {
		t.Fatalf("%d keys, %v; want one per count", len(keys), err)
	}
	for _, k := range keys {
		value, err := node.client.Get(t.Context(), k).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"CANARY", "203.0.113", "\xcb\x00\x71"} {
			if strings.Contains(k+value, secret) {
				t.Errorf("%q = %q holds %q", k, value, secret)
			}
		}
		if life, err := node.client.PTTL(t.Context(), k).Result(); err != nil || life <= 0 || life > 2*time.Hour {
			t.Errorf("%q stays for %s, %v; all that is counted ends", k, life, err)
		}
		if !strings.HasPrefix(k, "sallyport:") {
			t.Errorf("%q is not under our name", k)
		}
	}
}

// TestInstallationsOnOneRedisDoNotMeet: two with other keys share nothing.
func TestInstallationsOnOneRedisDoNotMeet(t *testing.T) {
	server := servers.SharedRedis(t)
	rule := ratelimit.Rule{Calls: 1, Window: time.Hour, Per: ratelimit.PerSite}
	other := newKey(t)
	other[0] ^= 1
	for _, key := range [][]byte{newKey(t), other} {
		l := opening{server: server, key: key}.open(t).limiter(1)
		if d := take(t, l, l.Check(ratelimit.AtSite, rule, &ratelimit.Subject{Site: "shop"})); !d.Allowed {
			t.Errorf("%+v: another installation's count", d)
		}
	}
}

func TestUsedOnce(t *testing.T) {
	server, key := servers.SharedRedis(t), newKey(t)
	nodes := []*Once{opening{server: server, key: key}.open(t).Once(time.Now), opening{server: server, key: key}.open(t).Once(time.Now)}
	for name, until := range map[string]time.Time{"still good": time.Now().Add(time.Minute), "just over": time.Now().Add(-time.Second)} {
		var firsts atomic.Int64
		var work sync.WaitGroup
		id := [32]byte([]byte(name + strings.Repeat("-", 32)))
		for i := range 64 {
			work.Go(func() {
				if first, err := nodes[i%2].Use(t.Context(), id, until); err != nil {
					t.Error(err)
				} else if first {
					firsts.Add(1)
				}
			})
		}
		work.Wait()
		if firsts.Load() != 1 {
			t.Errorf("%s: %d were told that they are the first", name, firsts.Load())
		}
	}
}

func TestReturn(t *testing.T) {
	l := opening{server: servers.SharedRedis(t), key: newKey(t)}.open(t).limiter(1)
	checks := []ratelimit.Check{
		l.Check(ratelimit.AtSite, ratelimit.Rule{Calls: 5, Window: time.Hour, Per: ratelimit.PerSite}, &ratelimit.Subject{Site: "shop"}),
		l.Check(ratelimit.AtOperation, ratelimit.Rule{Calls: 2, Window: time.Hour, Per: ratelimit.PerSession}, &ratelimit.Subject{Session: "x"}),
	}
	l.Return(time.Now(), checks) // nothing was taken: nothing is gained
	for range 2 {
		if d, err := l.AllowAll(t.Context(), time.Now(), checks); err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
	}
	if d, _ := l.AllowAll(t.Context(), time.Now(), checks); d.Allowed {
		t.Error("a third of two, after giving back what was never taken")
	}
	l.Return(time.Now(), checks)
	if d, err := l.AllowAll(t.Context(), time.Now(), checks); err != nil || !d.Allowed {
		t.Errorf("one was given back: %+v, %v", d, err)
	}
	if d, _ := l.AllowAll(t.Context(), time.Now(), checks); d.Allowed {
		t.Error("one was given back, and two passed")
	}
}

// TestAUserOfItsOwn: the rights that docs/guide/more-than-one-node.md lists are enough, and
// without one of them the start says which are missing.
func TestAUserOfItsOwn(t *testing.T) {
	server := servers.StartRedis(t)
	rights := []any{"ACL", "SETUSER", "gate", "on", ">pw", "~sallyport:*", "+eval", "+evalsha", "+get", "+set", "+del", "+time", "+info", "+client|setname", "+select"}
	command(t, server, rights...)
	o := opening{server: server, key: newKey(t), password: "pw", change: func(o *Options) { o.User, o.Database = "gate", 1 }}
	node := o.open(t)
	l := node.limiter(1)
	c := l.Check(ratelimit.AtSite, ratelimit.Rule{Calls: 2, Window: time.Hour, Per: ratelimit.PerSite}, &ratelimit.Subject{Site: "shop"})
	take(t, l, c)
	l.Return(time.Now(), []ratelimit.Check{c})
	if first, err := node.Once(time.Now).Use(t.Context(), [32]byte{1}, time.Now()); !first || err != nil {
		t.Error(first, err)
	}
	if _, err := node.Away(); err != nil {
		t.Error(err)
	}
	if used, err := node.client.Get(t.Context(), node.prefix+"probe").Result(); err != nil || used != "1" {
		t.Error(used, err)
	}
	command(t, server, "ACL", "SETUSER", "gate", "-set")
	if s, err := Open(t.Context(), o.options()); err == nil || !strings.Contains(err.Error(), "may not do what is asked") {
		t.Errorf("%v, %v", s, err)
	}
}
