package session_test

import (
	"testing"
	"time"

	"sallyport/internal/session"
)

func (g *gate) signIn(t *testing.T, lasts time.Duration) session.Minted {
	t.Helper()
	m, err := g.issuer.Mint(t.Context(), session.Request{Site: shop, Origin: origin, Client: client,
		Login: session.Login{ID: "login-1", Subject: "ada", Ends: g.clock.now().Add(lasts)}})
	must(t, err)
	return m
}

func TestLoginStaysWithItsVisit(t *testing.T) {
	g := newGate(t)
	m := g.signIn(t, time.Hour)
	s, err := g.verifier.Verify(m.Token, shop, origin)
	must(t, err)
	if s.Vouched != session.ByLogin || s.Login.ID != "login-1" || s.Login.Subject != "ada" || !s.Login.Ends.Equal(g.clock.now().Add(time.Hour)) {
		t.Fatalf("%+v", s)
	}
	raised, err := g.issuer.Raise(s, session.ByWork)
	must(t, err)
	if r, err := g.verifier.Verify(raised.Token, shop, origin); err != nil || r.Vouched != session.ByLogin || r.Login != s.Login {
		t.Errorf("raised by work: %+v, %v", r, err)
	}
	raised, err = g.issuer.Raise(s, session.ByBackend)
	must(t, err)
	if r, err := g.verifier.Verify(raised.Token, shop, origin); err != nil || r.Vouched != session.ByBackend || r.Login != s.Login {
		t.Errorf("raised by the backend: %+v, %v", r, err)
	}
	for range 4 { // renewed up to the end of the sign-in, and no further
		g.clock.advance(14 * time.Minute)
		if m, err = g.issuer.Renew(s, 0); err != nil {
			t.Fatal(err)
		}
		if s, err = g.verifier.Verify(m.Token, shop, origin); err != nil || s.Vouched != session.ByLogin || s.ExpiresAt.After(s.Login.Ends) {
			t.Fatalf("renewed: %+v, %v", s, err)
		}
	}
	g.clock.advance(4 * time.Minute)
	_, err = g.verifier.Verify(m.Token, shop, origin)
	refusedAlike(t, "after the end of the sign-in", err)
	if _, err := g.issuer.Renew(s, 0); err == nil {
		t.Error("renewed after the end of the sign-in")
	}
}

func TestSigningOutEndsAllVisits(t *testing.T) {
	g := newGate(t)
	one, two, stranger := g.signIn(t, time.Hour), g.signIn(t, time.Hour), g.mint(t)
	other := g.openVerifier(t, g.keys) // another process on the same store
	for _, m := range []session.Minted{one, two} {
		_, err := other.Verify(m.Token, shop, origin)
		must(t, err)
	}
	must(t, g.verifier.RevokeLogin(t.Context(), "login-1"))
	must(t, other.Sync(t.Context()))
	for name, v := range map[string]*session.Verifier{"here": g.verifier, "there": other} {
		for _, m := range []session.Minted{one, two} {
			_, err := v.Verify(m.Token, shop, origin)
			refusedAlike(t, name, err)
		}
		if _, err := v.Verify(stranger.Token, shop, origin); err != nil {
			t.Errorf("%s: a visit of nobody ended too: %v", name, err)
		}
	}
}

func TestLoginThatIsOverBeginsNothing(t *testing.T) {
	g := newGate(t)
	_, err := g.issuer.Mint(t.Context(), session.Request{Site: shop, Origin: origin, Client: client, Login: session.Login{ID: "l", Subject: "s", Ends: g.clock.now()}})
	refusedAlike(t, "a login that is over", err)
}
