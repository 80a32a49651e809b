// Package backend tests the helpers of a site's backend, in every language that they are
// written in, for real: against shared vectors (backend/vectors.json) and against a running
// gate.
package backend

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/jws"
	"sallyport/internal/permit"
	"sallyport/internal/problem"
	"sallyport/internal/receipt"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

var update = flag.Bool("update", false, "write backend/vectors.json again")

const vectorsFile = "../../backend/vectors.json"

// object is JSON whose order does not matter.
type object = map[string]any

// vectors is the file. Times are Unix seconds.
type vectors struct {
	About    string        `json:"about"`
	SiteKeys []siteKey     `json:"site_keys"`
	Permits  permitVectors `json:"permits"`
	Vouchers []signed      `json:"vouchers"`
	Receipts receiptVector `json:"receipts"`
}

type siteKey struct {
	Printed   string `json:"printed"`
	PermitKey string `json:"permit_key"` // the kid of what it signs
}

// signed is a statement that a helper signs: of these arguments exactly this token.
type signed struct {
	Name    string `json:"name"`
	SiteKey string `json:"site_key"`
	Given   object `json:"given"`
	Token   string `json:"token"`
}

type permitVectors struct {
	Now  int64    `json:"now"`
	Call object   `json:"call"` // that a permit is held against
	Good []signed `json:"good"`
	Bad  []bad    `json:"refused"`
}

type bad struct {
	Name   string `json:"name"`
	Token  string `json:"token"`
	Reason string `json:"reason"`
}

type receiptVector struct {
	Now  int64           `json:"now"`
	JWKS json.RawMessage `json:"jwks"`
	Want object          `json:"want"`
	Good []good          `json:"good"`
	Bad  []bad           `json:"refused"`
}

type good struct {
	Name   string `json:"name"`
	Token  string `json:"token"`
	Claims object `json:"claims"`
}

