package scheme

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// standard is Standard Webhooks 1.0.0 (https://www.standardwebhooks.com, specification at
// b2fa7b8): v1 HMAC-SHA256 with a base64 key (whsec_), v1a Ed25519 (whpk_ to verify, whsk_ to
// sign), over "ID.TIME.BODY". The key's prefix says which of the two it is for.
type standard struct {
	id, time, signature string
	tolerance           time.Duration
}

const (
	symmetric  = "whsec_"
	publicKey  = "whpk_"
	privateKey = "whsk_"
)

func newStandard(p *params, _ Config) kind {
	prefix := p.text("header_prefix", "webhook-") // svix-: the same scheme before it was a standard
	return &standard{id: prefix + "id", time: prefix + "timestamp", signature: prefix + "signature", tolerance: p.duration("tolerance", 5*time.Minute)}
}

func (s *standard) verify(_ context.Context, r Request, keys [][]byte) (Verified, error) {
	id, err1 := one(r.Header, s.id)
	t, err2 := one(r.Header, s.time)
	list, err3 := one(r.Header, s.signature)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Verified{}, err
	}
	if strings.ContainsAny(id, ". \t") {
		return Verified{}, refuse("the id has a dot or a space")
	}
	signed, err := seconds(t)
	if err != nil {
		return Verified{}, err
	}
	parts := strings.Split(list, " ")
	if len(parts) > maxSignatures {
		return Verified{}, refuse("too many signatures")
	}
	good := false
	for _, key := range keys {
		if standardFits(key, parts, id+"."+t+".", r.Body) {
			good = true
		}
	}
	if !good {
		return Verified{}, refuse("no signature fits")
	}
	return Verified{ID: id, Signed: signed}, window(signed, r.Now, s.tolerance)
}

func standardFits(key []byte, signatures []string, before string, body []byte) bool {
	good := false
	pub, isPublic := strings.CutPrefix(string(key), publicKey)
	for _, one := range signatures {
		version, text, _ := strings.Cut(one, ",")
		sig, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			continue
		}
		switch {
		case version == "v1a" && isPublic:
			k, err := base64.StdEncoding.Strict().DecodeString(pub)
			good = good || err == nil && len(k) == ed25519.PublicKeySize && ed25519.Verify(k, append([]byte(before), body...), sig)
		case version == "v1" && !isPublic:
			k, err := standardKey(key)
			good = good || err == nil && anyMAC([][]byte{k}, [][]byte{sig}, func(k []byte) []byte { return mac(sha256.New, k, before, string(body)) })
		}
	}
	return good
}

// standardKey reads a symmetric key: base64, with or without whsec_, of 24 to 64 bytes.
func standardKey(key []byte) ([]byte, error) {
	k, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(string(key), symmetric))
	if err != nil || len(k) < 24 || len(k) > 64 {
		return nil, errors.New("the secret is not whsec_ and the base64 of 24 to 64 bytes")
	}
	return k, nil
}

func (s *standard) sign(r Request, key []byte) (Request, error) {
	id, t := r.Header.Get(s.id), strconv.FormatInt(r.Now.Unix(), 10)
	if id == "" {
		id = "msg_" + rand.Text()
		r.Header.Set(s.id, id)
	}
	before := id + "." + t + "."
	var text string
	if private, ok := strings.CutPrefix(string(key), privateKey); ok {
		k, err := base64.StdEncoding.Strict().DecodeString(private)
		if err != nil || len(k) != ed25519.PrivateKeySize {
			return r, errors.New("the secret is not whsk_ and the base64 of an Ed25519 key of 64 bytes")
		}
		text = "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(k, append([]byte(before), r.Body...)))
	} else {
		k, err := standardKey(key)
		if err != nil {
			return r, err
		}
		text = "v1," + base64.StdEncoding.EncodeToString(mac(sha256.New, k, before, string(r.Body)))
	}
	r.Header.Set(s.time, t)
	r.Header.Set(s.signature, text)
	return r, nil
}
