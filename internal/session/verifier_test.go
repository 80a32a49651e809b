package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

func code(err error) problem.Code {
	var p *problem.Error
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

func TestMintedTokenHoldsForItsSiteAndOriginOnly(t *testing.T) {
	g := newGate(t)
	m := g.mint(t)
	if len(m.Token) > session.MaxTokenLength/2 {
		t.Errorf("a token has %d bytes: too near to the cap", len(m.Token))
	}
	for range 2 { // verified, then found in the cache
		s, err := g.verifier.Verify(m.Token, shop, origin)
		if err != nil || s != m.Session {
			t.Fatalf("Verify = %+v, %v; want %+v", s, err, m.Session)
		}
		for name, at := range map[string]struct {
			site   string
			origin site.Origin
		}{
			"another site": {"blog", origin}, "another origin": {shop, "https://shop.example.evil.example"},
			"another scheme": {shop, "http://shop.example"}, "no origin": {shop, ""}, "no site": {"", origin}, "null origin": {shop, "null"},
		} {
			_, err := g.verifier.Verify(m.Token, at.site, at.origin)
			refusedAlike(t, name, err)
		}
	}
}

func TestTokenEnds(t *testing.T) {
	g := newGate(t)
	for _, ask := range []time.Duration{0, time.Minute, time.Hour, -1} {
		m, err := g.issuer.Mint(t.Context(), session.Request{Site: shop, Origin: origin, Client: client, TTL: ask})
		must(t, err)
		life := m.Session.ExpiresAt.Sub(m.Session.IssuedAt)
		if want := session.MaxTTL; ask == time.Minute && life != ask || ask != time.Minute && life != want {
			t.Errorf("asked for %s, got %s", ask, life)
		}
		if _, err := g.verifier.Verify(m.Token, shop, origin); err != nil {
			t.Error(err)
		}
		g.clock.advance(life - time.Nanosecond)
		if _, err := g.verifier.Verify(m.Token, shop, origin); err != nil {
			t.Errorf("refused before its end: %v", err)
		}
		g.clock.advance(time.Nanosecond)
		_, err = g.verifier.Verify(m.Token, shop, origin)
		refusedAlike(t, "at its end", err)
	}
}

func TestIdsDoNotRepeat(t *testing.T) {
	g := newGate(t)
	seen := map[string]bool{}
	for i := range 50 {
		m, err := g.issuer.Mint(t.Context(), session.Request{Site: shop, Origin: origin, Client: netip.AddrFrom4([4]byte{10, 0, byte(i), 1})})
		must(t, err)
		for _, id := range []string{m.Session.ID, m.Session.TokenID, m.Token} {
			if seen[id] || len(id) < 22 {
				t.Fatalf("%q came twice or is too short", id)
			}
			seen[id] = true
		}
	}
}

func TestMintIsLimited(t *testing.T) {
	g := newGate(t)
	limited := func(opt session.IssuerOptions) *session.Issuer {
		opt.Name, opt.Keys, opt.Now, opt.Limiter = issuerName, g.keys, g.clock.now, ratelimit.New(1<<10)
		i, err := session.NewIssuer(opt)
		must(t, err)
		return i
	}
	count := func(i *session.Issuer, siteOf func(int) string, addr func(int) netip.Addr) (passed int) {
		for n := range 40 {
			m, err := i.Mint(t.Context(), session.Request{Site: siteOf(n), Origin: origin, Client: addr(n)})
			switch {
			case err == nil:
				passed++
			case code(err) != problem.RateLimited || m.Token != "" || m.Decision.RetryAfter <= 0:
				t.Fatalf("mint %d: %+v, %v; want a refusal with a wait and no token", n, m, err)
			}
		}
		return passed
	}
	one := func(int) string { return shop }
	many := func(n int) string { return fmt.Sprint("site", n) }
	prefix := session.IssuerOptions{PerPrefix: ratelimit.Rule{Calls: 10, Window: time.Minute, Per: ratelimit.PerPrefix}}
	v4 := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}) }
	v6 := func(n int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, byte(n), 15: byte(n)})
	}
	if n := count(limited(prefix), many, v4); n != 10 {
		t.Errorf("one /24, many sites: %d passed, want 10", n)
	}
	if n := count(limited(prefix), one, v6); n != 10 {
		t.Errorf("one /56: %d passed, want 10", n)
	}
	perSite := session.IssuerOptions{PerSite: ratelimit.Rule{Calls: 1, Window: time.Minute, Per: ratelimit.PerSite}}
	if n := count(limited(perSite), one, func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n), 1}) }); n != 21 {
		t.Errorf("one site, many networks: %d passed; want what is ordinary and then twenty times as much, 21", n)
	}
}

