package session_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/c2sp/wycheproof"
)

const kid = "planted"

func goodHeader() string {
	return `{"alg":"EdDSA","kid":"planted","typ":"sallyport-session+jwt"}`
}

// payload is a good payload with some claims replaced by raw JSON; "" leaves one out.
func payload(now time.Time, replace map[string]string) string {
	c := map[string]string{
		"iss": `"` + issuerName + `"`, "aud": `"shop"`, "origin": `"https://shop.example"`, "sid": `"visit"`, "jti": `"t1"`,
		"iat": fmt.Sprint(now.Unix()), "exp": fmt.Sprint(now.Add(10 * time.Minute).Unix()),
	}
	for k, v := range replace {
		c[k] = v
	}
	var parts []string
	for k, v := range c {
		if v != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", k, v))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// TestForgedTokens are the JWT rows of the attack list. Wherever an attack allows it the
// signature is valid, made with a key that the gate knows: only the rule under test
// stands between the token and the call.
func TestForgedTokens(t *testing.T) {
	g := newGate(t)
	key := g.plant(t, kid)
	now := g.clock.now()
	if _, err := g.verifier.Verify(token(key, goodHeader(), payload(now, nil)), shop, origin); err != nil {
		t.Fatalf("the control, a good token, was refused: %v", err)
	}
	attacks := map[string]string{}
	headerAttacks(attacks, key, payload(now, nil))
	claimAttacks(attacks, key, now)
	encodingAttacks(attacks, key, token(key, goodHeader(), payload(now, nil)))
	for name, tok := range attacks {
		for _, when := range []string{"first", "again"} { // again: nothing bad may have been remembered
			s, err := g.verifier.Verify(tok, shop, origin)
			refusedAlike(t, name+", "+when, err)
			if s.ID != "" {
				t.Errorf("%s: a refused token gave a session", name)
			}
		}
	}
	if len(attacks) < 90 {
		t.Errorf("only %d attacks were tried", len(attacks))
	}
}

func headerAttacks(out map[string]string, key ed25519.PrivateKey, claims string) {
	public, _ := key.Public().(ed25519.PublicKey)
	with := func(h string) string { return token(key, h, claims) }
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "HS256", "RS256", "PS256", "ES256", "Ed25519", "eddsa", "EdDSA ", "EDDSA"} {
		h := fmt.Sprintf(`{"alg":%q,"kid":"planted","typ":"sallyport-session+jwt"}`, alg)
		out["alg "+alg] = with(h)
		out["alg "+alg+" without signature"] = b64(h) + "." + b64(claims) + "."
		out["alg "+alg+" in two parts"] = b64(h) + "." + b64(claims)
	}
	hs := `{"alg":"HS256","kid":"planted","typ":"sallyport-session+jwt"}`
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(b64(hs) + "." + b64(claims)))
	out["HS256 with the public key as secret"] = b64(hs) + "." + b64(claims) + "." + b64(string(mac.Sum(nil)))
	for name, h := range map[string]string{
		"no alg": `{"kid":"planted","typ":"sallyport-session+jwt"}`, "no kid": `{"alg":"EdDSA","typ":"sallyport-session+jwt"}`,
		"no typ": `{"alg":"EdDSA","kid":"planted"}`, "typ JWT": `{"alg":"EdDSA","kid":"planted","typ":"JWT"}`,
		"typ in capitals":    `{"alg":"EdDSA","kid":"planted","typ":"SALLYPORT-SESSION+JWT"}`,
		"alg in capitals":    `{"ALG":"EdDSA","kid":"planted","typ":"sallyport-session+jwt"}`,
		"alg twice":          `{"alg":"none","alg":"EdDSA","kid":"planted","typ":"sallyport-session+jwt"}`,
		"kid twice":          `{"alg":"EdDSA","kid":"x","kid":"planted","typ":"sallyport-session+jwt"}`,
		"alg twice, case":    `{"alg":"EdDSA","Alg":"none","kid":"planted","typ":"sallyport-session+jwt"}`,
		"Kelvin sign in kid": "{\"alg\":\"EdDSA\",\"\u212aid\":\"planted\",\"typ\":\"sallyport-session+jwt\"}", "kid twice by folding": "{\"alg\":\"EdDSA\",\"\u212aid\":\"x\",\"kid\":\"planted\",\"typ\":\"sallyport-session+jwt\"}",
		"alg in full width": `{"alg":"ＥｄＤＳＡ","kid":"planted","typ":"sallyport-session+jwt"}`,
		"alg escaped":       `{"alg":"EdDSA","\u0061lg":"none","kid":"planted","typ":"sallyport-session+jwt"}`,
		"alg a list":        `{"alg":["EdDSA"],"kid":"planted","typ":"sallyport-session+jwt"}`, "alg null": `{"alg":null,"kid":"planted","typ":"sallyport-session+jwt"}`,
		"kid a number": `{"alg":"EdDSA","kid":1,"typ":"sallyport-session+jwt"}`, "not JSON": `alg=EdDSA`, "a list": `[]`, "null": `null`,
		"two values": goodHeader() + goodHeader(), "BOM": "\ufeff" + goodHeader(), "not UTF-8": strings.Replace(goodHeader(), "planted", "plant\xffed", 1),
		"trailing comma": strings.Replace(goodHeader(), `}`, `,}`, 1), "deep": strings.Repeat(`{"a":`, 300),
	} {
		out["header: "+name] = with(h)
	}
	for _, k := range []string{"", "x", "../../../../dev/null", "' UNION SELECT 'planted'--", "planted\\u0000", "Planted", strings.Repeat("k", 65), strings.Repeat("k", 10_000)} {
		out["kid "+k[:min(len(k), 20)]] = with(fmt.Sprintf(`{"alg":"EdDSA","kid":"%s","typ":"sallyport-session+jwt"}`, k))
	}
	jwk := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q}`, base64.RawURLEncoding.EncodeToString(public))
	for name, v := range map[string]string{
		"jwk": jwk, "jku": `"https://127.0.0.1/jwks.json"`, "x5u": `"https://127.0.0.1/cert.pem"`, "x5c": `["MIIB"]`,
		"crit": `["exp"]`, "zip": `"DEF"`, "b64": `false`, "cty": `"JWT"`, "exp": "1",
	} {
		out["header field "+name] = with(strings.TrimSuffix(goodHeader(), "}") + `,"` + name + `":` + v + "}")
	}
	out["b64 with crit"] = with(strings.TrimSuffix(goodHeader(), "}") + `,"b64":false,"crit":["b64"]}`)
	_, stranger, _ := ed25519.GenerateKey(nil)
	out["another key under our kid"] = token(stranger, goodHeader(), claims)
}

func claimAttacks(out map[string]string, key ed25519.PrivateKey, now time.Time) {
	at := func(d time.Duration) string { return fmt.Sprint(now.Add(d).Unix()) }
	for name, replace := range map[string]map[string]string{
		"expired now": {"exp": at(0)}, "expired by a second": {"exp": at(-time.Second)}, "exp text": {"exp": `"` + at(time.Minute) + `"`},
		"exp float": {"exp": at(time.Minute) + ".5"}, "exp .0": {"exp": at(time.Minute) + ".0"}, "exp 1e999": {"exp": "1e999"},
		"exp 9e9": {"exp": "9e9"}, "exp huge": {"exp": "99999999999999999999"}, "exp negative": {"exp": "-1"}, "exp null": {"exp": "null"},
		"no exp": {"exp": ""}, "no iat": {"iat": ""}, "iat text": {"iat": `"1"`}, "from the future": {"iat": at(2 * time.Minute), "exp": at(5 * time.Minute)},
		"lives 16 minutes": {"exp": at(16 * time.Minute)}, "exp before iat": {"iat": at(30 * time.Second), "exp": at(20 * time.Second)},
		"nbf in an hour": {"nbf": at(time.Hour)}, "nbf in the past": {"nbf": at(-time.Hour)}, "aud a list": {"aud": `["shop"]`}, "aud other": {"aud": `"blog"`},
		"aud prefix": {"aud": `"shop2"`}, "aud empty": {"aud": `""`}, "no aud": {"aud": ""}, "aud null": {"aud": "null"}, "aud in capitals": {"aud": `"SHOP"`},
		"iss other": {"iss": `"https://evil.example"`}, "no iss": {"iss": ""}, "origin other": {"origin": `"https://evil.example"`},
		"origin null": {"origin": `"null"`}, "origin list": {"origin": `["https://shop.example"]`}, "no sid": {"sid": ""}, "sid number": {"sid": "1"},
		"sid an object": {"sid": `{"a":1}`}, "no jti": {"jti": ""}, "extra claim": {"admin": "true"}, "extra text": {"role": `"admin"`},
		"aud in full width": {"aud": `"ｓhop"`}, "aud with a long s": {"aud": "\"\u017fhop\""}, "aud with a zero-width space": {"aud": "\"shop\u200b\""},
		"sid by folding": {"sid": "", "\u017fid": `"visit"`}, "iss by folding": {"iss": "", "i\u017fs": `"` + issuerName + `"`}, "sid twice by folding": {"\u017fid": `"other"`},
		"origin in Cyrillic": {"origin": "\"https://\u0455hop.example\""}, "origin in capitals": {"origin": `"https://SHOP.example"`},
	} {
		out["claims: "+name] = token(key, goodHeader(), payload(now, replace))
	}
	good := payload(now, nil)
	for name, p := range map[string]string{
		"aud twice": strings.TrimSuffix(good, "}") + `,"aud":"shop"}`, "not JSON": "shop", "empty object": "{}", "two values": good + good,
		"trailing": good + "x", "not UTF-8": strings.Replace(good, "visit", "vis\xffit", 1), "a nested token": token(key, goodHeader(), good),
		"surplus depth": strings.Repeat("[", 400),
	} {
		out["payload: "+name] = token(key, goodHeader(), p)
	}
	out["empty payload"] = token(key, goodHeader(), "")
}

func encodingAttacks(out map[string]string, key ed25519.PrivateKey, good string) {
	p := strings.Split(good, ".")
	signature, _ := base64.RawURLEncoding.DecodeString(p[2])
	join := func(parts ...string) string { return strings.Join(parts, ".") }
	for i, name := range []string{"header", "payload", "signature"} {
		for what, s := range map[string]string{
			"padding": "=", "two paddings": "==", "space": " ", "line feed": "\n", "carriage return": "\r\n", "tab": "\t", "plus": "+", "slash": "/", "NUL": "\x00", "é": "é",
		} {
			q := append([]string{}, p...)
			q[i] += s
			out[name+" ends with "+what] = join(q...)
			q[i] = p[i][:5] + s + p[i][5:]
			out[name+" holds "+what] = join(q...)
		}
		q := append([]string{}, p...)
		q[i] = ""
		out[name+" empty"] = join(q...)
	}
	// 64 bytes end in a character with four unused bits: change only those.
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", p[2][len(p[2])-1])
	out["unused bits set"] = good[:len(good)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last|1])
	out["signature cut"] = join(p[0], p[1], b64(string(signature[:63])))
	out["signature long"] = join(p[0], p[1], b64(string(signature)+"\x00"))
	out["signature zero"] = join(p[0], p[1], b64(string(make([]byte, 64))))
	out["signature malleable"] = join(p[0], p[1], b64(string(addOrder(signature))))
	out["four parts"], out["one part"], out["nothing"], out["dots"] = good+"."+p[2], p[0], "", ".."
	out["five parts"] = join(p[0], p[1], p[2], p[1], p[2])
	out["leading space"], out["Bearer inside"] = " "+good, "Bearer "+good
	out["JSON form"] = fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, p[0], p[1], p[2])
	out["too long"] = token(key, goodHeader(), payload(time.Now(), map[string]string{"sid": `"` + strings.Repeat("a", 3000) + `"`}))
}

// addOrder adds the group order to S: the other encoding of the same signature, which
// RFC 8032 §5.1.7 forbids.
func addOrder(signature []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	le := func(b []byte) []byte {
		r := make([]byte, 32)
		for i, c := range b {
			r[len(b)-1-i] = c
		}
		return r
	}
	s := new(big.Int).SetBytes(le(signature[32:]))
	return append(append([]byte{}, signature[:32]...), le(s.Add(s, order).FillBytes(make([]byte, 32)))...)
}

// TestVerifyingReachesNothing: the package that reads tokens has no way to a file or to
// the network, so no kid, jku or x5u can lead there. Its keys come from the store, by
// their exact id.
func TestVerifyingReachesNothing(t *testing.T) {
	files, err := filepath.Glob("*.go")
	must(t, err)
	read := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, parser.ImportsOnly)
		must(t, err)
		read++
		for _, i := range f.Imports {
			switch path := strings.Trim(i.Path.Value, `"`); {
			case path == "net/netip":
			case path == "os", path == "net", path == "io/fs", path == "io/ioutil", path == "syscall", path == "embed", path == "plugin", path == "path/filepath",
				strings.HasPrefix(path, "net/"), strings.HasPrefix(path, "os/"), strings.HasPrefix(path, "golang.org/x/net"), strings.HasPrefix(path, "golang.org/x/sys"),
				strings.HasSuffix(path, "internal/outbound"):
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
	if read < 5 {
		t.Errorf("only %d files were read", read)
	}
}

