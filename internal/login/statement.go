package login

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"sallyport/internal/session"
)

const (
	// StatementType is the typ of a statement of who is signed in; no session token and no
	// receipt passes for one.
	StatementType = "sallyport-login+jwt"
	// StatementLife is how long a statement counts.
	StatementLife = 5 * time.Minute
)

// Signer signs statements with the gate's published keys; *session.Keys is one.
type Signer interface {
	Sign(typ string, payload []byte) (string, error)
}

// State signs for the site's backend who is signed in, in which visit, and what the site may
// know. A page carries it there.
func State(s Signer, issuer string, visit session.Session, v Visitor, now time.Time) (string, error) {
	var id [16]byte
	rand.Read(id[:]) // never fails
	expires := now.Add(StatementLife)
	if v.Ends.Before(expires) {
		expires = v.Ends
	}
	payload, err := json.Marshal(struct {
		Issuer     string         `json:"iss"`
		Audience   string         `json:"aud"`
		Subject    string         `json:"sub"`
		Connection string         `json:"connection"`
		Claims     map[string]any `json:"claims"`
		Session    string         `json:"session"`
		Origin     string         `json:"origin"`
		AuthTime   int64          `json:"auth_time"`
		IssuedAt   int64          `json:"iat"`
		Expires    int64          `json:"exp"`
		ID         string         `json:"jti"`
	}{issuer, visit.Site, v.Subject, v.Connection, v.Claims, visit.ID, string(visit.Origin), v.Begun.Unix(), now.Unix(), expires.Unix(), base64.RawURLEncoding.EncodeToString(id[:])})
	if err != nil {
		return "", fmt.Errorf("state who is signed in: %w", err)
	}
	return s.Sign(StatementType, payload)
}
