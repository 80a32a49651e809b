package jws_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"sallyport/internal/jws"
)

type signer struct {
	rsa *rsa.PrivateKey
	set *jws.Set
	doc []byte
}

func newSigner(t *testing.T) signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	doc := fmt.Appendf(nil, `{"keys":[{"kty":"RSA","use":"sig","kid":"one","n":%q,"e":"AQAB"}]}`, b64(k.N.Bytes()))
	set, err := jws.ParseSet(doc, jws.Accept{RSA: jws.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return signer{k, set, doc}
}

// sign signs with RS256 whatever the header says.
func (s signer) sign(t *testing.T, header, payload string) string {
	t.Helper()
	in := b64([]byte(header)) + "." + b64([]byte(payload))
	sum := sha256.Sum256([]byte(in))
	sig, err := rsa.SignPKCS1v15(nil, s.rsa, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return in + "." + b64(sig)
}

// TestOpenRefusesWhatAHeaderAsksFor signs each token truly, so that only the rule refuses it.
func TestOpenRefusesWhatAHeaderAsksFor(t *testing.T) {
	s := newSigner(t)
	good := s.sign(t, `{"alg":"RS256","kid":"one","typ":"JWT","x5t":"abc"}`, `{"sub":"1"}`)
	o, err := jws.Open(context.Background(), good, s.set)
	if err != nil || string(o.Payload) != `{"sub":"1"}` || o.Type != "JWT" || o.Key.ID() != "one" {
		t.Fatalf("the control: %+v, %v", o, err)
	}
	headers := map[string]string{
		"none": `{"alg":"none","kid":"one"}`, "None": `{"alg":"None","kid":"one"}`, "nOnE": `{"alg":"nOnE","kid":"one"}`,
		"no alg": `{"kid":"one"}`, "alg twice": `{"alg":"RS256","alg":"RS256","kid":"one"}`, "alg by escape": `{"alg":"RS256","\u0061lg":"none","kid":"one"}`,
		"PS for RS": `{"alg":"PS256","kid":"one"}`, "HS for RS": `{"alg":"HS256","kid":"one"}`, "RS512": `{"alg":"RS512","kid":"one"}`,
		"crit": `{"alg":"RS256","kid":"one","crit":["exp"]}`, "zip": `{"alg":"RS256","kid":"one","zip":"DEF"}`, "b64": `{"alg":"RS256","kid":"one","b64":false}`,
		"nested": `{"alg":"RS256","kid":"one","cty":"JWT"}`, "jku": `{"alg":"RS256","kid":"one","jku":"http://127.0.0.1:1/keys"}`,
		"x5u": `{"alg":"RS256","kid":"one","x5u":"http://127.0.0.1:1/cert"}`, "x5c": `{"alg":"RS256","kid":"one","x5c":["MIIB"]}`,
		"jwk":       `{"alg":"RS256","kid":"one","jwk":` + strings.TrimSuffix(strings.TrimPrefix(string(s.doc), `{"keys":[`), `]}`) + `}`,
		"traversal": `{"alg":"RS256","kid":"../../../../dev/null"}`, "sql": `{"alg":"RS256","kid":"one' OR '1'='1"}`, "kid is a number": `{"alg":"RS256","kid":1}`,
		"long kid": `{"alg":"RS256","kid":"` + strings.Repeat("a", 10_000) + `"}`, "other kid": `{"alg":"RS256","kid":"two"}`, "empty kid": `{"alg":"RS256","kid":""}`,
		"not an object": `["RS256"]`, "upper case name": `{"ALG":"RS256","kid":"one"}`,
	}
	for name, h := range headers {
		if _, err := jws.Open(context.Background(), s.sign(t, h, `{"sub":"1"}`), s.set); !errors.Is(err, jws.ErrNotVerified) {
			t.Errorf("%s: %v", name, err)
		}
	}
	spellings := map[string]string{
		"padding": strings.Replace(good, ".", "=.", 1), "newline": strings.Replace(good, ".", "\n.", 1), "space": good + " ", "no signature": good[:strings.LastIndexByte(good, '.')+1],
		"two parts": good[:strings.LastIndexByte(good, '.')], "four parts": good + ".a", "long": good + strings.Repeat("A", jws.MaxForeignLength), "empty": "",
		"JSON": `{"payload":"a","protected":"b","signature":"c"}`,
	}
	for name, token := range spellings {
		if _, err := jws.Open(context.Background(), token, s.set); !errors.Is(err, jws.ErrNotVerified) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSecretFromPublicKey is the HS/RS confusion: an HMAC whose secret is the public key.
func TestSecretFromPublicKey(t *testing.T) {
	s := newSigner(t)
	in := b64([]byte(`{"alg":"HS256","kid":"one"}`)) + "." + b64([]byte(`{"sub":"admin"}`))
	for _, secret := range [][]byte{s.doc, s.rsa.N.Bytes(), []byte(b64(s.rsa.N.Bytes()))} {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(in))
		if _, err := jws.Open(context.Background(), in+"."+b64(mac.Sum(nil)), s.set); !errors.Is(err, jws.ErrNotVerified) {
			t.Errorf("accepted: %v", err)
		}
	}
}

func TestClaimsOfOthersStandOnce(t *testing.T) {
	s := newSigner(t)
	for _, payload := range []string{`{"sub":"1","sub":"2"}`, `{"sub":"1","\u0073ub":"2"}`, `[]`, `"x"`, `{"a":{"b":1,"b":2}}`, "{\"a\":\"\xff\"}", `{"a":1}{}`} {
		o, err := jws.Open(context.Background(), s.sign(t, `{"alg":"RS256","kid":"one"}`, payload), s.set)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Claims(); !errors.Is(err, jws.ErrNotVerified) {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

func TestSeconds(t *testing.T) {
	for in, want := range map[string]int64{"1700000000": 1700000000, "1700000000.75": 1700000000, "1.7e9": 1700000000, "0": 0, "-5": 0, "1e18": 0} {
		got, ok := jws.Seconds(json.Number(in))
		if got != want || ok != (want != 0) {
			t.Errorf("%s: %d %t", in, got, ok)
		}
	}
	for _, v := range []any{nil, "1700000000", true, json.Number("x")} {
		if _, ok := jws.Seconds(v); ok {
			t.Errorf("%v was taken", v)
		}
	}
}

func TestSetsThatDoNotCount(t *testing.T) {
	s := newSigner(t)
	n := b64(s.rsa.N.Bytes())
	good := fmt.Sprintf(`{"kty":"RSA","use":"sig","alg":"RS256","kid":"a","n":%q,"e":"AQAB"}`, n)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	off := new(big.Int).Add(new(big.Int).SetBytes(point[33:]), big.NewInt(1)).FillBytes(make([]byte, 32))
	bad := map[string]string{
		"no keys": `{"keys":[]}`, "no list": `{"keys":{}}`, "no set": good, "twice": `{"keys":[` + good + `],"keys":[]}`,
		"one kid twice":   `{"keys":[` + good + `,` + good + `]}`,
		"enc":             `{"keys":[` + strings.Replace(good, "sig", "enc", 1) + `]}`,
		"ops":             `{"keys":[` + strings.Replace(good, `"use":"sig"`, `"key_ops":["sign"]`, 1) + `]}`,
		"short":           fmt.Sprintf(`{"keys":[{"kty":"RSA","alg":"RS256","n":%q,"e":"AQAB"}]}`, b64(s.rsa.N.Bytes()[:128])),
		"exponent 1":      `{"keys":[` + strings.Replace(good, "AQAB", "AQ", 1) + `]}`,
		"exponent even":   `{"keys":[` + strings.Replace(good, "AQAB", "BA", 1) + `]}`,
		"padded n":        `{"keys":[` + strings.Replace(good, n, n+"=", 1) + `]}`,
		"leading zero":    `{"keys":[` + strings.Replace(good, n, b64(append([]byte{0}, s.rsa.N.Bytes()...)), 1) + `]}`,
		"oct":             `{"keys":[{"kty":"oct","alg":"HS256","k":"` + b64(make([]byte, 32)) + `"}]}`,
		"no alg":          `{"keys":[` + strings.Replace(good, `"alg":"RS256",`, "", 1) + `]}`,
		"none":            `{"keys":[` + strings.Replace(good, `RS256`, "none", 1) + `]}`,
		"RSA-OAEP":        `{"keys":[` + strings.Replace(good, `RS256`, "RSA-OAEP", 1) + `]}`,
		"point off curve": fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","x":%q,"y":%q}]}`, b64(point[1:33]), b64(off)),
		"infinity":        fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","x":%q,"y":%q}]}`, b64(make([]byte, 32)), b64(make([]byte, 32))),
		"too many":        `{"keys":[` + strings.Repeat(`{"kty":"x"},`, jws.MaxSetKeys) + good + `]}`,
		"too long":        `{"keys":[` + good + `],"x":"` + strings.Repeat("a", jws.MaxSetSize) + `"}`,
	}
	for name, doc := range bad {
		if set, err := jws.ParseSet([]byte(doc), jws.Accept{}); err == nil {
			t.Errorf("%s: a set of %d keys", name, set.Len())
		}
	}
	set, err := jws.ParseSet([]byte(`{"keys":[`+good+`,{"kty":"RSA","use":"enc","kid":"b","n":"AQ","e":"AQAB"}]}`), jws.Accept{})
	if err != nil || set.Len() != 1 || len(set.Skipped()) != 1 {
		t.Fatalf("a key for encrypting beside one that counts: %v", err)
	}
	if shown := fmt.Sprintf("%v %+v %#v", must1(jws.NewKey(jws.HS256, "h", []byte(strings.Repeat("secret", 8)))), set, set); strings.Contains(shown, "secretsecret") {
		t.Errorf("a key shows its secret: %s", shown)
	}
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
