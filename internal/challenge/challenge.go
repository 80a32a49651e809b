// Package challenge makes and checks proofs of work: a task that costs the asker a moment
// of computing, nothing to look at, and no third party. The scheme is the one that ALTCHA
// publishes (https://altcha.org/docs/v2/proof-of-work, read 2026-11-23; its library
// altcha-lib 1.4.1 solves and checks ours in test/client): find the number for which
// SHA-256(salt + number) is the challenge.
//
// It guarantees that a proof counts once, only for the site, the visit and the use that the
// challenge was made for, and only for MaxLife; that nothing is remembered of a challenge
// until it is solved; and that memory is bounded. Where it cannot be known whether a proof
// was used before, it counts as used.
//
// It proves that somebody computed, not that a person is there: a script can buy the same
// proof for the same price. It does not decide who needs a proof (egress does).
package challenge

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"net/netip"
	"strconv"
	"time"
)

const (
	// Algorithm is the only hash of our challenges.
	Algorithm = "SHA-256"
	// MaxLife is how long a challenge may be solved.
	MaxLife = 5 * time.Minute
	// KeySize is the least length of the key, in bytes.
	KeySize = 32

	// ForVisit is the use of a proof that vouches for a whole visit.
	ForVisit = "visit"
)

// Challenge is the task as it goes out; the member names are ALTCHA's.
type Challenge struct {
	Algorithm string `json:"algorithm"`
	Challenge string `json:"challenge"` // hex of SHA-256(salt + number)
	Salt      string `json:"salt"`      // random hex, then ?bind=…&expires=…&
	MaxNumber int64  `json:"maxnumber"` // the number lies between 0 and this
	Signature string `json:"signature"` // hex of HMAC-SHA256(key, challenge)
}

// Binding is what a challenge is for. A proof holds nowhere else.
type Binding struct {
	Site  string
	Visit string
	// For is ForVisit, or CONNECTION/OPERATION for one call.
	For string
}

// Options are what a Work needs. All are required.
type Options struct {
	// Key signs challenges: 32 secret bytes of this use alone, the same on all nodes.
	Key  []byte
	Used Used
	// Meter counts who asks for challenges.
	Meter Meter
	Now   func() time.Time
}

// Work makes and checks proofs of work. It is safe for concurrent use.
type Work struct {
	o    Options
	sign []byte
	bind []byte
}

// New checks the options.
func New(o Options) (*Work, error) {
	key := o.Key
	if len(key) < KeySize || o.Used == nil || o.Meter.Limiter == nil || o.Now == nil {
		return nil, errors.New("make proofs of work: a key of 32 bytes, a memory of used proofs, a limiter and a clock are required")
	}
	o.Key = nil // what is derived from it serves
	return &Work{o: o, sign: derive(key, "signature"), bind: derive(key, "binding")}, nil
}

func derive(key []byte, use string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("sallyport/v1/challenge/" + use))
	return m.Sum(nil)
}

// Make makes a challenge for a client. signs, 0 to MaxLevel, is how bad the signs are that
// others have seen of it; asking for many challenges is a sign of its own. Nothing is kept
// of the challenge.
func (w *Work) Make(ctx context.Context, b Binding, client netip.Addr, signs int) Challenge {
	return w.atLevel(b, max(signs, w.o.Meter.Count(ctx, w.o.Now(), b.Site, client)))
}

func (w *Work) atLevel(b Binding, level int) Challenge {
	most := Difficulty(level)
	// A salt ends with "&", so that no digit can move between it and the number: with
	// …expires=17000 and 123 one could write …expires=170001 and 23 (altcha-lib 1.4.1).
	salt := randomHex(12) + "?bind=" + w.binding(b) + "&expires=" + strconv.FormatInt(w.o.Now().Add(MaxLife).Unix(), 10) + "&"
	c := hash(salt, randomNumber(most))
	return Challenge{Algorithm: Algorithm, Challenge: c, Salt: salt, MaxNumber: most, Signature: w.signature(c)}
}

// binding names what a challenge is for without telling it: parts after their lengths.
func (w *Work) binding(b Binding) string {
	m := hmac.New(sha256.New, w.bind)
	for _, part := range []string{b.Site, b.Visit, b.For} {
		m.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		m.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:16])
}

func (w *Work) signature(challenge string) string {
	m := hmac.New(sha256.New, w.sign)
	m.Write([]byte(challenge))
	return hex.EncodeToString(m.Sum(nil))
}

func hash(salt string, number int64) string {
	sum := sha256.Sum256(strconv.AppendInt([]byte(salt), number, 10))
	return hex.EncodeToString(sum[:])
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b)
}

func randomNumber(most int64) int64 {
	n, err := rand.Int(rand.Reader, big.NewInt(most+1))
	if err != nil { // never: see randomHex
		panic(err)
	}
	return n.Int64()
}
