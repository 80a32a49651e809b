package jws_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/jws"
)

const typ = "test+jwt"

func key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32)) }

func public() ed25519.PublicKey {
	p, _ := key().Public().(ed25519.PublicKey)
	return p
}

func b64[T ~string | ~[]byte](s T) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// raw signs exactly these bytes.
func raw(header, payload string) string {
	signed := b64(header) + "." + b64(payload)
	return signed + "." + b64(string(ed25519.Sign(key(), []byte(signed))))
}

const goodHeader = `{"alg":"EdDSA","typ":"test+jwt","kid":"k1"}`

// TestSignedIsReadHereAndElsewhere: by this package and by a JOSE library.
func TestSignedIsReadHereAndElsewhere(t *testing.T) {
	token := jws.Sign(typ, "k1", key(), []byte(`{"a":{"b":[1,"x",null]}}`))
	got, err := jws.Parse(token, typ)
	if err != nil || got.KeyID != "k1" || !got.Verify(public()) {
		t.Fatalf("%+v, %v", got, err)
	}
	if inner, _ := got.Claims["a"].(map[string]any); len(inner) != 1 {
		t.Errorf("claims: %v", got.Claims)
	}
	other, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	if payload, err := other.Verify(public()); err != nil || string(payload) != `{"a":{"b":[1,"x",null]}}` {
		t.Errorf("elsewhere: %s, %v", payload, err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key(), KeyID: "k1"}}, (&jose.SignerOptions{}).WithType(typ))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := jws.Parse(foreign, typ); err != nil || !got.Verify(public()) {
		t.Errorf("of a library: %v", err)
	}
}

// TestRefusedForms: each is refused though it is signed.
func TestRefusedForms(t *testing.T) {
	good := raw(goodHeader, `{}`)
	if _, err := jws.Parse(good, typ); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"empty":                    "",
		"two parts":                parts[0] + "." + parts[1],
		"four parts":               good + ".",
		"JSON serialisation":       `{"payload":"` + parts[1] + `"}`,
		"padding":                  good + "=",
		"a line break":             parts[0] + "." + parts[1][:1] + "\n" + parts[1][1:] + "." + parts[2],
		"standard alphabet":        strings.NewReplacer("-", "+", "_", "/").Replace(raw(goodHeader, `{"a":"???>>>"}`)),
		"unused bits":              parts[0] + "." + parts[1][:len(parts[1])-1] + "1." + parts[2],
		"a short signature":        parts[0] + "." + parts[1] + "." + parts[2][:40],
		"another type":             raw(strings.Replace(goodHeader, "test", "tset", 1), `{}`),
		"type in capitals":         raw(strings.Replace(goodHeader, "test+jwt", "TEST+JWT", 1), `{}`),
		"algorithm none":           raw(strings.Replace(goodHeader, "EdDSA", "none", 1), `{}`),
		"algorithm HS256":          raw(strings.Replace(goodHeader, "EdDSA", "HS256", 1), `{}`),
		"no key id":                raw(`{"alg":"EdDSA","typ":"test+jwt"}`, `{}`),
		"an empty key id":          raw(strings.Replace(goodHeader, "k1", "", 1), `{}`),
		"a long key id":            raw(strings.Replace(goodHeader, "k1", strings.Repeat("k", 65), 1), `{}`),
		"a key id that is none":    raw(strings.Replace(goodHeader, `"k1"`, "1", 1), `{}`),
		"crit":                     raw(`{"alg":"EdDSA","typ":"test+jwt","kid":"k1","crit":["exp"]}`, `{}`),
		"b64":                      raw(`{"alg":"EdDSA","typ":"test+jwt","kid":"k1","b64":false}`, `{}`),
		"jwk":                      raw(`{"alg":"EdDSA","typ":"test+jwt","kid":"k1","jwk":{}}`, `{}`),
		"a header name twice":      raw(`{"alg":"none","alg":"EdDSA","typ":"test+jwt","kid":"k1"}`, `{}`),
		"a name twice, escaped":    raw(goodHeader, `{"a":1,"\u0061":2}`),
		"a name twice, far inside": raw(goodHeader, `{"a":[{"b":1,"b":2}]}`),
		"payload is a list":        raw(goodHeader, `[]`),
		"payload is null":          raw(goodHeader, `null`),
		"two payloads":             raw(goodHeader, `{}{}`),
		"a byte order mark":        raw(goodHeader, "\ufeff{}"),
		"no UTF-8":                 raw(goodHeader, "{\"a\":\"\xff\"}"),
		"too deep":                 raw(goodHeader, strings.Repeat(`{"a":`, 17)+"1"+strings.Repeat("}", 17)),
		"a huge number":            raw(goodHeader, `{"a":1e999}`),
		"too long":                 raw(goodHeader, `{"a":"`+strings.Repeat("a", jws.MaxLength)+`"}`),
	} {
		if got, err := jws.Parse(token, typ); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		} else if strings.Contains(err.Error(), "k1") || strings.Contains(err.Error(), "???") {
			t.Errorf("%s: the error repeats the token: %v", name, err)
		}
	}
}

