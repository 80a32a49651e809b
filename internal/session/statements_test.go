package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/receipt"
	"sallyport/internal/session"
)

// receipts remembers claims in memory.
type receipts map[string]bool

func (r receipts) ClaimReceipt(_ context.Context, c receipt.Claim) (bool, error) {
	first := !r[c.ID]
	r[c.ID] = true
	return first, nil
}
func (r receipts) PurgeReceipts(context.Context, time.Time) (int, error) { return 0, nil }

func openDesk(t *testing.T, g *gate) (*receipt.Issuer, *receipt.Desk) {
	t.Helper()
	o := receipt.Options{Name: issuerName, Keys: g.keys, Now: g.clock.now}
	issuer, err := receipt.NewIssuer(o)
	must(t, err)
	d, err := receipt.NewDesk(o, receipts{})
	must(t, err)
	return issuer, d
}

func issue(t *testing.T, i *receipt.Issuer) string {
	t.Helper()
	token, err := i.Issue(receipt.Receipt{Site: shop, Connection: "payments", Mode: "live", Operation: "pay",
		Fields: map[string]any{"status": "succeeded"}, Session: "v-1", Origin: origin})
	must(t, err)
	return token
}

// TestNoStatementPassesForAnother: receipts and session tokens are signed with the same keys,
// and neither is ever taken for the other.
func TestNoStatementPassesForAnother(t *testing.T) {
	g := newGate(t)
	issuer, desk := openDesk(t, g)
	token := issue(t, issuer)
	_, err := g.verifier.Verify(token, shop, origin)
	refusedAlike(t, "a receipt as a session", err)
	if _, err := desk.Claim(t.Context(), shop, "", g.mint(t).Token); code(err) != problem.ReceiptRefused {
		t.Errorf("a session as a receipt: %v", err)
	}
	for _, typ := range []string{"", "sallyport-session+jwt"} {
		if s, err := g.keys.Sign(typ, []byte(`{}`)); err == nil {
			t.Errorf("a statement of type %q was signed: %s", typ, s)
		}
	}
	if _, err := desk.Claim(t.Context(), shop, "payments", token); err != nil {
		t.Errorf("the receipt itself: %v", err)
	}
}

// TestReceiptHolds: once, at its own site and connection, for five minutes, also over a
// change of keys.
func TestReceiptHolds(t *testing.T) {
	g := newGate(t)
	issuer, desk := openDesk(t, g)
	token := issue(t, issuer)
	for _, row := range []struct{ name, site, connection string }{{"another site", "blog", ""}, {"no site", "", ""}, {"another connection", shop, "sms"}} {
		if _, err := desk.Claim(t.Context(), row.site, row.connection, token); code(err) != problem.ReceiptRefused {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	r, err := desk.Claim(t.Context(), shop, "", token)
	if err != nil || r.Fields["status"] != "succeeded" || r.Session != "v-1" || r.Expires.Sub(r.IssuedAt) != receipt.Life {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := desk.Claim(t.Context(), shop, "", token); code(err) != problem.ReceiptUsed {
		t.Errorf("once more: %v", err)
	}
	late, other := issue(t, issuer), issue(t, issuer)
	g.clock.advance(receipt.Life - time.Second)
	if _, err := desk.Claim(t.Context(), shop, "", other); err != nil {
		t.Errorf("in its last second: %v", err)
	}
	g.clock.advance(time.Second)
	if _, err := desk.Claim(t.Context(), shop, "", late); code(err) != problem.ReceiptRefused || !strings.Contains(err.Error(), "expired") {
		t.Errorf("late: %v", err)
	}
	if _, err := issuer.Issue(receipt.Receipt{Site: shop, Connection: "c", Operation: "o", Fields: map[string]any{"x": strings.Repeat("x", 4096)}}); err == nil {
		t.Error("a receipt that no header holds was signed")
	}
}

// TestPermitKey: found by its public half, trusted for half a second, not found when revoked.
func TestPermitKey(t *testing.T) {
	k := newKeyGate(t)
	values, stored := k.create(t, session.DefaultShape(), shop, "payments")
	private, err := session.PermitSigner(values[0])
	must(t, err)
	if !stored.PermitKey.Equal(private.Public()) {
		t.Fatal("the printed key does not give the stored permit key")
	}
	got, err := k.keys.PermitKey(t.Context(), stored.PermitKey)
	if err != nil || got.ID != stored.ID || got.Connection != "payments" {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, bad := range [][]byte{nil, make([]byte, 31), make([]byte, 32)} {
		if _, err := k.keys.PermitKey(t.Context(), bad); !errors.Is(err, session.ErrKeyNotFound) {
			t.Errorf("a key of %d bytes: %v", len(bad), err)
		}
	}
	must(t, k.gate.store.RevokeSiteKey(t.Context(), stored.ID, k.clock.now()))
	k.clock.advance(time.Second)
	if _, err := k.keys.PermitKey(t.Context(), stored.PermitKey); !errors.Is(err, session.ErrKeyNotFound) {
		t.Errorf("a revoked key: %v", err)
	}
}
