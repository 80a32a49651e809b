package scheme

import (
	"context"
	"crypto/sha1" //nolint:gosec // Twilio's scheme
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

// twilio is X-Twilio-Signature: base64 of HMAC-SHA1, keyed with the account's auth token, over the
// public address and, for forms, the fields sorted by name: name and value of each, a repeated
// name's values sorted and without doubles, as twilio-node 6.2.0 does it (lib/webhooks/webhooks.js;
// twilio-go takes the first value only). JSON bodies are bound by bodySHA256 in the
// address. There is no time: the event's id and the memory of duplicates stand for it.
// I-Twilio-Idempotency-Token is not signed, so it is no event id here.
type twilio struct{ header string }

func newTwilio(p *params, _ Config) kind {
	p.fixed("algorithm", "HMAC-SHA1")
	p.fixed("json_body_hash", "bodySHA256")
	p.ignore("dedupe_header")
	return &twilio{header: p.text("header", "X-Twilio-Signature")}
}

func (k *twilio) verify(_ context.Context, r Request, keys [][]byte) (Verified, error) {
	value, err := one(r.Header, k.header)
	if err != nil {
		return Verified{}, err
	}
	given, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil || len(given) != sha1.Size {
		return Verified{}, refuse("the form of the signature")
	}
	fields, err := twilioFields(r)
	if err != nil {
		return Verified{}, err
	}
	good := false
	for _, address := range twilioAddresses(r.URL) {
		if anyMAC(keys, [][]byte{given}, func(key []byte) []byte { return mac(sha1.New, key, address, fields) }) {
			good = true
		}
	}
	if !good {
		return Verified{}, refuse("no signature fits")
	}
	return Verified{}, nil
}

// twilioFields is what follows the address: the fields of a form, or nothing where the address
// holds the body's hash.
func twilioFields(r Request) (string, error) {
	_, q, _ := strings.Cut(r.URL, "?")
	if query, err := url.ParseQuery(q); err == nil && len(query["bodySHA256"]) > 0 {
		sum := sha256.Sum256(r.Body)
		if len(query["bodySHA256"]) != 1 || !anyMAC([][]byte{nil}, [][]byte{lowerHex(query.Get("bodySHA256"), sha256.Size)}, func([]byte) []byte { return sum[:] }) {
			return "", refuse("the body's hash")
		}
		return "", nil
	}
	if len(r.Body) == 0 {
		return "", nil
	}
	if !isForm(r.Header) {
		return "", refuse("a body that nothing signs")
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return "", refuse("the form")
	}
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.SortFunc(names, compareUTF16)
	var out strings.Builder
	for _, name := range names {
		values := slices.Clone(form[name])
		slices.SortFunc(values, compareUTF16)
		for _, v := range slices.Compact(values) {
			out.WriteString(name)
			out.WriteString(v)
		}
	}
	return out.String(), nil
}

func (k *twilio) sign(r Request, key []byte) (Request, error) {
	if len(r.Body) > 0 && !isForm(r.Header) && !strings.Contains(r.URL, "bodySHA256=") {
		sum := sha256.Sum256(r.Body)
		mark := "?"
		if strings.Contains(r.URL, "?") {
			mark = "&"
		}
		r.URL += mark + "bodySHA256=" + hex.EncodeToString(sum[:])
	}
	fields, err := twilioFields(r)
	if err != nil {
		return r, err
	}
	r.Header.Set(k.header, base64.StdEncoding.EncodeToString(mac(sha1.New, key, r.URL, fields)))
	return r, nil
}
