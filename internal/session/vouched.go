package session

import (
	"fmt"
)

// Vouched says who or what speaks for a visit. The zero value is nobody. Each value is
// stronger evidence than the one before it; a visit is only ever raised.
type Vouched int

// What may vouch for a visit.
const (
	// ByNobody: a page of the site asked for a token, which a script can do as well.
	ByNobody Vouched = iota
	// ByWork: a proof of work was solved. It costs a script as much as a visitor.
	ByWork
	// ByChallenge: a bot-detection provider of the catalog answered for the visitor.
	ByChallenge
	// ByLogin: the visitor signed in through the gate, with an account of somebody whom the
	// site trusts with that.
	ByLogin
	// ByBackend: the site's backend signed a voucher: it knows this visitor.
	ByBackend
)

// vouchedNames are the claim's values on the wire, by value; ByNobody has no claim.
func vouchedNames() []string { return []string{"", "work", "challenge", "login", "backend"} }

// String is the claim's text: work, challenge, login, backend; nobody for the zero value.
func (v Vouched) String() string {
	if v <= ByNobody || int(v) >= len(vouchedNames()) {
		return "nobody"
	}
	return vouchedNames()[v]
}

// ParseVouched reads the claim's text. An unknown one is an error: evidence that this
// gate does not know is none.
func ParseVouched(s string) (Vouched, error) {
	for v, name := range vouchedNames() {
		if s == name && s != "" {
			return Vouched(v), nil
		}
	}
	return ByNobody, fmt.Errorf("%q is not one of work, challenge, login, backend", s)
}
