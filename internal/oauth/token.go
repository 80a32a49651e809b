package oauth

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sallyport/internal/secret"
)

// Bounds of a token's life, whatever its provider says.
const (
	// unsaidLife is assumed where expires_in is absent or makes no sense.
	unsaidLife = 5 * time.Minute
	leastLife  = 10 * time.Second
	mostLife   = 24 * time.Hour
	// earliest is how long before its end a token is replaced at most.
	earliest = 15 * time.Minute
)

// Key names a token. Its parts come from the file and the catalog, never from a caller.
type Key struct {
	Site       string
	Connection string
	// Name tells the tokens of a connection apart.
	Name string
}

// purpose binds a sealed token to its key: the parts, each after its length, by their hash.
func (k Key) purpose() string {
	h := sha256.New()
	for _, part := range []string{k.Site, k.Connection, k.Name} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return "oauth-token/" + hex.EncodeToString(h.Sum(nil))
}

// Origin tells with what a token was asked for, by hashes.
type Origin struct {
	// Account is whose token it is: a token of another account is never used.
	Account [32]byte
	// Secret is what proved it: a token that an older secret asked for is replaced early.
	Secret [32]byte
}

// Token is an access token and how long it is good.
type Token struct {
	Value   secret.Value
	Issued  time.Time // when it was asked for, so that Expires is never too late
	Expires time.Time
	Origin  Origin
}

// usable reports whether the token can still be sent.
func (t Token) usable(now time.Time) bool {
	margin := min(2*time.Second, t.Expires.Sub(t.Issued)/10) // what a call needs to arrive
	return !t.Value.Empty() && now.Before(t.Expires.Add(-margin))
}

// due is when to ask for the next token: in the last quarter of the life, and not at the same
// moment on all nodes.
func (t Token) due() time.Time {
	window := min(t.Expires.Sub(t.Issued)/4, earliest)
	return t.Expires.Add(-window).Add(rand.N(window/2 + 1))
}

// life bounds what a provider says of a token's life, in seconds; 0 means that it says nothing
// that can be used.
func life(seconds int64) time.Duration {
	switch {
	case seconds <= 0:
		return unsaidLife
	case seconds > int64(mostLife/time.Second):
		return mostLife
	}
	return max(time.Duration(seconds)*time.Second, leastLife)
}

// stored is a token as it is sealed.
type stored struct {
	Token   []byte `json:"token"`
	Issued  int64  `json:"issued"`
	Expires int64  `json:"expires"`
	Account []byte `json:"account"`
	Secret  []byte `json:"secret"`
}

func (t Token) encode() ([]byte, error) {
	return json.Marshal(stored{Token: t.Value.Expose(), Issued: t.Issued.UnixMilli(), Expires: t.Expires.UnixMilli(),
		Account: t.Origin.Account[:], Secret: t.Origin.Secret[:]})
}

func decodeToken(b []byte) (Token, error) {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil || len(s.Token) == 0 || len(s.Account) != 32 || len(s.Secret) != 32 {
		return Token{}, errors.New("what was sealed is not a token")
	}
	defer clear(s.Token)
	return Token{Value: secret.NewValue(s.Token), Issued: time.UnixMilli(s.Issued), Expires: time.UnixMilli(s.Expires),
		Origin: Origin{Account: [32]byte(s.Account), Secret: [32]byte(s.Secret)}}, nil
}

// Digest hashes texts so that no two lists of texts have the same one.
func Digest(parts ...[]byte) (sum [32]byte) {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// String names the key in errors and log lines of the gate.
func (k Key) String() string { return fmt.Sprintf("%s/%s (%s)", k.Site, k.Connection, k.Name) }