// TestEveryByteCounts: no token with one byte changed verifies.
func TestEveryByteCounts(t *testing.T) {
	token := jws.Sign(typ, "k1", key(), []byte(`{"amount":1900}`))
	for i := range token {
		for _, c := range []byte{token[i] ^ 1, 'A', '.'} {
			if c == token[i] {
				continue
			}
			changed := token[:i] + string(c) + token[i+1:]
			if got, err := jws.Parse(changed, typ); err == nil && got.Verify(public()) {
				t.Fatalf("byte %d changed to %q still verifies", i, c)
			}
		}
	}
	got, err := jws.Parse(token, typ)
	if err != nil || got.Verify(nil) || got.Verify(make(ed25519.PublicKey, 32)) || got.Verify(public()[:31]) {
		t.Errorf("another key verifies: %v", err)
	}
}

// TestClaims: each of its type and once asked for, all asked for.
func TestClaims(t *testing.T) {
	read := func(payload string) error {
		got, err := jws.Parse(raw(goodHeader, payload), typ)
		if err != nil {
			return err
		}
		r := jws.NewReader(got)
		name, n, at, o := r.Text("t", 4), r.Whole("n", 1, 9), r.Time("at"), r.Object("o")
		if err := r.Done(); err != nil {
			return err
		}
		if name != "abcd" || n != 9 || !at.Equal(time.Unix(5, 0)) || o == nil {
			t.Errorf("read %q %d %s %v", name, n, at, o)
		}
		return nil
	}
	const good = `{"t":"abcd","n":9,"at":5,"o":{}}`
	if err := read(good); err != nil {
		t.Fatal(err)
	}
	for old, replaced := range map[string]string{
		`"abcd"`: `"abcde"`, `"t":"abcd"`: `"t":""`, `"abcd",`: `"ab d",`, `:"abcd"`: `:"abä"`, `"t":"a`: `"T":"a`, `{"t":"abcd",`: `{`, `t":"abcd"`: `t":7`,
		`"n":9`: `"n":"9"`, `:9,`: `:10,`, `:9,"`: `:0,"`, `"n":9,`: `"n":9.0,`, `"n":9,"at"`: `"n":9e0,"at"`, `9,"at":5`: `9,"at":5.5`, `"at":5,`: `"at":0,`, `5,"o":{}`: `5,"o":[]`, `"o":{}`: `"o":null`, `{}}`: `{},"more":1}`,
	} {
		if payload := strings.Replace(good, old, replaced, 1); payload == good || read(payload) == nil {
			t.Errorf("%s is read", payload)
		}
	}
}

// FuzzParse: what is read is what was signed, byte for byte.
func FuzzParse(f *testing.F) {
	f.Add(goodHeader, `{"a":1}`)
	f.Add(`{"alg":"EdDSA","kid":"k","typ":"test+jwt"}`, `{"a":{"b":"\u00e4"}}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		got, err := jws.Parse(raw(header, payload), typ)
		if err != nil {
			return
		}
		var h map[string]string
		var want map[string]any
		if json.Unmarshal([]byte(header), &h) != nil || h["alg"] != "EdDSA" || h["typ"] != typ || h["kid"] != got.KeyID || len(h) != 3 {
			t.Errorf("header %s was taken", header)
		}
		d := json.NewDecoder(strings.NewReader(payload))
		d.UseNumber()
		if d.Decode(&want) != nil || len(want) != len(got.Claims) || !got.Verify(public()) {
			t.Errorf("payload %s reads %v", payload, got.Claims)
		}
	})
}
