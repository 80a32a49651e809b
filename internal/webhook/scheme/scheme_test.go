package scheme_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/webhook/scheme"
)

func value(s string) []secret.Value { return []secret.Value{secret.NewValue([]byte(s))} }

func build(t testing.TB, kind string, params map[string]string) *scheme.Scheme {
	t.Helper()
	s, err := scheme.New(scheme.Config{Kind: kind, Params: params})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func preset(t testing.TB, name string) *scheme.Scheme {
	t.Helper()
	c, ok := scheme.Preset(name)
	if !ok {
		t.Fatalf("no preset %s", name)
	}
	return build(t, c.Kind, c.Params)
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// TestPublishedVectors holds the schemes against what providers publish.
func TestPublishedVectors(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, row := range []struct {
		name   string // with the source
		scheme *scheme.Scheme
		secret string
		r      scheme.Request
	}{
		{"GitHub: docs.github.com, Validating webhook deliveries, \"Testing the webhook payload validation\"", preset(t, "github"), "It's a Secret to Everybody",
			scheme.Request{Body: []byte("Hello, World!"), Header: header("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")}},
		{"Slack: api.slack.com, Verifying requests from Slack (also python-slack-sdk's tests)", preset(t, "slack"), "8f742231b10e8888abcd99yyyzzz85a5",
			scheme.Request{Now: time.Unix(1531420618, 0), Header: header("Content-Type", form, "X-Slack-Request-Timestamp", "1531420618", "X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
				Body: []byte("token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c")}},
		{"Standard Webhooks: libraries/python/tests/test_webhooks.py", preset(t, "standard"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			scheme.Request{Now: time.Unix(1614265330, 0), Body: []byte(`{"test": 2432232314}`),
				Header: header("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "Webhook-Timestamp", "1614265330", "Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")}},
		{"Twilio: twilio-node, spec/unit/webhooks (form)", build(t, "twilio_sha1", nil), "12345",
			scheme.Request{URL: "https://mycompany.com/myapp.php?foo=1&bar=2", Header: header("Content-Type", form, "X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
				Body: []byte("CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212")}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := row.r
			r.Method = http.MethodPost
			if _, err := row.scheme.Verify(t.Context(), r, value(row.secret)); err != nil {
				t.Fatal(err)
			}
			mutate(t, row.scheme, r, row.secret)
		})
	}
}

// own are signed requests of each kind that can sign, made by the scheme itself.
func own(t testing.TB) map[string]struct {
	s      *scheme.Scheme
	secret string
	r      scheme.Request
} {
	t.Helper()
	type one = struct {
		s      *scheme.Scheme
		secret string
		r      scheme.Request
	}
	now := time.Unix(1_800_000_000, 0)
	json := scheme.Request{Method: "POST", URL: "https://api.shop.example/hooks/x?a=1", Header: header("Content-Type", "application/json"), Body: []byte(`{"id":"evt_1","type":"paid","n":1}`), Now: now}
	form := json
	form.Header, form.Body = header("Content-Type", "application/x-www-form-urlencoded"), []byte("From=%2B49&To=1&To=2&Body=caf%C3%A9+x")
	sms := form
	sms.Body = []byte("msisdn=447700900001&text=a%26b%3Dc&timestamp=1800000000")
	out := map[string]one{
		"stripe_v1":         {build(t, "stripe_v1", nil), "whsec_abc", json},
		"github":            {preset(t, "github"), "secret", json},
		"slack":             {preset(t, "slack"), "secret", json},
		"shopify":           {preset(t, "shopify"), "secret", json},
		"discord":           {preset(t, "discord"), strings.Repeat("00", 32) + "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", json},
		"standard":          {preset(t, "standard"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", json},
		"meta":              {build(t, "meta", nil), "app secret", json},
		"twilio_sha1, form": {build(t, "twilio_sha1", nil), "token", form},
		"twilio_sha1, JSON": {build(t, "twilio_sha1", nil), "token", json},
		"vonage_jwt":        {build(t, "vonage_jwt", nil), "signature secret", json},
		"vonage_sig":        {build(t, "vonage_sig", map[string]string{"hash": "sha256"}), "signature secret", sms},
		"vonage_sig, md5":   {build(t, "vonage_sig", nil), "signature secret", sms},
	}
	for name, o := range out {
		signed, err := o.s.Sign(o.r, secret.NewValue([]byte(o.secret)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		o.r = signed
		if name == "discord" { // verified with the public half
			o.secret = o.secret[64:]
		}
		out[name] = o
	}
	return out
}

// TestWhatIsSignedVerifies: each kind takes its own signature, with either of two secrets, and
// nothing that differs in one byte.
func TestWhatIsSignedVerifies(t *testing.T) {
	for name, o := range own(t) {
		t.Run(name, func(t *testing.T) {
			if _, err := o.s.Verify(t.Context(), o.r, value(o.secret)); err != nil {
				t.Fatal(err)
			}
			if _, err := o.s.Verify(t.Context(), o.r, append(value("another"), value(o.secret)...)); err != nil {
				t.Errorf("the second secret: %v", err)
			}
			mutate(t, o.s, o.r, o.secret)
		})
	}
}

// mutate changes every byte of the body, of the signature's headers and of the secret, and wants
// a refusal; and so for what is missing or there twice.
func mutate(t *testing.T, s *scheme.Scheme, r scheme.Request, key string) {
	t.Helper()
	refused := func(what string, r scheme.Request, key string) {
		t.Helper()
		if _, err := s.Verify(t.Context(), r, value(key)); !errors.Is(err, scheme.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range r.Body {
		changed := r
		changed.Body = slices.Clone(r.Body)
		changed.Body[i] ^= 1
		refused("a changed body", changed, key)
	}
	for name, values := range r.Header {
		if name == "Content-Type" || name == "User-Agent" {
			continue
		}
		for i := range values[0] {
			if values[0][i] == ' ' {
				continue
			}
			changed := r
			changed.Header = maps.Clone(r.Header)
			text := []byte(values[0])
			text[i] ^= 1
			changed.Header[name] = []string{string(text)}
			refused(name+" changed at byte "+string(rune('0'+i%10)), changed, key)
		}
		missing, twice := r, r
		missing.Header = maps.Clone(r.Header)
		delete(missing.Header, name)
		refused("without "+name, missing, key)
		twice.Header = maps.Clone(r.Header)
		twice.Header[name] = []string{values[0], values[0]}
		refused(name+" twice", twice, key)
	}
	for i := range key {
		changed := []byte(key)
		changed[i] ^= 1
		refused("another secret", r, string(changed))
	}
	if !r.Now.IsZero() && hasTime(s, r, key) {
		for _, off := range []time.Duration{-301 * time.Second, 301 * time.Second} {
			changed := r
			changed.Now = r.Now.Add(off)
			refused("at another time", changed, key)
		}
	}
	encoded := r
	encoded.Header = maps.Clone(r.Header)
	encoded.Header["Content-Encoding"] = []string{"gzip"}
	refused("compressed", encoded, key)
}

func hasTime(s *scheme.Scheme, r scheme.Request, key string) bool {
	v, err := s.Verify(context.Background(), r, value(key))
	return err == nil && !v.Signed.IsZero()
}

// TestHostileHeaders are the forms of a signature that only a lax reader takes.
func TestHostileHeaders(t *testing.T) {
	o := own(t)["stripe_v1"]
	good := o.r.Header.Get("Stripe-Signature")
	stamp, sig, _ := strings.Cut(good, ",v1=")
	for what, text := range map[string]string{
		"truncated": stamp + ",v1=" + sig[:62], "0x": stamp + ",v1=0x" + sig, "upper case": stamp + ",v1=" + strings.ToUpper(sig), "v0": stamp + ",v0=" + sig,
		"a space": stamp + ", v1=" + sig, "no time": "v1=" + sig, "two times": stamp + "," + stamp + ",v1=" + sig, "a pair without =": good + ",x", "two =": good + "=",
		"six signatures": stamp + strings.Repeat(",v1="+sig, 6), "a time with a sign": "t=+1800000000,v1=" + sig, "a time in hex": "t=0x6b49d200,v1=" + sig,
	} {
		r := o.r
		r.Header = header("Stripe-Signature", text)
		if _, err := o.s.Verify(t.Context(), r, value(o.secret)); !errors.Is(err, scheme.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, text := range map[string]string{"another first": stamp + ",v1=" + strings.Repeat("0", 64) + ",v1=" + sig, "other schemes": stamp + ",v0=x,v1=" + sig} {
		r := o.r
		r.Header = header("Stripe-Signature", text)
		if _, err := o.s.Verify(t.Context(), r, value(o.secret)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	std := own(t)["standard"]
	std.r.Header = std.r.Header.Clone()
	std.r.Header.Set("Webhook-Id", "msg.1")
	signed, err := std.s.Sign(std.r, value(std.secret)[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := std.s.Verify(t.Context(), signed, value(std.secret)); !errors.Is(err, scheme.ErrRefused) {
		t.Errorf("an id with a dot: %v", err)
	}
}

// TestWords: type, id and object come from the body's own bytes; a key twice gives none.
func TestWords(t *testing.T) {
	s := build(t, "stripe_v1", map[string]string{"id": "/id", "type": "/type", "object": "/data/object/id /related_object/id"})
	for body, want := range map[string]scheme.Verified{
		`{"id":"evt_1","type":"a.b","data":{"object":{"id":"pi_1"}}}`:   {ID: "evt_1", Type: "a.b", Object: "pi_1"},
		`{"id":"evt_2","type":"v2.x","related_object":{"id":"acct_1"}}`: {ID: "evt_2", Type: "v2.x", Object: "acct_1"},
		`{"id":"evt_1","id":"evt_2","type":"a"}`:                        {},
		`{"id":["evt_1"],"type":{"a":1}}`:                               {},
		`not JSON`:                                                      {},
		`{"id":1e400,"type":"a"}`:                                       {ID: "1e400", Type: "a"},
		`{"id":"evt_1","type":"a"} {"id":"evt_2"}`:                      {},
		``: {},
		strings.Repeat("[", 100) + strings.Repeat("]", 100): {},
	} {
		r, err := s.Sign(scheme.Request{Method: "POST", Body: []byte(body), Now: time.Unix(1_800_000_000, 0)}, secret.NewValue([]byte("k")))
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.Verify(t.Context(), r, value("k"))
		if err != nil {
			t.Fatal(err)
		}
		if v.ID != want.ID || v.Type != want.Type || v.Object != want.Object {
			t.Errorf("%s: %+v", body, v)
		}
	}
}

// FuzzVerify: no bytes make a scheme panic or accept what nobody signed.
func FuzzVerify(f *testing.F) {
	all := own(f)
	names := slices.Sorted(maps.Keys(all))
	for i, name := range names {
		o := all[name]
		for h, v := range o.r.Header {
			f.Add(uint8(i), o.r.Body, h, v[0], o.r.URL)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte, name, text, address string) {
		o := all[names[int(which)%len(names)]]
		r := o.r
		r.Header, r.Body, r.URL = maps.Clone(o.r.Header), body, address
		r.Header[http.CanonicalHeaderKey(name)] = []string{text}
		_, err := o.s.Verify(t.Context(), r, value("a secret that nobody signed with"))
		if err == nil {
			t.Fatalf("%s accepted %q", names[int(which)%len(names)], body)
		}
	})
}
