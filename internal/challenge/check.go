package challenge

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/problem"
)

// MaxProof is the longest proof that is looked at, in bytes of base64. Ours have about 400.
const MaxProof = 1024

// solution is a proof as ALTCHA's widget writes it; took is what the solver says of its time.
type solution struct {
	Algorithm string      `json:"algorithm"`
	Challenge string      `json:"challenge"`
	Number    json.Number `json:"number"`
	Salt      string      `json:"salt"`
	Signature string      `json:"signature"`
	Took      json.Number `json:"took,omitempty"`
}

// Check says whether proof, base64 of a solution in JSON, solves a challenge that was made
// for b, and uses it up. A proof that does not count is a *problem.Error of code
// challenge_refused, whose detail says what is wrong with it; a memory of used proofs that
// cannot be asked is store_unavailable, and then nothing is let through.
func (w *Work) Check(ctx context.Context, b Binding, proof string) error {
	s, err := read(proof)
	if err != nil {
		return refused(err, "it is not base64 of the solution in JSON")
	}
	number, err := strconv.ParseInt(s.Number.String(), 10, 64)
	switch {
	case err != nil || number < 0 || strconv.FormatInt(number, 10) != s.Number.String():
		return refused(nil, "its number is not a whole number")
	case s.Algorithm != Algorithm:
		return refused(nil, "its algorithm is not SHA-256")
	case !hmac.Equal([]byte(s.Signature), []byte(w.signature(s.Challenge))):
		return refused(nil, "this gate did not make the challenge")
	case !hmac.Equal([]byte(hash(s.Salt, number)), []byte(s.Challenge)):
		return refused(nil, "the number does not solve the challenge")
	}
	bound, expires, ok := parseSalt(s.Salt)
	now := w.o.Now()
	switch {
	case !ok:
		return refused(nil, "its salt is not one of this gate's")
	case !hmac.Equal([]byte(bound), []byte(w.binding(b))):
		return refused(nil, "it was made for another site, visit or call")
	case !now.Before(expires):
		return refused(nil, "the challenge has expired")
	case expires.After(now.Add(MaxLife + time.Minute)):
		return refused(nil, "the challenge is from the future")
	}
	first, err := w.Once(ctx, usedWork, s.Challenge, expires)
	if err != nil {
		return err
	}
	if !first {
		return refused(nil, "it was used before")
	}
	return nil
}

// Kinds of what is used once, beside proofs of work.
const (
	UsedVoucher = "voucher"
	UsedToken   = "token"
	UsedLogin   = "login"
	usedWork    = "work"
)

// Once marks an id of a kind as used until then, and says whether this was the first time.
// Its error is a *problem.Error, and means that nothing may be let through.
func (w *Work) Once(ctx context.Context, kind, id string, until time.Time) (first bool, err error) {
	first, err = w.o.Used.Use(ctx, sha256.Sum256([]byte(kind+"\x00"+id)), until)
	if err != nil {
		return false, unknown(err)
	}
	return first, nil
}

// unknown keeps a problem of the memory, such as "too much to remember", and makes any
// other error one of the store.
func unknown(err error) error {
	if p := problem.From(err); p.Code != problem.Internal {
		return p
	}
	return problem.Wrap(err, problem.StoreUnavailable, "it cannot be known whether this was used before")
}

func refused(err error, why string) error {
	return problem.Wrap(err, problem.ChallengeRefused, "the proof of work does not count: %s", why).
		WithHint("solve the challenge of this answer; client.js does so by itself")
}

// read takes standard base64 of exactly one JSON object with the members of a solution.
func read(proof string) (solution, error) {
	var s solution
	if len(proof) > MaxProof || strings.ContainsAny(proof, "\r\n") { // Go's decoder skips line breaks
		return s, fmt.Errorf("a proof of %d bytes, or with line breaks", len(proof))
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(proof)
	if err != nil {
		return s, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, err
	}
	if _, err := d.Token(); err != io.EOF {
		return s, fmt.Errorf("more than one JSON value")
	}
	return s, nil
}

// parseSalt reads what New wrote, in its order and nothing else.
func parseSalt(salt string) (bound string, expires time.Time, ok bool) {
	rest, ok := strings.CutSuffix(salt, "&")
	_, rest, found := strings.Cut(rest, "?bind=")
	bound, text, more := strings.Cut(rest, "&expires=")
	unix, err := strconv.ParseInt(text, 10, 64)
	if !ok || !found || !more || err != nil {
		return "", time.Time{}, false
	}
	return bound, time.Unix(unix, 0), true
}
