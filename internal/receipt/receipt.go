// Package receipt is the gate's signed statement of an outcome ("paid", "number verified")
// that a browser carries to the site's backend.
//
// It guarantees that a receipt names its site, lives at most five minutes, passes for no
// other statement of ours (its typ is its own), and is claimed at the gate at most once.
// It does not know where the fields come from, who may claim, and writes no HTTP. The
// format is docs/formats/receipt.md.
package receipt

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/jws"
	"sallyport/internal/site"
)

const (
	// Type is the typ of a receipt; no session token and no permit passes for one.
	Type = "sallyport-receipt+jwt"
	// Life is how long a receipt can be claimed.
	Life = 5 * time.Minute
	// MaxLength is the longest receipt, in bytes: it travels in a header.
	MaxLength = jws.MaxLength

	clockSkew = time.Minute // how far ahead another node's clock may be at iat
	// keepClaims is how long a claim is remembered beyond the receipt's end, should the
	// clock be set back.
	keepClaims = time.Hour
)

// Receipt is what a receipt states.
type Receipt struct {
	Site       string
	Connection string
	Mode       string
	Operation  string
	// Fields are values of the provider's checked answer by path.
	Fields map[string]any
	// Session is the visit that made the call, Origin its page's.
	Session  string
	Origin   site.Origin
	ID       string
	IssuedAt time.Time
	Expires  time.Time
}

// claims is a receipt on the wire, in this order.
type claims struct {
	Issuer     string         `json:"iss"`
	Audience   string         `json:"aud"`
	ID         string         `json:"jti"`
	Connection string         `json:"connection"`
	Mode       string         `json:"mode"`
	Operation  string         `json:"operation"`
	Fields     map[string]any `json:"fields"`
	Session    string         `json:"session"`
	Origin     site.Origin    `json:"origin"`
	IssuedAt   int64          `json:"iat"`
	Expires    int64          `json:"exp"`
}

func (r Receipt) claims(issuer string) claims {
	return claims{Issuer: issuer, Audience: r.Site, ID: r.ID, Connection: r.Connection, Mode: r.Mode, Operation: r.Operation,
		Fields: r.Fields, Session: r.Session, Origin: r.Origin, IssuedAt: r.IssuedAt.Unix(), Expires: r.Expires.Unix()}
}

// Document is the receipt's claims as JSON, as the gate answers a claim.
func (r Receipt) Document(issuer string) ([]byte, error) { return json.Marshal(r.claims(issuer)) }

// Keys sign and verify; *session.Keys is one.
type Keys interface {
	// Sign writes a compact JWS of that typ with the key whose turn it is.
	Sign(typ string, payload []byte) (string, error)
	// PublicKey is a published key by its id.
	PublicKey(id string) (ed25519.PublicKey, bool)
}

// Options are what an Issuer and a Desk need. All are required.
type Options struct {
	Name string // the iss claim
	Keys Keys
	Now  func() time.Time
}

// Issuer makes receipts. It is safe for concurrent use.
type Issuer struct{ o Options }

// NewIssuer checks the options.
func NewIssuer(o Options) (*Issuer, error) {
	if o.Name == "" || o.Keys == nil || o.Now == nil {
		return nil, errors.New("make receipt issuer: name, keys and clock are required")
	}
	return &Issuer{o: o}, nil
}

// Issue signs a receipt; ID and times of r are set here.
func (i *Issuer) Issue(r Receipt) (string, error) {
	if r.Site == "" || r.Connection == "" || r.Operation == "" {
		return "", errors.New("issue receipt: site, connection and operation are required")
	}
	if r.Fields == nil {
		r.Fields = map[string]any{}
	}
	r.ID, r.IssuedAt = newID(), i.o.Now()
	r.Expires = r.IssuedAt.Add(Life)
	payload, err := r.Document(i.o.Name)
	if err != nil {
		return "", fmt.Errorf("write receipt: %w", err)
	}
	token, err := i.o.Keys.Sign(Type, payload)
	if err != nil {
		return "", fmt.Errorf("sign receipt: %w", err)
	}
	if len(token) > MaxLength {
		return "", fmt.Errorf("the receipt would have %d bytes, more than %d: name fewer or shorter fields under receipt", len(token), MaxLength)
	}
	return token, nil
}

func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Claim is a receipt that was used.
type Claim struct {
	Site, ID string
	// Until is when the row may go: no clock can make the receipt count again.
	Until time.Time
}

// Store remembers claimed receipts. Methods are safe for concurrent use, from several
// processes too; a nil error means durable.
type Store interface {
	// ClaimReceipt reports whether this claim is the first of its receipt: of any number
	// of claims at once, exactly one is.
	ClaimReceipt(ctx context.Context, c Claim) (first bool, err error)
	// PurgeReceipts removes claims whose Until has passed at now.
	PurgeReceipts(ctx context.Context, now time.Time) (int, error)
}
