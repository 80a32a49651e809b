package scheme

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ed25519Kind is an Ed25519 signature over time and body, as Discord makes it. The secret is the
// provider's public key: hex or base64; to sign, the private key of 64 bytes.
type ed25519Kind struct {
	header, timeHeader string
	tolerance          time.Duration
}

func newEd25519(p *params, _ Config) kind {
	return &ed25519Kind{header: p.need("header"), timeHeader: p.text("time_header", ""), tolerance: p.duration("tolerance", 5*time.Minute)}
}

func keyBytes(text []byte, n int) []byte {
	s := strings.TrimSpace(string(text))
	if b, err := hex.DecodeString(s); err == nil && len(b) == n {
		return b
	}
	if b, err := base64.StdEncoding.Strict().DecodeString(s); err == nil && len(b) == n {
		return b
	}
	return nil
}

func (k *ed25519Kind) verify(_ context.Context, r Request, keys [][]byte) (v Verified, err error) {
	value, err := one(r.Header, k.header)
	if err != nil {
		return v, err
	}
	sig := keyBytes([]byte(value), ed25519.SignatureSize)
	if sig == nil {
		return v, refuse("the form of the signature")
	}
	t := ""
	if k.timeHeader != "" {
		if t, err = one(r.Header, k.timeHeader); err != nil {
			return v, err
		}
		if v.Signed, err = seconds(t); err != nil {
			return v, err
		}
	}
	for _, text := range keys {
		if key := keyBytes(text, ed25519.PublicKeySize); key != nil && ed25519.Verify(key, append([]byte(t), r.Body...), sig) {
			if k.timeHeader == "" {
				return v, nil
			}
			return v, window(v.Signed, r.Now, k.tolerance)
		}
	}
	return Verified{}, refuse("no signature fits")
}

func (k *ed25519Kind) sign(r Request, text []byte) (Request, error) {
	key := keyBytes(text, ed25519.PrivateKeySize)
	if key == nil {
		return r, errors.New("the secret is no Ed25519 key of 64 bytes in hex or base64")
	}
	t := ""
	if k.timeHeader != "" {
		t = strconv.FormatInt(r.Now.Unix(), 10)
		r.Header.Set(k.timeHeader, t)
	}
	r.Header.Set(k.header, hex.EncodeToString(ed25519.Sign(key, append([]byte(t), r.Body...))))
	return r, nil
}

// basic is HTTP Basic (RFC 7617): the secret is user:password. It proves who calls, not the bytes.
type basic struct{}

func newBasic(*params, Config) kind { return basic{} }

func (basic) verify(_ context.Context, r Request, keys [][]byte) (Verified, error) {
	value, err := one(r.Header, "Authorization")
	if err != nil {
		return Verified{}, err
	}
	scheme, text, _ := strings.Cut(value, " ")
	given, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || !strings.EqualFold(scheme, "Basic") {
		return Verified{}, refuse("the form of the authorization")
	}
	if !sameText(keys, given) {
		return Verified{}, refuse("the user or the password")
	}
	return Verified{}, nil
}

func (basic) sign(r Request, key []byte) (Request, error) {
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString(key))
	return r, nil
}

// sameText compares with each key, in a time that does not depend on where they differ.
func sameText(keys [][]byte, given []byte) bool {
	good := false
	g := sha256.Sum256(given)
	for _, key := range keys {
		if k := sha256.Sum256(key); subtle.ConstantTimeCompare(k[:], g[:]) == 1 {
			good = true
		}
	}
	return good
}

// secretPath is for providers that sign nothing: the address holds a token that cannot be
// guessed, and a field of the body names what is expected. Whoever learns the address can send
// anything, so that no event counts as proof.
type secretPath struct {
	field pointer
	value string
}

func newSecretPath(p *params, _ Config) kind {
	k := &secretPath{value: p.text("expect", "")}
	if at := p.pointers("field"); len(at) > 0 {
		k.field = at[0]
	}
	return k
}

func (k *secretPath) verify(_ context.Context, r Request, keys [][]byte) (Verified, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return Verified{}, refuse("the address")
	}
	token := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	if !sameText(keys, []byte(token)) {
		return Verified{}, refuse("the token in the address")
	}
	if k.value != "" && (&document{r: r}).find(k.field) != k.value {
		return Verified{}, refuse("what it is about")
	}
	return Verified{Unauthenticated: true}, nil
}

func (*secretPath) sign(r Request, key []byte) (Request, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return r, errors.New("the address cannot be read")
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + string(key)
	r.URL = u.String()
	return r, nil
}
