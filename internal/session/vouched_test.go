package session_test

import (
	"fmt"
	"testing"
	"time"

	"sallyport/internal/session"
)

func TestRaisedVisitStaysTheSameVisit(t *testing.T) {
	g := newGate(t)
	old := g.mint(t)
	if old.Session.Vouched != session.ByNobody {
		t.Fatalf("a new visit is vouched for by %s", old.Session.Vouched)
	}
	g.clock.advance(14 * time.Minute)
	m, err := g.issuer.Raise(old.Session, session.ByWork)
	must(t, err)
	s, err := g.verifier.Verify(m.Token, shop, origin)
	if err != nil || s != m.Session || s.ID != old.Session.ID || s.Vouched != session.ByWork || !s.ExpiresAt.Equal(old.Session.ExpiresAt) {
		t.Fatalf("raised to %+v, %v; want the visit of %+v by work", s, err, old.Session)
	}
	if s, err := g.verifier.Verify(old.Token, shop, origin); err != nil || s.Vouched != session.ByNobody {
		t.Errorf("the old token says %s, %v", s.Vouched, err)
	}
	_, err = g.verifier.Verify(m.Token, "blog", origin)
	refusedAlike(t, "raised token on another site", err)
	_, err = g.verifier.Verify(m.Token, shop, "https://evil.example")
	refusedAlike(t, "raised token on another origin", err)

	must(t, g.verifier.Revoke(t.Context(), old.Session)) // with the old token
	_, err = g.verifier.Verify(m.Token, shop, origin)
	refusedAlike(t, "raised token of an ended visit", err)
}

func TestEvidenceOnlyRaises(t *testing.T) {
	g := newGate(t)
	s := g.mint(t).Session
	for _, step := range []struct{ by, want session.Vouched }{
		{session.ByWork, session.ByWork}, {session.ByBackend, session.ByBackend},
		{session.ByChallenge, session.ByBackend}, {session.ByWork, session.ByBackend},
	} {
		m, err := g.issuer.Raise(s, step.by)
		must(t, err)
		if s, err = g.verifier.Verify(m.Token, shop, origin); err != nil || s.Vouched != step.want {
			t.Fatalf("raised by %s: %s, %v; want %s", step.by, s.Vouched, err, step.want)
		}
	}
	for _, by := range []session.Vouched{session.ByNobody, -1, session.ByBackend + 1} {
		if m, err := g.issuer.Raise(s, by); err == nil || m.Token != "" {
			t.Errorf("raised by %d", by)
		}
	}
	if _, err := g.issuer.Raise(session.Session{}, session.ByWork); err == nil {
		t.Error("a session that nobody verified was raised")
	}
	g.clock.advance(session.MaxTTL)
	_, err := g.issuer.Raise(s, session.ByBackend)
	refusedAlike(t, "raising an expired visit", err)
}

func TestVouchedClaimIsReadStrictly(t *testing.T) {
	g := newGate(t)
	key := g.plant(t, kid)
	now := g.clock.now()
	for claim, want := range map[string]session.Vouched{"": session.ByNobody, `"work"`: session.ByWork, `"challenge"`: session.ByChallenge, `"backend"`: session.ByBackend} {
		s, err := g.verifier.Verify(token(key, goodHeader(), payload(now, map[string]string{"vouched": claim})), shop, origin)
		if err != nil || s.Vouched != want {
			t.Errorf("claim %s: %s, %v; want %s", claim, s.Vouched, err, want)
		}
	}
	for _, claim := range []string{`""`, `"nobody"`, `"login"`, `"Backend"`, `3`, `true`, `null`, `["backend"]`, `"backend ","vouched":"backend"`} {
		_, err := g.verifier.Verify(token(key, goodHeader(), payload(now, map[string]string{"vouched": claim})), shop, origin)
		refusedAlike(t, fmt.Sprintf("claim %s", claim), err)
	}
}