func TestRevocationHoldsAtOnceAndAfterARestart(t *testing.T) {
	g := newGate(t)
	ended, other := g.mint(t), g.mint(t)
	for _, m := range []session.Minted{ended, other} {
		if _, err := g.verifier.Verify(m.Token, shop, origin); err != nil {
			t.Fatal(err)
		}
	}
	must(t, g.verifier.Revoke(t.Context(), ended.Session))
	for name, v := range map[string]*session.Verifier{"this process": g.verifier, "a new process": g.openVerifier(t, g.keys)} {
		_, err := v.Verify(ended.Token, shop, origin)
		refusedAlike(t, name, err)
		if _, err := v.Verify(other.Token, shop, origin); err != nil {
			t.Errorf("%s: another visit ended too: %v", name, err)
		}
	}
}

func TestRevocationReachesOtherProcesses(t *testing.T) {
	g := newGate(t)
	other := g.openVerifier(t, g.keys)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- other.Run(ctx) }()
	m := g.mint(t)
	must(t, g.verifier.Revoke(t.Context(), m.Session))
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := other.Verify(m.Token, shop, origin); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the other process still accepts the token after two seconds")
		}
	}
	stop()
	must(t, <-done)
}

// brokenRevocations fails where the real store stands behind.
type brokenRevocations struct{ session.RevocationStore }

func (brokenRevocations) CreateRevocation(context.Context, session.Revocation) error {
	return errors.New("disk full at /var/lib/x")
}

func TestRevocationThatCannotBeStored(t *testing.T) {
	g := newGate(t)
	v, err := session.OpenVerifier(t.Context(), session.VerifierOptions{
		Name: issuerName, Keys: g.keys, Store: brokenRevocations{g.store}, Now: g.clock.now})
	must(t, err)
	m := g.mint(t)
	err = v.Revoke(t.Context(), m.Session)
	if code(err) != problem.StoreUnavailable || strings.Contains(string(problem.From(err).Document("")), "disk") {
		t.Errorf("Revoke: %v; want store_unavailable without the inner error", err)
	}
	_, err = v.Verify(m.Token, shop, origin)
	refusedAlike(t, "ended here although not stored", err)
}

// forge changes one character in the middle of the signature.
func forge(token string) string {
	i, c := len(token)-40, "A"
	if token[i] == 'A' {
		c = "B"
	}
	return token[:i] + c + token[i+1:]
}

// TestVerifyFromManyGoroutines mixes good, forged and ended tokens.
func TestVerifyFromManyGoroutines(t *testing.T) {
	g := newGate(t)
	var minted []session.Minted
	for i := range 40 {
		m, err := g.issuer.Mint(t.Context(), session.Request{Site: shop, Origin: origin, Client: netip.AddrFrom4([4]byte{10, 1, byte(i), 1})})
		must(t, err)
		minted = append(minted, m)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 400 {
				m := minted[(i+w)%len(minted)]
				if s, err := g.verifier.Verify(m.Token, shop, origin); err == nil && s != m.Session {
					t.Errorf("token of %s gave %s", m.Session.ID, s.ID)
				}
				if _, err := g.verifier.Verify(forge(m.Token), shop, origin); err == nil {
					t.Error("a forged token passed")
				}
				if i == 200 && w == 0 {
					if err := g.verifier.Revoke(context.Background(), minted[0].Session); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	_, err := g.verifier.Verify(minted[0].Token, shop, origin)
	refusedAlike(t, "the ended visit", err)
}

func TestIncompleteOptionsAndRequests(t *testing.T) {
	g := newGate(t)
	if _, err := session.NewIssuer(session.IssuerOptions{Name: "x", Keys: g.keys, Now: g.clock.now}); err == nil {
		t.Error("an issuer without a limiter was made")
	}
	if _, err := session.OpenVerifier(t.Context(), session.VerifierOptions{Name: "x", Keys: g.keys, Now: g.clock.now}); err == nil {
		t.Error("a verifier without a store was made")
	}
	for _, r := range []session.Request{{}, {Site: shop}, {Origin: origin}} {
		if m, err := g.issuer.Mint(t.Context(), r); err == nil || m.Token != "" {
			t.Errorf("Mint(%+v) = %+v, %v", r, m, err)
		}
	}
}

func BenchmarkVerifyCached(b *testing.B) {
	g := newGate(b)
	tok := g.mint(b).Token
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.verifier.Verify(tok, shop, origin); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyFirst(b *testing.B) {
	g := newGate(b)
	tok := g.mint(b).Token
	bad := forge(tok)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.verifier.Verify(bad, shop, origin); err == nil {
			b.Fatal("accepted")
		}
	}
}
