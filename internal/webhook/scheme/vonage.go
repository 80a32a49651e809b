package scheme

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // Vonage's older scheme
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// vonage is a JWT in Authorization: HS256 and nothing else, keyed with the account's signature
// secret; its payload_hash binds the body. Source: nexmo-developer at 4da2b39,
// messages/concepts/signed-webhooks.md. Vonage's Node SDK takes RS256 for the same key, and
// checks no payload_hash.
type vonage struct {
	header    string
	issuer    string
	tolerance time.Duration
}

func newVonage(p *params, _ Config) kind {
	p.fixed("algorithm", "HS256")
	p.fixed("body_hash", "payload_hash")
	p.ignore("account_claim")
	return &vonage{header: p.text("header", "Authorization"), issuer: p.text("issuer", "Vonage"), tolerance: p.duration("tolerance", 5*time.Minute)}
}

// maxToken bounds a token.
const maxToken = 8 << 10

type vonageClaims struct {
	IssuedAt json.Number `json:"iat"`
	Expires  json.Number `json:"exp"`
	Begins   json.Number `json:"nbf"`
	ID       string      `json:"jti"`
	Issuer   string      `json:"iss"`
	Hash     string      `json:"payload_hash"`
}

func (k *vonage) verify(_ context.Context, r Request, keys [][]byte) (Verified, error) {
	value, err := one(r.Header, k.header)
	if err != nil {
		return Verified{}, err
	}
	scheme, token, _ := strings.Cut(value, " ")
	parts := strings.Split(token, ".")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > maxToken || len(parts) != 3 {
		return Verified{}, refuse("the form of the token")
	}
	var head struct {
		Algorithm string `json:"alg"`
		Critical  any    `json:"crit"`
	}
	var claims vonageClaims
	if !segment(parts[0], &head) || head.Algorithm != "HS256" || head.Critical != nil {
		return Verified{}, refuse("the token's algorithm")
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || !anyMAC(keys, [][]byte{given}, func(key []byte) []byte { return mac(sha256.New, key, parts[0], ".", parts[1]) }) {
		return Verified{}, refuse("no signature fits")
	}
	if !segment(parts[1], &claims) || claims.Issuer != k.issuer {
		return Verified{}, refuse("the token's claims")
	}
	body := sha256.Sum256(r.Body)
	if !hmac.Equal(body[:], lowerHex(strings.ToLower(claims.Hash), sha256.Size)) {
		return Verified{}, refuse("the body's hash")
	}
	signed, err := seconds(claims.IssuedAt.String())
	if err != nil {
		return Verified{}, err
	}
	if err := claims.valid(r.Now); err != nil {
		return Verified{}, err
	}
	return Verified{Signed: signed}, window(signed, r.Now, k.tolerance)
}

// valid holds a token to its own limits, where it has some: Vonage's have none so far, and a
// token that says it has ended has ended.
func (c vonageClaims) valid(now time.Time) error {
	if c.Expires != "" {
		if t, err := seconds(c.Expires.String()); err != nil || !now.Before(t) {
			return refuse("the token has ended")
		}
	}
	if c.Begins != "" {
		if t, err := seconds(c.Begins.String()); err != nil || now.Before(t) {
			return refuse("the token has not begun")
		}
	}
	return nil
}

func segment(s string, into any) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && unique(b) && json.Unmarshal(b, into) == nil
}

func (k *vonage) sign(r Request, key []byte) (Request, error) {
	sum := sha256.Sum256(r.Body)
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))
	claims, err := json.Marshal(map[string]any{"iat": r.Now.Unix(), "jti": rand.Text(), "iss": k.issuer, "payload_hash": hex.EncodeToString(sum[:])})
	if err != nil {
		return r, err
	}
	text := head + "." + base64.RawURLEncoding.EncodeToString(claims)
	r.Header.Set(k.header, "Bearer "+text+"."+base64.RawURLEncoding.EncodeToString(mac(sha256.New, key, text)))
	return r, nil
}