// TestEveryByteOfATokenCounts changes each byte of a good token in three ways.
func TestEveryByteOfATokenCounts(t *testing.T) {
	g := newGate(t)
	good := g.mint(t).Token
	for i := range good {
		for _, c := range []byte{good[i] ^ 1, good[i] ^ 0x20, 'A'} {
			if c == good[i] {
				continue
			}
			bad := good[:i] + string(c) + good[i+1:]
			if _, err := g.verifier.Verify(bad, shop, origin); err == nil {
				t.Fatalf("byte %d changed from %q to %q, and the token was accepted", i, good[i], c)
			}
		}
	}
	if _, err := g.verifier.Verify(good, shop, origin); err != nil {
		t.Fatalf("the control was refused: %v", err)
	}
}

// TestWycheproofTokens presents every token of Wycheproof's JWS vectors. None is a
// session of ours, the valid ones included, so none may pass.
func TestWycheproofTokens(t *testing.T) {
	raw, err := fs.ReadFile(wycheproof.TestVectors, "json_web_signature_test.json")
	must(t, err)
	var doc struct {
		TestGroups []struct {
			Tests []struct {
				TcID    int
				Comment string
				JWS     any
				Result  string
			}
		}
	}
	must(t, json.Unmarshal(raw, &doc))
	g := newGate(t)
	invalid, total := 0, 0
	for _, group := range doc.TestGroups {
		for _, c := range group.Tests {
			tok, isText := c.JWS.(string)
			if !isText {
				b, err := json.Marshal(c.JWS)
				must(t, err)
				tok = string(b)
			}
			_, err := g.verifier.Verify(tok, shop, origin)
			refusedAlike(t, fmt.Sprintf("vector %d, %s (%s)", c.TcID, c.Comment, c.Result), err)
			total++
			if c.Result == "invalid" {
				invalid++
			}
		}
	}
	if total < 400 || invalid < 350 {
		t.Errorf("only %d vectors, %d invalid, were found", total, invalid)
	}
}

// TestWycheproofSignatures puts Wycheproof's Ed25519 signatures, over our own input,
// where a signature stands: encodings that some verifiers take must not pass. The valid
// ones are of other messages and must not pass either.
func TestWycheproofSignatures(t *testing.T) {
	raw, err := fs.ReadFile(wycheproof.TestVectors, "ed25519_test.json")
	must(t, err)
	var doc struct {
		TestGroups []struct {
			Tests []struct {
				TcID int
				Sig  string
			}
		}
	}
	must(t, json.Unmarshal(raw, &doc))
	g := newGate(t)
	good := g.mint(t).Token
	input, n := good[:strings.LastIndexByte(good, '.')+1], 0
	for _, group := range doc.TestGroups {
		for _, c := range group.Tests {
			var sig []byte
			_, _ = fmt.Sscanf(c.Sig, "%x", &sig)
			_, err := g.verifier.Verify(input+b64(string(sig)), shop, origin)
			refusedAlike(t, fmt.Sprintf("signature %d", c.TcID), err)
			n++
		}
	}
	if n < 100 {
		t.Errorf("only %d signatures were found", n)
	}
}
