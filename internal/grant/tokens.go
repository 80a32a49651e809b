package grant

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"sallyport/internal/authcode"
	"sallyport/internal/secret"
)

// Bounds of an access token's life, whatever its provider says.
const (
	unsaidLife = 5 * time.Minute
	leastLife  = 10 * time.Second
	mostLife   = 24 * time.Hour
	// earliest is how long before its end a token is renewed at most.
	earliest = 10 * time.Minute
	// forceEvery keeps a provider that refuses every token from being asked for new ones all
	// the time.
	forceEvery = 30 * time.Second
)

// tokens are what a grant is worth.
type tokens struct {
	Access, Refresh secret.Value
	Issued, Expires time.Time
	Scope           string
}

// tokensOf takes what the provider gave, asked for at a time. Where no new refresh token
// came, the old one goes on (RFC 6749 §6).
func tokensOf(t authcode.Tokens, asked time.Time, before tokens) tokens {
	life := t.Life
	switch {
	case life <= 0:
		life = unsaidLife
	case life > mostLife:
		life = mostLife
	}
	out := tokens{Access: t.Access, Refresh: t.Refresh, Issued: asked, Expires: asked.Add(max(life, leastLife)), Scope: t.Scope}
	if out.Refresh.Empty() {
		out.Refresh = before.Refresh
	}
	if out.Scope == "" {
		out.Scope = before.Scope
	}
	return out
}

// usable reports whether the access token can still be sent.
func (t tokens) usable(now time.Time) bool {
	margin := min(2*time.Second, t.Expires.Sub(t.Issued)/10) // what a call needs to arrive
	return !t.Access.Empty() && now.Before(t.Expires.Add(-margin))
}

// due reports whether it is time to renew, while the token is still good: in the last quarter
// of its life, and not at the same moment on all nodes.
func (t tokens) due(now time.Time) bool {
	window := min(t.Expires.Sub(t.Issued)/4, earliest)
	return now.After(t.Expires.Add(-window + rand.N(window/2+1)))
}

// stored are tokens as they are sealed.
type stored struct {
	Access  []byte `json:"access"`
	Refresh []byte `json:"refresh,omitempty"`
	Issued  int64  `json:"issued"`
	Expires int64  `json:"expires"`
	Scope   string `json:"scope,omitempty"`
}

func (t tokens) encode() ([]byte, error) {
	return json.Marshal(stored{Access: t.Access.Expose(), Refresh: t.Refresh.Expose(), Issued: t.Issued.UnixMilli(), Expires: t.Expires.UnixMilli(), Scope: t.Scope})
}

func decode(b []byte) (tokens, error) {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil || len(s.Access) == 0 {
		return tokens{}, errors.New("what was sealed are no tokens")
	}
	defer clear(s.Access)
	defer clear(s.Refresh)
	return tokens{Access: secret.NewValue(s.Access), Refresh: secret.NewValue(s.Refresh), Issued: time.UnixMilli(s.Issued), Expires: time.UnixMilli(s.Expires), Scope: s.Scope}, nil
}
