package session_test

import (
	"net/netip"
	"testing"
	"time"

	"sallyport/internal/ratelimit"
	"sallyport/internal/session"
)

// TestARushKeepsNobodyOut: one who mints from many networks uses up what a site ordinarily
// sees; visitors from any other network still get their visits, and he gets few more.
func TestARushKeepsNobodyOut(t *testing.T) {
	g := newGate(t)
	issuer, err := session.NewIssuer(session.IssuerOptions{Name: issuerName, Keys: g.keys, Now: g.clock.now, Limiter: ratelimit.New(1 << 12),
		PerSite: ratelimit.Rule{Calls: 100, Window: time.Minute, Per: ratelimit.PerSite}, InRush: ratelimit.Rule{Calls: 4, Window: time.Minute, Per: ratelimit.PerPrefix}})
	must(t, err)
	mint := func(network byte, host int) bool {
		_, err := issuer.Mint(t.Context(), session.Request{Site: shop, Origin: origin, Client: netip.AddrFrom4([4]byte{10, 0, network, byte(host)})})
		return err == nil
	}
	attacker := 0
	for network := range 50 {
		for host := range 60 {
			if mint(byte(network), host) {
				attacker++
			}
		}
	}
	if most := 100 + 50*4; attacker > most || attacker < 100 {
		t.Errorf("50 networks got %d visits of 3,000 tries; at most %d are theirs", attacker, most)
	}
	for network := 100; network < 250; network++ {
		for host := range 3 {
			if !mint(byte(network), host) {
				t.Fatalf("network %d, visitor %d: kept out by what others did", network, host)
			}
		}
	}
	if _, err := issuer.Mint(t.Context(), session.Request{Site: "blog", Origin: origin, Client: netip.AddrFrom4([4]byte{10, 0, 251, 1})}); err != nil {
		t.Errorf("another site: %v", err)
	}
	must(t, issuer.AllowRaise(t.Context(), shop, netip.AddrFrom4([4]byte{10, 0, 1, 1})))
}
