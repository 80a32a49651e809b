package scheme_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/webhook/scheme"
)

const (
	formType   = "application/x-www-form-urlencoded"
	twilioForm = "CallSid=CA1234567890ABCDE&From=%2B14158675309&Digits=1234&To=%2B18005551212&Caller=%2B14158675309"
	twilioBody = `{"property": "value", "boolean": true}`
	twilioHash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
)

// twilioVectors are those of Twilio's own SDKs, with the auth token 12345: twilio-csharp,
// test/Twilio.Test/Security/RequestValidatorTest.cs, and twilio-php,
// tests/Twilio/Unit/RequestValidatorTest.php (the last four and the repeated field).
var twilioVectors = []struct{ name, url, body, signature string }{
	{"form", "https://mycompany.com/myapp.php?foo=1&bar=2", twilioForm, "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
	{"mixed case", "https://MyCompany.com/myapp.php?foo=1&bar=2", twilioForm, "g9IN/x4Cft2g517EjYvEvM/W7LU="},
	{"mixed case, another port", "https://MyCompany.com:1234/myapp.php?foo=1&bar=2", twilioForm, "PCqOZm8cnu/L6+u5i5fuEd+Iac4="},
	{"mixed case, signed with port 80", "http://MyCompany.com/myapp.php?foo=1&bar=2", twilioForm, "XY7AlKOKL6im4yWyX84gldUrtis="},
	{"user and password in http", "http://username:password@MyCompany.com/myapp.php?foo=1&bar=2", twilioForm, "PJ08CxXr7KLPjEQCTc8LkUSMwSM="},
	{"scheme in upper case", "HTTP://username:password@MyCompany.com/myapp.php?foo=1&bar=2", twilioForm, "hy/l8pca+LFms4cvRdv8uiP6NGc="},
	{"user and password in mixed case", "http://Username:Password@MyCompany.com/myapp.php?foo=1&bar=2", twilioForm, "SkTSKyDJH9kUlhItI0slbgZ1UsI="},
	{"JSON", "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=" + twilioHash, twilioBody, "a9nBmqA0ju/hNViExpshrM61xv4="},
	{"JSON, nothing but its hash", "https://mycompany.com/myapp.php?bodySHA256=" + twilioHash, twilioBody, "y77kIzt2vzLz71DgmJGsen2scGs="},
	{"signed without the port, https", "https://mycompany.com:1234/myapp.php?foo=1&bar=2", twilioForm, "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
	{"signed with another port, http", "http://mycompany.com:1234/myapp.php?foo=1&bar=2", twilioForm, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="},
	{"signed with port 443", "https://mycompany.com/myapp.php?foo=1&bar=2", twilioForm, "kvajT1Ptam85bY51eRf/AJRuM3w="},
	{"signed with port 80", "http://mycompany.com/myapp.php?foo=1&bar=2", twilioForm, "0ZXoZLH/DfblKGATFgpif+LLRf4="},
	{"signed with another port, https", "https://mycompany.com:1234/myapp.php?foo=1&bar=2", twilioForm, "CYn1h0gLBdNxDGkKJg6hYohgeD8="},
	{"a repeated field", "https://mycompany.com/myapp.php?foo=1&bar=2", "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234", "IK+Dwps556ElfBT0I3Rgjkr1wJU="},
	{"user and password", "https://user:pass@mycompany.com/myapp.php?foo=1&bar=2", twilioForm, "CukzLTc1tT5dXEDIHm/tKBanW10="},
	{"user alone", "https://user@mycompany.com/myapp.php?foo=1&bar=2", twilioForm, "2YRLlVAflCqxaNicjMpJcSTgzSs="},
	{"user and password, signed with port 443", "https://user:pass@mycompany.com/myapp.php?foo=1&bar=2", twilioForm, "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI="},
}

// TestTwilioVectors: Twilio's own vectors fit, and no other byte of body, signature, token or
// address does.
func TestTwilioVectors(t *testing.T) {
	s := build(t, "twilio_sha1", nil)
	for _, row := range twilioVectors {
		t.Run(row.name, func(t *testing.T) {
			kind := formType
			if strings.Contains(row.url, "bodySHA256") {
				kind = "application/json"
			}
			r := scheme.Request{Method: "POST", URL: row.url, Body: []byte(row.body), Header: header("Content-Type", kind, "X-Twilio-Signature", row.signature)}
			if _, err := s.Verify(t.Context(), r, value("12345")); err != nil {
				t.Fatal(err)
			}
			mutate(t, s, r, "12345")
			mutateAddress(t, s, r, row.name)
		})
	}
}

// mutateAddress changes every byte of the address. What may change without harm is named: the
// port, where Twilio signed none, and what two spellings of one address have in common.
func mutateAddress(t *testing.T, s *scheme.Scheme, r scheme.Request, name string) {
	t.Helper()
	from, to := portOf(r.URL)
	refused := 0
	for i := range r.URL {
		for _, bit := range []byte{1, 4} {
			changed := r
			text := []byte(r.URL)
			text[i] ^= bit
			changed.URL = string(text)
			_, err := s.Verify(t.Context(), changed, value("12345"))
			if i >= from && i < to && strings.Contains(name, "without the port") {
				continue
			}
			if !errors.Is(err, scheme.ErrRefused) {
				t.Errorf("%s: %v", changed.URL, err)
			}
			refused++
		}
	}
	for _, changed := range []string{r.URL + "&x=1", r.URL + "#x", r.URL + "%", strings.Replace(r.URL, ".com", ".com.evil.example", 1),
		strings.Replace(r.URL, "://", "://evil.example/", 1), strings.Replace(r.URL, "/myapp", "//myapp", 1), r.URL[:len(r.URL)-1], ""} {
		other := r
		other.URL = changed
		if _, err := s.Verify(t.Context(), other, value("12345")); !errors.Is(err, scheme.ErrRefused) {
			t.Errorf("%s: %v", changed, err)
		}
	}
	if refused < len(r.URL) {
		t.Errorf("only %d addresses were tried", refused)
	}
}

// portOf is where the digits of the port stand.
func portOf(address string) (from, to int) {
	u, err := url.Parse(address)
	if err != nil || u.Port() == "" {
		return 0, 0
	}
	from = strings.Index(address, ":"+u.Port()+"/") + 1
	return from, from + len(u.Port())
}

// TestTwilioBodyHash: the hash in the address is of the body as it came, in lower case, once.
func TestTwilioBodyHash(t *testing.T) {
	s := build(t, "twilio_sha1", nil)
	sign := func(address string) scheme.Request {
		// Signed as Twilio would sign this very address, whatever stands in it.
		r, err := s.Sign(scheme.Request{Method: "POST", URL: address, Header: header("Content-Type", formType)}, secret.NewValue([]byte("12345")))
		if err != nil {
			t.Fatal(err)
		}
		r.Body = []byte(twilioBody)
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	const base = "https://mycompany.com/x?"
	hashes := map[string]string{
		"upper case": "bodySHA256=" + strings.ToUpper(twilioHash), "short": "bodySHA256=" + twilioHash[:62], "0x": "bodySHA256=0x" + twilioHash, "none": "bodySHA256=",
		"twice": "bodySHA256=" + twilioHash + "&bodySHA256=" + twilioHash, "the wrong one first": "bodySHA256=" + strings.Repeat("0", 64) + "&bodySHA256=" + twilioHash,
		"another name": "bodysha256=" + twilioHash, "in another's value": "x=bodySHA256=" + twilioHash,
	}
	for i := range twilioHash {
		text := []byte(twilioHash)
		text[i] ^= 1
		hashes["byte "+string(text)] = "bodySHA256=" + string(text)
	}
	for what, query := range hashes {
		_, err := s.Sign(scheme.Request{Method: "POST", URL: base + query, Header: header("Content-Type", formType)}, secret.NewValue([]byte("12345")))
		if err != nil { // not even we sign it
			continue
		}
		if _, err := s.Verify(t.Context(), sign(base+query), value("12345")); !errors.Is(err, scheme.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTwilioSpellings are the pairs of twilio-node's spec/unit/webhooks/webhooks.spec.js, and more
// of what its 6.2.0 takes: Twilio signed the first, the request came to the second.
func TestTwilioSpellings(t *testing.T) {
	s := build(t, "twilio_sha1", nil)
	for _, row := range []struct {
		signed, came string
		good         bool
	}{
		{"https://example.com:443/path?test=param", "https://example.com:443/path?test=param", true},
		{"https://example.com:443/path?test=param", "https://example.com/path?test=param", true},
		{"https://example.com/path?test=param", "https://example.com:443/path?test=param", true},
		{"https://example.com/path?test=param'WithQuote", "https://example.com/path?test=param'WithQuote", true},
		{"https://example.com/path?test=param'WithQuote", "https://example.com/path?test=param%27WithQuote", true},
		{"https://example.com/path?test=param%27WithQuote", "https://example.com/path?test=param'WithQuote", true},
		{"https://example.com/path?a=x%20y&b=%2F", "https://example.com/path?a=x+y&b=/", true},
		{"https://example.com/path?a=1&a=2&b=", "https://example.com/path?a=1&b&a=2", true},
		{"https://example.com/path?test=param", "https://example.com/path?test=param2", false},
		{"https://example.com:8443/path", "https://example.com/path", false},
		{"http://example.com/path", "https://example.com/path", false},
		{"https://example.com/a%2fb", "https://example.com/a/b", false},
		{"https://example.com/A", "https://example.com/a", false},
	} {
		r, err := s.Sign(scheme.Request{Method: "POST", URL: row.signed, Header: header("Content-Type", formType), Body: []byte("A=1")}, secret.NewValue([]byte("s3cr3t")))
		if err != nil {
			t.Fatal(err)
		}
		r.URL = row.came
		if _, err := s.Verify(t.Context(), r, value("s3cr3t")); (err == nil) != row.good {
			t.Errorf("signed %s, came to %s: %v", row.signed, row.came, err)
		}
	}
}

// TestVonageVectors are those of vonage-php-sdk-core, test/Client/SignatureTest.php, and of
// vonage-python-sdk, tests/test_misc.py (the last five), for the older sig. PHP writes upper case. What
// vonage-ruby-sdk's test/nexmo/signature_test.rb has for HMACs agrees with neither of the two.
func TestVonageVectors(t *testing.T) {
	const text1 = "message-timestamp=2013-11-21+15%3A27%3A30&messageId=020000001B0FE827&msisdn=14843472194&text=Test+again&timestamp=1385047698&to=13239877404&type=text"
	const text2 = "api_key=fake_api_key&to=14155550100&from=AcmeInc&text=Test+From+Nexmo&type=text&timestamp=1540924779"
	const text3 = "a=1&b=2&timestamp=1461605396"
	const key1, key2, key3 = "my_secret_key_for_testing", "71efab63122f1d179f51c46bac838fb5", "secret"
	for _, row := range []struct{ hash, key, fields, sig string }{
		{"md5", key2, text2, "51CDAFEBB4BBCE9525B195C1617CB8D2"},
		{"sha1", key2, text2, "0162AEC64BC183B2E1256545951FE5639DC98020"},
		{"sha256", key2, text2, "9FEC5EF6D0F2B3D2BB7558B6E4042569823CAB9EA0DD30503472B7B304601975"},
		{"sha512", key2, text2, "40BD12B9A4B6000AD1138EEFD24FFE9FBD72AEE13C3FA04B32BB69DBC256AD0A04A463B1A9AF6660D10F6E1E769EE14B9CFF6A635502E93AFCD0BFAB29F38F87"},
		{"md5hash", key1, text1, "d2e7b1dc968737c5998ad624e02f90b7"},
		{"md5", key1, text1, "DDEBD46008C2D4E93CCE578A332A52D5"},
		{"sha1", key1, text1, "27D0D05C2876C7CB1720DBCDBA4D492E1E55C09A"},
		{"sha256", key1, text1, "DDB8397C2B90AAC7F3882D306475C9A5058C92322EEF43C92B298B6E0FC0D330"},
		{"sha512", key1, text1, "E0D3C650F8C9D1A5C174D10DDDBFB003E561F59B265616208B0487C5D819481CD3C311D59CF6165ECD1139622D5BA3A256C0D763AC4A9AD9144B5A426B94FE82"},
		{"md5hash", key1, "message-timestamp=2013-11-21+17%3A37%3A31&messageId=030000002A267DBB&msisdn=14843472194&text=One+more+time&timestamp=1385055451&to=14849970568&type=text", "83c052a82906ec7c116e16f6d92f7eee"},
		{"md5hash", key1, "keyword=TESTINGS&message-timestamp=2017-04-04+23%3A05%3A22&messageId=0C00000027217D5B&msisdn=14843472194&nonce=c4ab6ed2-9bf5-48a0-af91-107e29bdd399&text=Testings&timestamp=1491347122&to=12192259404&type=text", "ff933bf31c79ab3fc6a38d100191c48f"},
		{"md5hash", key1, "keyword=TEST&message-timestamp=2017-04-04+22%3A57%3A47&messageId=0B00000042AC53BD&msisdn=14843472194&nonce=929d6744-bd28-42c8-b6cf-31d5b4f43732&text=Test+with+%26+and+%3D&timestamp=1491346667&to=12192259404&type=text", "e06d9763e3fd0b9c31beb5fc2fcb011c"},
		{"md5hash", key1, "api_key=not_a_key&from=12192259404&text=Test%26test%3Dsomething&timestamp=1490638615&to=14843472194", "17f5e3b22f778ec73464c01d180e9d0f"},
		{"md5hash", key3, text3, "6af838ef94998832dbfc29020b564830"},
		{"md5", key3, text3, "c15c21ced558c93a226c305f58f902f2"},
		{"sha1", key3, text3, "3e19a4e6880fdc2c1426bfd0587c98b9532f0210"},
		{"sha256", key3, text3, "a321e824b9b816be7c3f28859a31749a098713d39f613c80d455bbaffae1cd24"},
		{"sha512", key3, text3, "812a18f76680fa0fe1b8bd9ee1625466ceb1bd96242e4d050d2cfd9a7b40166c63ed26ec9702168781b6edcf1633db8ff95af9341701004eec3fcf9550572ee8"},
	} {
		fields, err := url.ParseQuery(row.fields)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.ParseDuration(fields.Get("timestamp") + "s")
		if err != nil {
			t.Fatal(err)
		}
		s := build(t, "vonage_sig", map[string]string{"hash": row.hash, "methods": "POST,GET"})
		r := scheme.Request{Method: "POST", URL: "https://shop.example/hooks/sms", Header: header("Content-Type", formType), Body: []byte(row.fields + "&sig=" + row.sig), Now: time.Unix(int64(now.Seconds()), 0)}
		if _, err := s.Verify(t.Context(), r, value(row.key)); err != nil {
			t.Errorf("%s of %s: %v", row.hash, row.fields, err)
			continue
		}
		get := r
		get.Method, get.URL, get.Body, get.Header = "GET", r.URL+"?"+string(r.Body), nil, header()
		if _, err := s.Verify(t.Context(), get, value(row.key)); err != nil {
			t.Errorf("%s in the query: %v", row.hash, err)
		}
		for name := range fields {
			changed := maps.Clone(fields)
			changed[name] = []string{fields.Get(name) + "0"}
			r.Body = []byte(changed.Encode() + "&sig=" + row.sig)
			if _, err := s.Verify(t.Context(), r, value(row.key)); !errors.Is(err, scheme.ErrRefused) {
				t.Errorf("%s with another %s: %v", row.hash, name, err)
			}
		}
	}
}

// TestVonageToken is the token of vonage-python-sdk, voice/tests/test_voice.py (also
// vonage-python-jwt, tests/test_verify_jwt.py). Its signature fits, and it is refused all the same:
// it says nothing of a body, and its issuer is not Vonage.
func TestVonageToken(t *testing.T) {
	const token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJPbmxpbmUgSldUIEJ1aWxkZXIiLCJpYXQiOjE2OTc2MzQ2ODAsImV4cCI6MzMyNTQ1NDA4MjgsImF1ZCI6IiIsInN1YiI6IiJ9.88vJc3I2HhuqEDixHXVhc9R30tA6U_HQHZTC29y6CGM"
	r := scheme.Request{Method: "POST", Header: header("Authorization", "Bearer "+token), Now: time.Unix(1697634680, 0)}
	for _, row := range []struct{ issuer, key, why string }{
		{"Vonage", "asdf", "no signature fits"}, {"Vonage", "qwertyuiopasdfghjklzxcvbnm123456", "the token's claims"}, {"Online JWT Builder", "qwertyuiopasdfghjklzxcvbnm123456", "the body's hash"},
	} {
		_, err := build(t, "vonage_jwt", map[string]string{"issuer": row.issuer}).Verify(t.Context(), r, value(row.key))
		if !errors.Is(err, scheme.ErrRefused) || !strings.Contains(err.Error(), row.why) {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

// TestSvixVectors are those of svix-webhooks (rust/src/webhooks.rs, python/tests/test_webhooks.py),
// in both spellings of the headers.
func TestSvixVectors(t *testing.T) {
	for _, row := range []struct{ key, id, body, sig, at string }{
		{"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", `{"email":"test@example.com","username":"test_user"}`, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=", "1649367553"},
		{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", `{"test": 2432232314}`, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "1614265330"},
	} {
		for prefix, name := range map[string]string{"Svix-": "svix", "Webhook-": "standard"} {
			at, err := time.ParseDuration(row.at + "s")
			if err != nil {
				t.Fatal(err)
			}
			r := scheme.Request{Method: "POST", Body: []byte(row.body), Now: time.Unix(int64(at.Seconds()), 0), Header: header(prefix+"Id", row.id, prefix+"Timestamp", row.at, prefix+"Signature", row.sig)}
			s := preset(t, name)
			if _, err := s.Verify(t.Context(), r, value(row.key)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := s.Verify(t.Context(), r, value("whsec_plJ3nmyCDGBKInavdOK15jsl")); !errors.Is(err, scheme.ErrRefused) {
				t.Errorf("%s, another key: %v", name, err)
			}
			mutate(t, s, r, row.key)
		}
	}
}

// vonageToken is a token of these claims with the key "key".
func vonageToken(t *testing.T, claims string) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	m := hmac.New(sha256.New, []byte("key"))
	m.Write([]byte(text))
	return "Bearer " + text + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// TestTokenLimits: a token that says when it ends or begins is held to it.
func TestTokenLimits(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for claims, good := range map[string]bool{
		`"exp":1800000001`: true, `"exp":1800000000`: false, `"exp":1`: false, `"exp":"1800000001"`: true, `"exp":1.8e9`: false, `"exp":-1`: false, `"exp":[1]`: false,
		`"nbf":1800000000`: true, `"nbf":1800000001`: false, `"nbf":true`: false, `"jti":"x"`: true,
	} {
		r := scheme.Request{Method: "POST", Body: []byte("{}"), Now: now, Header: header("Authorization", vonageToken(t, `{"iat":1800000000,"iss":"Vonage","payload_hash":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",`+claims+`}`))}
		if _, err := build(t, "vonage_jwt", nil).Verify(t.Context(), r, value("key")); (err == nil) != good {
			t.Errorf("%s: %v", claims, err)
		}
	}
}
