package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sallyport/internal/ratelimit"
	"sallyport/internal/site"
)

// IssuerOptions are what an Issuer needs. Name, Keys, Limiter and Now are required.
type IssuerOptions struct {
	// Name is the iss claim; the Verifier's must be the same.
	Name    string
	Keys    *Keys
	Limiter *ratelimit.Limiter
	Now     func() time.Time
	// PerPrefix and PerSite limit minting; zero: 60 per minute per prefix over all
	// sites, 3000 per minute per site.
	PerPrefix ratelimit.Rule
	PerSite   ratelimit.Rule
}

// Issuer mints tokens. It is safe for concurrent use.
type Issuer struct{ o IssuerOptions }

// NewIssuer checks the options.
func NewIssuer(o IssuerOptions) (*Issuer, error) {
	if o.Name == "" || o.Keys == nil || o.Limiter == nil || o.Now == nil {
		return nil, errors.New("make session issuer: name, keys, limiter and clock are required")
	}
	if o.PerPrefix == (ratelimit.Rule{}) {
		o.PerPrefix = ratelimit.Rule{Calls: 60, Window: time.Minute, Per: ratelimit.PerPrefix}
	}
	if o.PerSite == (ratelimit.Rule{}) {
		o.PerSite = ratelimit.Rule{Calls: 3000, Window: time.Minute, Per: ratelimit.PerSite}
	}
	return &Issuer{o: o}, nil
}

// Request asks for a token. The edge has already checked that Origin is one of Site's.
type Request struct {
	Site   string
	Origin site.Origin
	Client netip.Addr
	TTL    time.Duration // 0 or more than MaxTTL: MaxTTL
}

// Minted is a new visit. Token is a bearer credential: never log it.
type Minted struct {
	Token   string
	Session Session
	// Checks and Decision are for ratelimit.SetHeader.
	Checks   []ratelimit.Check
	Decision ratelimit.Decision
}

// mintOperation keeps the counts of minting apart from those of calls; no connection
// has an empty name.
const mintOperation = "session.mint"

// Mint starts a visit. Over a limit it returns problem.RateLimited, with Checks and
// Decision set.
func (i *Issuer) Mint(r Request) (Minted, error) {
	if r.Site == "" || r.Origin == "" {
		return Minted{}, errors.New("mint session: site and origin are required")
	}
	now := i.o.Now()
	prefix := ratelimit.Subject{Operation: mintOperation, Client: r.Client}
	whole := ratelimit.Subject{Operation: mintOperation, Site: r.Site}
	m := Minted{Checks: []ratelimit.Check{
		i.o.Limiter.Check(ratelimit.AtOperation, i.o.PerPrefix, &prefix),
		i.o.Limiter.Check(ratelimit.AtOperation, i.o.PerSite, &whole),
	}}
	if m.Decision = i.o.Limiter.AllowAll(now, m.Checks); !m.Decision.Allowed {
		return m, m.Decision.Problem()
	}
	ttl := r.TTL
	if ttl <= 0 || ttl > MaxTTL {
		ttl = MaxTTL
	}
	c := claims{
		Issuer: i.o.Name, Audience: r.Site, Origin: r.Origin, Session: randomID(), TokenID: randomID(),
		IssuedAt: now.Unix(), Expires: now.Add(ttl).Unix(),
	}
	var err error
	if m.Token, err = i.sign(c); err != nil {
		return Minted{}, fmt.Errorf("mint session: %w", err)
	}
	m.Session = c.session()
	return m, nil
}

func (i *Issuer) sign(c claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	signer, err := i.o.Keys.current()
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return jws.CompactSerialize()
}