func load(t *testing.T) vectors {
	t.Helper()
	raw, err := os.ReadFile(filepath.FromSlash(vectorsFile))
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestVectorsAreCurrent: the file is what this test makes of fixed keys and times.
func TestVectorsAreCurrent(t *testing.T) {
	raw, err := json.MarshalIndent(made(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	raw = append(raw, '\n')
	if *update {
		if err := os.WriteFile(filepath.FromSlash(vectorsFile), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(filepath.FromSlash(vectorsFile))
	if err != nil || !bytes.Equal(have, raw) {
		t.Fatalf("%s differs (%v); if that is meant, run with -update: %s", vectorsFile, err, cmp.Diff(string(have), string(raw)))
	}
}

const noon = 1795435200 // 2026-11-23T12:00:00Z

const (
	shopKey  = "spk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	otherKey = "sk_test_zYxWvUtSrQpOnMlKjIhGfEdCbA9876543210zYxWvUtSrQpO"
)

func keyOf(t *testing.T, printed string) (ed25519.PrivateKey, string) {
	t.Helper()
	key, err := session.PermitSigner(printed)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := key.Public().(ed25519.PublicKey)
	return key, base64.RawURLEncoding.EncodeToString(public)
}

func made(t *testing.T) vectors {
	v := vectors{About: "Shared vectors of the helpers in this folder. A helper must sign each `given` to exactly its `token`, accept each good receipt at `now` with " +
		"`want` and the key set, and refuse each other with its `reason`. Refused permits are for the gate. Times are Unix seconds. The site keys are of nobody."}
	for _, printed := range []string{shopKey, otherKey} {
		_, kid := keyOf(t, printed)
		v.SiteKeys = append(v.SiteKeys, siteKey{Printed: printed, PermitKey: kid})
	}
	v.Permits = madePermits(t)
	for _, row := range []struct {
		name, key string
		given     object
	}{
		{"a voucher", shopKey, object{"site": "shop", "session": "visit-1", "life": 300, "id": "voucher-1", "now": noon}},
		{"another key, the longest life", otherKey, object{"site": "shop", "session": "Zq3-_x", "life": 900, "id": "v", "now": noon}},
	} {
		given := row.given
		token := signOrdered(t, permit.VoucherType, row.key, [][2]any{{"jti", given["id"]}, {"site", given["site"]}, {"session", given["session"]}, {"exp", noon + given["life"].(int)}})
		v.Vouchers = append(v.Vouchers, signed{row.name, row.key, given, token})
	}
	v.Receipts = madeReceipts(t)
	return v
}

func permitGiven(change ...any) object {
	out := object{"site": "shop", "connection": "payments", "mode": "sandbox", "operation": "create-payment-intent", "origin": "https://shop.example",
		"session": "visit-1", "sealed": object{"amount": 1900}, "uses": 1, "life": 300, "id": "order-17", "now": noon}
	for i := 0; i+1 < len(change); i += 2 {
		name, _ := change[i].(string)
		out[name] = change[i+1]
	}
	return out
}

// permitToken signs the documented claims of the arguments, and then those of change: nil
// leaves a claim out.
func permitToken(t *testing.T, key string, given object, change ...any) string {
	now, life := given["now"].(int), given["life"].(int)
	claims := [][2]any{{"jti", given["id"]}}
	for _, name := range []string{"site", "connection", "mode", "operation", "origin", "session", "sealed", "uses"} {
		claims = append(claims, [2]any{name, given[name]})
	}
	claims = append(claims, [2]any{"nbf", now}, [2]any{"exp", now + life})
	return signOrdered(t, permit.Type, key, changed(claims, change))
}

func changed(claims [][2]any, change []any) [][2]any {
	for i := 0; i+1 < len(change); i += 2 {
		found := false
		for j := range claims {
			if claims[j][0] == change[i] {
				claims[j][1], found = change[i+1], true
			}
		}
		if !found {
			claims = append(claims, [2]any{change[i], change[i+1]})
		}
	}
	return claims
}

func signOrdered(t *testing.T, typ, printed string, claims [][2]any) string {
	t.Helper()
	key, kid := keyOf(t, printed)
	return jws.Sign(typ, kid, key, ordered(t, claims))
}

func ordered(t *testing.T, claims [][2]any) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, c := range claims {
		if c[1] == nil {
			continue
		}
		var value bytes.Buffer
		enc := json.NewEncoder(&value)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(c[1]); err != nil {
			t.Fatal(err)
		}
		if out.Len() > 0 {
			out.WriteByte(',')
		}
		out.WriteString(`"` + c[0].(string) + `":` + strings.TrimSpace(value.String()))
	}
	return []byte("{" + out.String() + "}")
}

func madePermits(t *testing.T) permitVectors {
	v := permitVectors{Now: noon, Call: object{"site": "shop", "connection": "payments", "mode": "sandbox", "operation": "create-payment-intent",
		"origin": "https://shop.example", "session": "visit-1", "sealed": []string{"amount"}}}
	for _, row := range []struct {
		name, key string
		given     object
	}{
		{"one amount", shopKey, permitGiven()},
		{"another key", otherKey, permitGiven("id", "order-18")},
		{"any visit, many uses, the longest life", shopKey, permitGiven("session", "any", "uses", 1000, "life", 900)},
		{"values of every kind", shopKey, permitGiven("sealed", object{"amount": 1900, "automatic_tax.enabled": true, "line_items[0].price": "price_1",
			"metadata": object{"note": "größer <b>&\"\\/", "order": "17"}, "nothing": nil, "tags": []any{"a", 2, false}})},
		{"nothing sealed", shopKey, permitGiven("sealed", object{})},
	} {
		v.Good = append(v.Good, signed{row.name, row.key, row.given, permitToken(t, row.key, row.given)})
	}
	plain := permitGiven()
	token := permitToken(t, shopKey, plain)
	parts := strings.Split(token, ".")
	key, kid := keyOf(t, shopKey)
	_, otherKid := keyOf(t, otherKey)
	payload := ordered(t, [][2]any{{"jti", "a"}})
	dec := func(s string) string { b, _ := base64.RawURLEncoding.DecodeString(s); return string(b) }
	enc := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	resign := func(header, payload string) string {
		s := enc(header) + "." + enc(payload)
		return s + "." + enc(string(ed25519.Sign(key, []byte(s))))
	}
	header := dec(parts[0])
	add := func(name, reason, token string) { v.Bad = append(v.Bad, bad{name, token, reason}) }
	add("empty", "malformed", "")
	add("two parts", "malformed", parts[0]+"."+parts[1])
	add("padding", "malformed", parts[0]+"."+parts[1]+"."+parts[2]+"==")
	add("unused bits set", "malformed", parts[0]+"."+parts[1]+"."+parts[2][:len(parts[2])-1]+string(parts[2][len(parts[2])-1]+1))
	add("algorithm none", "malformed", enc(strings.Replace(header, "EdDSA", "none", 1))+"."+parts[1]+".")
	add("algorithm HS256", "malformed", resign(strings.Replace(header, "EdDSA", "HS256", 1), dec(parts[1])))
	add("type of a voucher", "malformed", resign(strings.Replace(header, "permit", "voucher", 1), dec(parts[1])))
	add("a key in the header", "malformed", resign(strings.Replace(header, `{`, `{"jwk":{"kty":"OKP"},`, 1), dec(parts[1])))
	add("a header name twice", "malformed", resign(strings.Replace(header, `{`, `{"alg":"EdDSA",`, 1), dec(parts[1])))
	add("a claim twice", "malformed", resign(header, strings.Replace(dec(parts[1]), `{`, `{"uses":9,`, 1)))
	add("a sealed path twice", "malformed", resign(header, strings.Replace(dec(parts[1]), `{"amount":1900}`, `{"amount":1900,"amount":1}`, 1)))
	add("too long", "malformed", permitToken(t, shopKey, permitGiven("sealed", object{"amount": strings.Repeat("9", 4096)})))
	add("no key of this site", "key", jws.Sign(permit.Type, base64.RawURLEncoding.EncodeToString(make([]byte, 32)), key, payload))
	add("a short key id", "key", jws.Sign(permit.Type, "key_1", key, payload))
	add("the key id of another key", "signature", resign(strings.Replace(header, kid, otherKid, 1), dec(parts[1])))
	add("an edited amount", "signature", parts[0]+"."+enc(strings.Replace(dec(parts[1]), "1900", "1000", 1))+"."+parts[2])
	for _, row := range []struct {
		name, reason string
		change       []any
	}{
		{"a claim of its own", "claims", []any{"admin", true}},
		{"no session", "claims", []any{"session", nil}},
		{"no id", "claims", []any{"jti", nil}},
		{"no sealed", "claims", []any{"sealed", nil}},
		{"sealed is a list", "claims", []any{"sealed", []any{}}},
		{"uses as text", "claims", []any{"uses", "1"}},
		{"no uses left", "claims", []any{"uses", 0}},
		{"1001 uses", "claims", []any{"uses", 1001}},
		{"half a second", "claims", []any{"exp", float64(noon) + 1.5}},
		{"lives 901 seconds", "lifetime", []any{"exp", noon + 901}},
		{"ends before it begins", "lifetime", []any{"exp", noon - 1}},
		{"expired", "expired", []any{"nbf", noon - 300, "exp", noon}},
		{"more than a minute early", "early", []any{"nbf", noon + 61, "exp", noon + 300}},
		{"another site", "site", []any{"site", "blog"}},
		{"another connection", "connection", []any{"connection", "sms"}},
		{"another mode", "mode", []any{"mode", "live"}},
		{"another operation", "operation", []any{"operation", "create-refund"}},
		{"another origin", "origin", []any{"origin", "https://shop.example:8443"}},
		{"another visit", "session", []any{"session", "visit-2"}},
		{"a path less", "missing", []any{"sealed", object{}}},
		{"another path", "missing", []any{"sealed", object{"Amount": 1}}},
		{"a path more", "extra", []any{"sealed", object{"amount": 1, "currency": "usd"}}},
	} {
		add(row.name, row.reason, permitToken(t, shopKey, permitGiven(), row.change...))
	}
	return v
}

func gateKey() (ed25519.PrivateKey, string) {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)), "kVectors1"
}

func madeReceipts(t *testing.T) receiptVector {
	key, kid := gateKey()
	public, _ := key.Public().(ed25519.PublicKey)
	jwks, err := json.Marshal(object{"keys": []object{
		{"kty": "RSA", "kid": "other-kind", "n": "AQAB", "e": "AQAB"},
		{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64.RawURLEncoding.EncodeToString(public), "alg": "EdDSA", "use": "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	v := receiptVector{Now: noon + 60, JWKS: jwks, Want: object{"site": "shop", "connection": "payments", "mode": "live", "operation": "create-payment-intent"}}
	claims := func(change ...any) []byte {
		return ordered(t, changed([][2]any{{"iss", "sallyport"}, {"aud", "shop"}, {"jti", "r-1"}, {"connection", "payments"}, {"mode", "live"},
			{"operation", "create-payment-intent"}, {"fields", object{"amount": 1900, "id": "pi_1", "status": "succeeded"}}, {"session", "visit-1"},
			{"origin", "https://shop.example"}, {"iat", noon}, {"exp", noon + 300}}, change))
	}
	sign := func(change ...any) string { return jws.Sign(receipt.Type, kid, key, claims(change...)) }
	for name, change := range map[string][]any{
		"a payment":                     nil,
		"no fields":                     {"fields", object{}, "jti", "r-2"},
		"values of every kind":          {"fields", object{"a": nil, "b": true, "c": "größer <b>", "d.e": -7}, "jti", "r-3"},
		"a minute of difference":        {"iat", noon + 120, "exp", noon + 420, "jti", "r-4"},
		"the last second of its life":   {"iat", noon - 239, "exp", noon + 61, "jti", "r-5"},
		"a claim that is not known yet": {"note", "new", "jti", "r-6"},
	} {
		var c object
		d := json.NewDecoder(bytes.NewReader(claims(change...)))
		d.UseNumber()
		if err := d.Decode(&c); err != nil {
			t.Fatal(err)
		}
		v.Good = append(v.Good, good{name, sign(change...), c})
	}
	sortGood(v.Good)
	add := func(name, reason, token string) { v.Bad = append(v.Bad, bad{name, token, reason}) }
	token := sign()
	parts := strings.Split(token, ".")
	edited := base64.RawURLEncoding.EncodeToString(claims("fields", object{"status": "succeeded"}))
	add("empty", "malformed", "")
	add("two parts", "malformed", parts[0]+"."+parts[1])
	add("padding", "malformed", token+"==")
	add("unused bits set", "malformed", token[:len(token)-1]+string(token[len(token)-1]+1))
	add("a line break", "malformed", parts[0]+"."+parts[1][:8]+"\n"+parts[1][8:]+"."+parts[2])
	add("a session token", "malformed", jws.Sign("sallyport-session+jwt", kid, key, claims()))
	add("a permit", "malformed", jws.Sign(permit.Type, kid, key, claims()))
	add("too long", "malformed", sign("fields", object{"a": strings.Repeat("a", 4096)}))
	add("another key", "key", jws.Sign(receipt.Type, "kOther", key, claims()))
	add("a site key signed it", "signature", jws.Sign(receipt.Type, kid, ed25519.NewKeyFromSeed(make([]byte, 32)), claims()))
	add("edited", "signature", parts[0]+"."+edited+"."+parts[2])
	add("no signature", "malformed", parts[0]+"."+parts[1]+".")
	add("a list", "claims", jws.Sign(receipt.Type, kid, key, []byte(`["r-1"]`)))
	for _, row := range []struct {
		name, reason string
		change       []any
	}{
		{"another issuer", "claims", []any{"iss", "https://evil.example"}},
		{"no id", "claims", []any{"jti", nil}},
		{"no fields at all", "claims", []any{"fields", nil}},
		{"no end", "claims", []any{"exp", nil}},
		{"lives too long", "claims", []any{"exp", noon + 301}},
		{"late", "expired", []any{"iat", noon - 240, "exp", noon + 60}},
		{"from the future", "early", []any{"iat", noon + 121, "exp", noon + 400}},
		{"another site", "site", []any{"aud", "blog"}},
		{"another connection", "connection", []any{"connection", "payments-test"}},
		{"another mode", "mode", []any{"mode", "sandbox"}},
		{"another operation", "operation", []any{"operation", "retrieve-payment-intent"}},
		{"claimed before", "used", []any{"jti", "r-2"}},
	} {
		add(row.name, row.reason, sign(row.change...))
	}
	return v
}

func sortGood(list []good) {
	for i := range list {
		for j := i; j > 0 && list[j].Name < list[j-1].Name; j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
}

// fixedKeys are the site keys of the vectors, for the gate's own reader.
type fixedKeys map[string]session.StoredKey

func (k fixedKeys) PermitKey(_ context.Context, key ed25519.PublicKey) (session.StoredKey, error) {
	if stored, ok := k[string(key)]; ok {
		return stored, nil
	}
	return session.StoredKey{}, session.ErrKeyNotFound
}

// TestGateReadsTheVectors: the gate's own readers agree with the file.
func TestGateReadsTheVectors(t *testing.T) {
	v := load(t)
	keys := fixedKeys{}
	for i, k := range v.SiteKeys {
		private, kid := keyOf(t, k.Printed)
		public, _ := private.Public().(ed25519.PublicKey)
		if kid != k.PermitKey {
			t.Errorf("permit key %s, the file says %s", kid, k.PermitKey)
		}
		keys[string(public)] = session.StoredKey{ID: "key_" + string(rune('a'+i)), Site: "shop", PermitKey: public}
	}
	reader, err := permit.NewReader(permit.Options{Keys: keys, Now: func() time.Time { return time.Unix(v.Permits.Now, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	text := func(name string) string { s, _ := v.Permits.Call[name].(string); return s }
	call := permit.Call{Site: text("site"), Connection: text("connection"), Mode: text("mode"), Operation: text("operation"), Origin: site.Origin(text("origin")), Session: text("session")}
	read := func(token string) (*permit.Permit, error) {
		p, err := reader.ReadPermit(t.Context(), token)
		if err != nil {
			return p, err
		}
		return p, p.Check(call)
	}
	for _, one := range v.Permits.Good {
		p, err := read(one.Token)
		if err != nil {
			t.Errorf("permit %q: %v", one.Name, err)
			continue
		}
		if d := cmp.Diff(one.Given["sealed"], any(p.Sealed)); d != "" || p.ID != one.Given["id"] {
			t.Errorf("permit %q reads %+v: %s", one.Name, p, d)
		}
	}
	for _, one := range v.Permits.Bad {
		p, err := read(one.Token)
		if err == nil {
			err = sealedExactly(p.Sealed, v.Permits.Call["sealed"])
		}
		var refusal *permit.Refusal
		if !errors.As(err, &refusal) || refusal.Reason != one.Reason {
			t.Errorf("permit %q: %v; want it refused for %s", one.Name, err, one.Reason)
		}
	}
	for _, one := range v.Vouchers {
		visit, _ := one.Given["session"].(string)
		if _, err := reader.ReadVoucher(t.Context(), one.Token, "shop", visit); err != nil {
			t.Errorf("voucher %q: %v", one.Name, err)
		}
		if _, err := reader.ReadPermit(t.Context(), one.Token); err == nil {
			t.Errorf("voucher %q passes for a permit", one.Name)
		}
	}
}

// sealedExactly is what the pipeline holds against the rule; egress tests that it does.
func sealedExactly(sealed map[string]any, paths any) error {
	list, _ := paths.([]any)
	left := maps.Clone(sealed)
	for _, p := range list {
		name, _ := p.(string)
		if _, ok := left[name]; !ok {
			return &permit.Refusal{Reason: "missing"}
		}
		delete(left, name)
	}
	if len(left) > 0 {
		return &permit.Refusal{Reason: "extra"}
	}
	return nil
}

// gateKeys is the gate's key set of the vectors.
type gateKeys struct{}

func (gateKeys) Sign(string, []byte) (string, error) { return "", errors.New("not here") }
func (gateKeys) PublicKey(id string) (ed25519.PublicKey, bool) {
	key, kid := gateKey()
	public, ok := key.Public().(ed25519.PublicKey)
	return public, ok && id == kid
}

// claimed is receipt.Store in memory.
type claimed map[string]bool

func (c claimed) ClaimReceipt(_ context.Context, one receipt.Claim) (bool, error) {
	first := !c[one.Site+one.ID]
	c[one.Site+one.ID] = true
	return first, nil
}
func (c claimed) PurgeReceipts(context.Context, time.Time) (int, error) { return 0, nil }

// TestDeskTakesTheReceipts: what the gate's own desk says of the receipts. It knows no more
// than site and connection, and no claim that is not known.
func TestDeskTakesTheReceipts(t *testing.T) {
	v := load(t)
	desk, err := receipt.NewDesk(receipt.Options{Name: "sallyport", Keys: gateKeys{}, Now: func() time.Time { return time.Unix(v.Receipts.Now, 0) }}, claimed{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range v.Receipts.Good {
		_, err := desk.Claim(t.Context(), "shop", "payments", one.Token)
		if (err == nil) != (one.Claims["note"] == nil) {
			t.Errorf("receipt %q: %v", one.Name, err)
		}
	}
	for _, one := range v.Receipts.Bad {
		_, err := desk.Claim(t.Context(), "shop", "payments", one.Token)
		want := problem.ReceiptRefused
		switch one.Reason {
		case "used", "mode", "operation": // the id of the last two was claimed above
			want = problem.ReceiptUsed
		}
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != want {
			t.Errorf("receipt %q: %v; want %s", one.Name, err, want)
		}
	}
}
