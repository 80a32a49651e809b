package session_test

import (
	"testing"
	"time"

	"sallyport/internal/session"
)

func TestRenewedVisitStaysTheSameVisit(t *testing.T) {
	g := newGate(t)
	first := g.mint(t)
	raised, err := g.issuer.Raise(first.Session, session.ByBackend)
	must(t, err)
	g.clock.advance(10 * time.Minute)
	m, err := g.issuer.Renew(raised.Session, 0)
	must(t, err)
	s, err := g.verifier.Verify(m.Token, shop, origin)
	if err != nil || s != m.Session || s.ID != first.Session.ID || !s.Since.Equal(first.Session.Since) || !s.ExpiresAt.Equal(g.clock.now().Add(session.MaxTTL)) {
		t.Fatalf("renewed to %+v, %v; want the visit of %+v for %s more", s, err, first.Session, session.MaxTTL)
	}
	if s.Vouched != session.ByNobody {
		t.Errorf("evidence of the token before went over: %s", s.Vouched)
	}
	_, err = g.verifier.Verify(m.Token, "blog", origin)
	refusedAlike(t, "renewed token on another site", err)

	again, err := g.issuer.Raise(s, session.ByWork)
	must(t, err)
	if again.Session.Since != s.Since {
		t.Errorf("a raised visit began at %s, not %s", again.Session.Since, s.Since)
	}
	must(t, g.verifier.Revoke(t.Context(), first.Session)) // with the first token, which is still good
	for name, token := range map[string]string{"renewed": m.Token, "raised again": again.Token} {
		_, err = g.verifier.Verify(token, shop, origin)
		refusedAlike(t, name+" token of an ended visit", err)
	}
	g.clock.advance(session.MaxTTL - time.Second) // the renewed token's last second
	_, err = g.verifier.Verify(m.Token, shop, origin)
	refusedAlike(t, "renewed token of a visit that was ended long before", err)
}

// TestVisitEnds: however often it is renewed, and whatever the clock does.
func TestVisitEnds(t *testing.T) {
	g := newGate(t)
	m := g.mint(t)
	began := g.clock.now()
	for {
		g.clock.advance(10 * time.Minute)
		s, err := g.verifier.Verify(m.Token, shop, origin)
		if err != nil {
			t.Fatalf("after %s: %v", g.clock.now().Sub(began), err)
		}
		next, err := g.issuer.Renew(s, session.MaxTTL)
		must(t, err)
		if m = next; !m.Session.ExpiresAt.Before(began.Add(session.MaxVisit).Truncate(time.Second)) {
			break
		}
	}
	if lasts := m.Session.ExpiresAt.Sub(began); lasts > session.MaxVisit {
		t.Errorf("the visit lasts %s", lasts)
	}
	g.clock.advance(m.Session.ExpiresAt.Sub(g.clock.now()))
	_, err := g.verifier.Verify(m.Token, shop, origin)
	refusedAlike(t, "the last token, expired", err)
	_, err = g.issuer.Renew(m.Session, session.MaxTTL)
	refusedAlike(t, "renewing a visit that is over", err)
	if _, err := g.issuer.Renew(session.Session{}, 0); err == nil {
		t.Error("a session that nobody verified was renewed")
	}
}
