// Package permit reads what a site's backend signs with its site key: permits, which seal
// values of one operation for one visit, and vouchers, which vouch for a visit.
//
// It guarantees that a statement counts only if a live site key of the site signed it, that
// it is current and short-lived, and that it has exactly the claims that are documented
// (docs/formats/permit.md). Signatures are verified once and remembered in bounded memory;
// the key behind one is asked for each time. It does not count uses, does not know which
// parameters a rule seals, and writes no HTTP.
package permit

import (
	"fmt"
	"time"

	"sallyport/internal/jws"
	"sallyport/internal/site"
)

const (
	// Type is the typ of a permit; no other statement passes for one.
	Type = "sallyport-permit+jwt"
	// VoucherType is the typ of a voucher.
	VoucherType = "sallyport-voucher+jwt"
	// MaxLife is the longest time between not-before and expiry.
	MaxLife = 15 * time.Minute
	// MaxUses is the most calls that one permit may allow.
	MaxUses = 1000
	// AnySession is the session of a permit that holds for every visit.
	AnySession = "any"

	// clockSkew is how far ahead the backend's clock may be. At expiry there is no leeway.
	clockSkew = time.Minute
	// maxName bounds the claims that are names.
	maxName = 128
)

// Permit is a verified permit. It is shared: nothing in it may be changed.
type Permit struct {
	// KeyID is the site key that signed.
	KeyID      string
	Site       string
	Connection string
	Mode       string
	Operation  string
	Origin     site.Origin
	// Session is the visit's id, or AnySession.
	Session string
	// Sealed are the values by parameter path: string, json.Number, bool, nil, []any and
	// map[string]any.
	Sealed map[string]any
	// ID counts with KeyID: uses of all permits with both are counted together.
	ID        string
	Uses      int
	NotBefore time.Time
	Expires   time.Time
}

// Voucher is a verified statement that a visit is known to the site's backend.
type Voucher struct {
	KeyID   string
	Site    string
	Session string
	ID      string
	Expires time.Time
}

// Refusal is why a statement does not count. What may be told to outsiders: it repeats
// nothing of the statement.
type Refusal struct {
	// Reason is a word for tests and logs: malformed, key, signature, claims, expired,
	// early, lifetime, site, connection, mode, operation, origin, session, missing, extra.
	Reason string
	What   string
}

// Error says what is wrong.
func (r *Refusal) Error() string { return r.What }

func refuse(reason, format string, args ...any) error {
	return &Refusal{Reason: reason, What: fmt.Sprintf(format, args...)}
}

func readPermit(t jws.Token) (*Permit, error) {
	r := jws.NewReader(t)
	p := &Permit{
		ID: r.Text("jti", 64), Site: r.Text("site", maxName), Connection: r.Text("connection", maxName),
		Mode: r.Text("mode", maxName), Operation: r.Text("operation", maxName), Origin: site.Origin(r.Text("origin", 512)),
		Session: r.Text("session", maxName), Sealed: r.Object("sealed"), Uses: int(r.Whole("uses", 1, MaxUses)),
		NotBefore: r.Time("nbf"), Expires: r.Time("exp"),
	}
	if err := r.Done(); err != nil {
		return nil, refuse("claims", "%s", err)
	}
	if life := p.Expires.Sub(p.NotBefore); life <= 0 || life > MaxLife {
		return nil, refuse("lifetime", "it expires more than %s after its not-before, or before it", MaxLife)
	}
	return p, nil
}

func (p *Permit) current(now time.Time) error {
	switch {
	case !now.Before(p.Expires):
		return refuse("expired", "it has expired")
	case now.Add(clockSkew).Before(p.NotBefore):
		return refuse("early", "it is not valid yet")
	}
	return nil
}

// Call is the call that a permit is held against.
type Call struct {
	Site, Connection, Mode, Operation string
	Origin                            site.Origin
	Session                           string
}

// Check says whether the permit is one for this call; the error is a *Refusal.
func (p *Permit) Check(c Call) error {
	for _, row := range [...]struct {
		name, has, want string
	}{
		{"site", p.Site, c.Site}, {"connection", p.Connection, c.Connection}, {"mode", p.Mode, c.Mode},
		{"operation", p.Operation, c.Operation}, {"origin", string(p.Origin), string(c.Origin)},
	} {
		if row.has != row.want || row.want == "" {
			return refuse(row.name, "it was signed for another %s", row.name)
		}
	}
	if p.Session != AnySession && (p.Session != c.Session || c.Session == "") {
		return refuse("session", "it was signed for another visit")
	}
	return nil
}

func readVoucher(t jws.Token, now time.Time) (Voucher, error) {
	r := jws.NewReader(t)
	v := Voucher{Site: r.Text("site", maxName), Session: r.Text("session", maxName), ID: r.Text("jti", 64), Expires: r.Time("exp")}
	if err := r.Done(); err != nil {
		return Voucher{}, refuse("claims", "%s", err)
	}
	switch {
	case !now.Before(v.Expires):
		return Voucher{}, refuse("expired", "it has expired")
	case v.Expires.After(now.Add(MaxLife + clockSkew)):
		return Voucher{}, refuse("lifetime", "it expires more than %s from now", MaxLife)
	}
	return v, nil
}