// vonageSig is the older sig parameter of SMS: the fields but sig, sorted by name, & and = in
// values written as _, as "&name=value…"; an MD5 of it and the secret, or an HMAC. Source:
// signing-messages.md and vonage-php-sdk-core at 9c6bc46, Signature.php: Vonage's Node SDK does
// otherwise. The time field is in it.
type vonageSig struct {
	hash      func() hash.Hash // nil: MD5 of text and secret
	tolerance time.Duration
}

func newVonageSig(p *params, _ Config) kind {
	algorithm := p.choice("hash", "md5hash", "md5", "sha1", "sha256", "sha512")
	return &vonageSig{hash: hashes()[algorithm], tolerance: p.duration("tolerance", 5*time.Minute)}
}

func (k *vonageSig) verify(_ context.Context, r Request, keys [][]byte) (Verified, error) {
	fields, err := vonageFields(r)
	if err != nil {
		return Verified{}, err
	}
	given := lowerHex(strings.ToLower(fields["sig"]), len(k.make(nil, nil)))
	if given == nil {
		return Verified{}, refuse("the form of sig")
	}
	if !anyMAC(keys, [][]byte{given}, func(key []byte) []byte { return k.make(fields, key) }) {
		return Verified{}, refuse("no signature fits")
	}
	signed, err := seconds(fields["timestamp"])
	if err != nil {
		return Verified{}, err
	}
	return Verified{Signed: signed}, window(signed, r.Now, k.tolerance)
}

func (k *vonageSig) make(fields map[string]string, key []byte) []byte {
	names := make([]string, 0, len(fields))
	for name := range fields {
		if name != "sig" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var text strings.Builder
	for _, name := range names {
		text.WriteString("&" + name + "=" + strings.NewReplacer("&", "_", "=", "_").Replace(fields[name]))
	}
	if k.hash == nil {
		sum := md5.Sum(append([]byte(text.String()), key...)) //nolint:gosec // Vonage's scheme
		return sum[:]
	}
	return mac(k.hash, key, text.String())
}

// vonageFields reads the fields from where they came: the query, a form or an object of JSON.
func vonageFields(r Request) (map[string]string, error) {
	out := map[string]string{}
	if len(r.Body) > 0 && !isForm(r.Header) {
		var all map[string]any
		dec := json.NewDecoder(strings.NewReader(string(r.Body)))
		dec.UseNumber()
		if !unique(r.Body) || dec.Decode(&all) != nil {
			return nil, refuse("the body")
		}
		for name, v := range all {
			switch v := v.(type) {
			case string:
				out[name] = v
			case json.Number:
				out[name] = v.String()
			default:
				return nil, refuse("a field that is no text")
			}
		}
		return out, nil
	}
	text := string(r.Body)
	if len(r.Body) == 0 {
		_, text, _ = strings.Cut(r.URL, "?")
	}
	form, err := url.ParseQuery(text)
	if err != nil {
		return nil, refuse("the fields")
	}
	for name, values := range form {
		if len(values) != 1 {
			return nil, refuse("a field that stands twice")
		}
		out[name] = values[0]
	}
	return out, nil
}

func (k *vonageSig) sign(r Request, key []byte) (Request, error) {
	fields, err := vonageFields(r)
	if err != nil {
		return r, err
	}
	fields["timestamp"] = cmp.Or(fields["timestamp"], strconv.FormatInt(r.Now.Unix(), 10))
	fields["sig"] = hex.EncodeToString(k.make(fields, key))
	if len(r.Body) > 0 && !isForm(r.Header) {
		r.Body, err = json.Marshal(fields)
		return r, err
	}
	form := url.Values{}
	for name, v := range fields {
		form.Set(name, v)
	}
	if r.Method == http.MethodGet {
		base, _, _ := strings.Cut(r.URL, "?")
		r.URL = base + "?" + form.Encode()
		return r, nil
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Body = []byte(form.Encode())
	return r, nil
}
