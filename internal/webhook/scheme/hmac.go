package scheme

import (
	"context"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // older schemes of providers: the key is secret
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"
)

// hashes by the names that parameters use.
func hashes() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{"sha256": sha256.New, "sha512": sha512.New, "sha1": sha1.New, "md5": md5.New}
}

func mac(h func() hash.Hash, key []byte, parts ...string) []byte {
	m := hmac.New(h, key)
	for _, p := range parts {
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

// hmacKind is the scheme that most providers have: an HMAC over the raw body, or over a text
// with the time before it, in a header. GitHub, Slack and Shopify are descriptions of it.
type hmacKind struct {
	header, prefix string
	also           string // a second header that counts instead, where it is there
	encoding       string
	hash           func() hash.Hash
	text           string // {time} and {body} are put in
	timeHeader     string
	tolerance      time.Duration
}

func newHMAC(p *params, _ Config) kind {
	k := &hmacKind{header: p.need("header"), also: p.text("header_first", ""), prefix: p.text("prefix", ""), encoding: p.choice("encoding", "hex", "base64"),
		hash: hashes()[p.choice("hash", "sha256", "sha512", "sha1")], text: p.text("text", "{body}"), timeHeader: p.text("time_header", ""), tolerance: p.duration("tolerance", 5*time.Minute)}
	if strings.Count(k.text, "{body}") != 1 || strings.Contains(k.text, "{time}") != (k.timeHeader != "") {
		p.errs = append(p.errs, fmt.Errorf("text: %q must have {body} once, and {time} where there is a time_header", k.text))
	}
	return k
}

func (k *hmacKind) verify(_ context.Context, r Request, keys [][]byte) (Verified, error) {
	header := k.header
	if k.also != "" && len(r.Header.Values(k.also)) > 0 {
		header = k.also
	}
	value, err := one(r.Header, header)
	if err != nil {
		return Verified{}, err
	}
	value, ok := strings.CutPrefix(value, k.prefix)
	if !ok {
		return Verified{}, refuse("the prefix of the signature")
	}
	given := k.decode(value)
	if given == nil {
		return Verified{}, refuse("the form of the signature")
	}
	var v Verified
	t := ""
	if k.timeHeader != "" {
		if t, err = one(r.Header, k.timeHeader); err != nil {
			return v, err
		}
		if v.Signed, err = seconds(t); err != nil {
			return v, err
		}
	}
	if !anyMAC(keys, [][]byte{given}, func(key []byte) []byte { return k.mac(key, t, r.Body) }) {
		return Verified{}, refuse("no signature fits")
	}
	if k.timeHeader != "" {
		return v, window(v.Signed, r.Now, k.tolerance)
	}
	return v, nil
}

func (k *hmacKind) mac(key []byte, t string, body []byte) []byte {
	before, after, _ := strings.Cut(strings.ReplaceAll(k.text, "{time}", t), "{body}")
	return mac(k.hash, key, before, string(body), after)
}

func (k *hmacKind) decode(s string) []byte {
	n := k.hash().Size()
	if k.encoding == "hex" {
		return lowerHex(s, n)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != n || strings.ContainsAny(s, "\r\n") {
		return nil
	}
	return b
}

func (k *hmacKind) sign(r Request, key []byte) (Request, error) {
	t := ""
	if k.timeHeader != "" {
		t = strconv.FormatInt(r.Now.Unix(), 10)
		r.Header.Set(k.timeHeader, t)
	}
	m := k.mac(key, t, r.Body)
	text := hex.EncodeToString(m)
	if k.encoding == "base64" {
		text = base64.StdEncoding.EncodeToString(m)
	}
	r.Header.Set(k.header, k.prefix+text)
	return r, nil
}

// newMeta is Meta's: X-Hub-Signature-256 over the raw bytes, which are ASCII with \u escapes as
// Meta writes them; hashing what a JSON library writes anew is the usual mistake.
func newMeta(p *params, _ Config) kind {
	p.fixed("algorithm", "HMAC-SHA256")
	p.ignore("deletion")
	return &hmacKind{header: p.text("header", "X-Hub-Signature-256"), prefix: p.text("prefix", "sha256="), encoding: "hex", hash: sha256.New, text: "{body}"}
}
