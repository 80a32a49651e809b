package scheme

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// maxSignatures bounds how many signatures of one event are looked at: providers send two while
// a secret is changed.
const maxSignatures = 5

// stripe is Stripe's v1: HMAC-SHA256 over "TIME.BODY" with the whole secret (whsec_…) as the key,
// lower-case hex, several in one header. Source: stripe-go webhook/client.go; what it does not
// refuse is refused here too: times ahead, upper-case hex, a time that stands twice.
type stripe struct {
	header    string
	tolerance time.Duration
}

func newStripe(p *params, _ Config) kind {
	p.fixed("hash", "sha256")
	p.fixed("version", "v1")
	return &stripe{header: p.text("header", "Stripe-Signature"), tolerance: p.duration("tolerance", 5*time.Minute)}
}

func (s *stripe) verify(_ context.Context, r Request, keys [][]byte) (Verified, error) {
	value, err := one(r.Header, s.header)
	if err != nil {
		return Verified{}, err
	}
	t, macs, err := readStripe(value)
	if err != nil {
		return Verified{}, err
	}
	signed, err := seconds(t)
	if err != nil {
		return Verified{}, err
	}
	if !anyMAC(keys, macs, func(key []byte) []byte { return mac(sha256.New, key, t, ".", string(r.Body)) }) {
		return Verified{}, refuse("no signature fits")
	}
	return Verified{Signed: signed}, window(signed, r.Now, s.tolerance)
}

// readStripe reads t=…,v1=…,v1=…: other schemes are passed over, a malformed pair is refused.
func readStripe(value string) (t string, macs [][]byte, err error) {
	for pair := range strings.SplitSeq(value, ",") {
		name, v, ok := strings.Cut(pair, "=")
		if !ok || strings.Contains(v, "=") {
			return "", nil, refuse("a malformed pair")
		}
		switch name {
		case "t":
			if t != "" {
				return "", nil, refuse("two times")
			}
			t = v
		case "v1":
			if m := lowerHex(v, sha256.Size); m != nil {
				macs = append(macs, m)
			}
		}
	}
	if len(macs) == 0 || len(macs) > maxSignatures {
		return "", nil, refuse(strconv.Itoa(len(macs)) + " signatures")
	}
	return t, macs, nil
}

func (s *stripe) sign(r Request, key []byte) (Request, error) {
	t := strconv.FormatInt(r.Now.Unix(), 10)
	r.Header.Set(s.header, "t="+t+",v1="+hex.EncodeToString(mac(sha256.New, key, t, ".", string(r.Body))))
	return r, nil
}

// lowerHex reads exactly n bytes in lower-case hex; nil: it is something else.
func lowerHex(s string, n int) []byte {
	if len(s) != 2*n || strings.ToLower(s) != s {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// anyMAC reports whether one of the MACs is the one that one of the keys makes. All are looked
// at, each in constant time.
func anyMAC(keys, macs [][]byte, make func(key []byte) []byte) bool {
	good := false
	for _, key := range keys {
		want := make(key)
		for _, m := range macs {
			if hmac.Equal(want, m) {
				good = true
			}
		}
	}
	return good
}
