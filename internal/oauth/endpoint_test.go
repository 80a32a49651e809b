package oauth_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/oauth"
	"sallyport/internal/outbound"
	"sallyport/internal/secret"
)

// endpoint is a token endpoint over TLS that answers as it is told.
type endpoint struct {
	host *outbound.Host
	url  string

	mu     sync.Mutex
	forms  []url.Values
	basics []string
}

func serve(t *testing.T, answer http.HandlerFunc) *endpoint {
	t.Helper()
	e := &endpoint{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, err := url.ParseQuery(string(body))
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/token" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("asked with %s %s %s: %v", r.Method, r.URL.Path, r.Header.Get("Content-Type"), err)
		}
		user, password, _ := r.BasicAuth()
		e.mu.Lock()
		e.forms, e.basics = append(e.forms, form), append(e.basics, user+":"+password)
		e.mu.Unlock()
		answer(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	h, err := outbound.NewHost(outbound.HostConfig{URL: s.URL, Dialer: outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyProvider}), Roots: roots, Private: true,
		Timeouts: oauth.EndpointTimeouts(), Limits: oauth.EndpointLimits(), Retry: oauth.EndpointRetry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	e.host, e.url = h, "https://auth.provider.example/token"
	return e
}

func (e *endpoint) asked() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.forms)
}

func text(value string) oauth.Text {
	return oauth.Text{Template: "{field}", Fields: map[string]outbound.Field{"field": {Read: func(context.Context) (secret.Value, error) {
		return secret.NewValue([]byte(value)), nil
	}}}}
}

func (e *endpoint) client(style oauth.ClientStyle) oauth.Client {
	return oauth.Client{Host: e.host, Path: "/token", URL: e.url, Style: style, ID: text("the-client"), Secret: text("its secret+/%")}
}

func (e *endpoint) source(t *testing.T, style oauth.ClientStyle, scope string) oauth.Source {
	t.Helper()
	s, err := oauth.NewClientCredentials(e.client(style), scope)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestClientCredentials(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"access_token":"abcdefgh-token","token_type":"bearer","expires_in":3600,"refresh_token":null,"scope":"a b","app_id":"x"}`)
	})
	now := time.Now()
	for _, style := range []oauth.ClientStyle{oauth.ClientBasic, oauth.ClientPost} {
		got, err := e.source(t, style, "read write").Fetch(t.Context(), func() time.Time { return now })
		if err != nil || string(got.Value.Expose()) != "abcdefgh-token" || !got.Issued.Equal(now) || !got.Expires.Equal(now.Add(time.Hour)) {
			t.Errorf("%s: %+v, %v", style, got, err)
		}
	}
	if f := e.forms[0]; f.Encode() != "grant_type=client_credentials&scope=read+write" || e.basics[0] != "the-client:its+secret%2B%2F%25" {
		t.Errorf("Basic: %s, %s (RFC 6749 §2.3.1 encodes both halves)", f.Encode(), e.basics[0])
	}
	if f := e.forms[1]; f.Get("client_id") != "the-client" || f.Get("client_secret") != "its secret+/%" || e.basics[1] != ":" {
		t.Errorf("form: %s, %s", f.Encode(), e.basics[1])
	}
}

// TestSecondSecret: while a client secret is rotated, the endpoint may know only one of the two.
func TestSecondSecret(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "the+old+secret" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"abcdefgh-token","token_type":"Bearer","expires_in":3600}`)
	})
	c := e.client(oauth.ClientBasic)
	c.Secret = oauth.Text{Template: "{field}", Fields: map[string]outbound.Field{"field": {
		Read:   func(context.Context) (secret.Value, error) { return secret.NewValue([]byte("the new secret")), nil },
		Second: func(context.Context) (secret.Value, error) { return secret.NewValue([]byte("the old secret")), nil },
	}}}
	s, err := oauth.NewClientCredentials(c, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Fetch(t.Context(), time.Now); err != nil || got.Value.Empty() {
		t.Errorf("with the new secret refused: %v", err)
	}
}

func TestOriginTellsAccountAndSecretApart(t *testing.T) {
	e := serve(t, func(http.ResponseWriter, *http.Request) {})
	origin := func(change func(*oauth.Client), scope string) oauth.Origin {
		c := e.client(oauth.ClientBasic)
		change(&c)
		s, err := oauth.NewClientCredentials(c, scope)
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Origin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	base := origin(func(*oauth.Client) {}, "")
	if o := origin(func(c *oauth.Client) { c.Secret = text("a new secret") }, ""); o.Account != base.Account || o.Secret == base.Secret {
		t.Error("a new secret is not seen as one of the same account")
	}
	for name, o := range map[string]oauth.Origin{
		"client": origin(func(c *oauth.Client) { c.ID = text("another") }, ""),
		"place":  origin(func(c *oauth.Client) { c.URL += "2" }, ""),
		"scope":  origin(func(*oauth.Client) {}, "more"),
	} {
		if o.Account == base.Account {
			t.Errorf("another %s is the same account", name)
		}
	}
}

func TestTokenAnswers(t *testing.T) {
	const start = `{"access_token":"abcdefgh-token","token_type":"Bearer"`
	for _, c := range []struct {
		name   string
		status int
		header string // Retry-After
		body   string
		life   time.Duration // of a good one
		reason string
	}{
		{name: "an hour", status: 200, body: start + `,"expires_in":3600}`, life: time.Hour},
		{name: "as text", status: 200, body: start + `,"expires_in":"3599"}`, life: 3599 * time.Second},
		{name: "a fraction", status: 200, body: start + `,"expires_in":60.9}`, life: time.Minute},
		{name: "no life told", status: 200, body: start + `}`, life: 5 * time.Minute},
		{name: "null", status: 200, body: start + `,"expires_in":null}`, life: 5 * time.Minute},
		{name: "no number", status: 200, body: start + `,"expires_in":"soon"}`, life: 5 * time.Minute},
		{name: "none", status: 200, body: start + `,"expires_in":0}`, life: 5 * time.Minute},
		{name: "negative", status: 200, body: start + `,"expires_in":-5}`, life: 5 * time.Minute},
		{name: "a second", status: 200, body: start + `,"expires_in":1}`, life: 10 * time.Second},
		{name: "a year", status: 200, body: start + `,"expires_in":31536000}`, life: 24 * time.Hour},
		{name: "beyond any number", status: 200, body: start + `,"expires_in":99999999999999999999999}`, life: 24 * time.Hour},
		{name: "exponent", status: 200, body: start + `,"expires_in":1e30}`, life: 5 * time.Minute},

		{name: "no JSON", status: 200, body: "access_token=abcdefgh-token", reason: oauth.ReasonMalformed},
		{name: "a list", status: 200, body: `[]`, reason: oauth.ReasonMalformed},
		{name: "empty", status: 200, body: ``, reason: oauth.ReasonMalformed},
		{name: "a name twice", status: 200, body: `{"access_token":"abcdefgh-other",` + start[1:] + `}`, reason: oauth.ReasonMalformed},
		{name: "no token", status: 200, body: `{"token_type":"Bearer"}`, reason: oauth.ReasonMalformed},
		{name: "an empty token", status: 200, body: `{"access_token":"","token_type":"Bearer"}`, reason: oauth.ReasonMalformed},
		{name: "a short token", status: 200, body: `{"access_token":"abc","token_type":"Bearer"}`, reason: oauth.ReasonMalformed},
		{name: "a line break in the token", status: 200, body: `{"access_token":"abcdefgh\r\nX-Evil: 1","token_type":"Bearer"}`, reason: oauth.ReasonMalformed},
		{name: "a huge token", status: 200, body: `{"access_token":"` + strings.Repeat("a", 17<<10) + `","token_type":"Bearer"}`, reason: oauth.ReasonMalformed},
		{name: "another type", status: 200, body: `{"access_token":"abcdefgh-token","token_type":"mac"}`, reason: oauth.ReasonMalformed},
		{name: "no type", status: 200, body: `{"access_token":"abcdefgh-token"}`, reason: oauth.ReasonMalformed},
		{name: "too large", status: 200, body: `{"x":"` + strings.Repeat("a", 65<<10) + `"}`, reason: oauth.ReasonMalformed},
		{name: "it repeats the secret", status: 200, body: start + `,"note":"its+secret%2B%2F%25"}`, reason: oauth.ReasonMalformed},
		{name: "created", status: 201, body: start + `}`, reason: oauth.ReasonFailed},
		{name: "a redirect", status: 307, body: ``, reason: oauth.ReasonMalformed},
		{name: "refused", status: 401, body: `{"error":"invalid_client","error_description":"abcdefgh-token"}`, reason: oauth.ReasonRefused},
		{name: "refused in other words", status: 400, body: `{"error":"you <b>fool</b>"}`, reason: oauth.ReasonRefused},
		{name: "forbidden page", status: 403, body: `<html>`, reason: oauth.ReasonRefused},
		{name: "throttled", status: 429, header: "30", body: `{}`, reason: oauth.ReasonThrottled},
		{name: "down", status: 503, header: "7", body: `{}`, reason: oauth.ReasonFailed},
		{name: "down, says a 400", status: 400, body: `{"error":"temporarily_unavailable"}`, reason: oauth.ReasonFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				if c.status == http.StatusTemporaryRedirect {
					w.Header().Set("Location", "https://evil.example/")
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			got, err := e.source(t, oauth.ClientBasic, "").Fetch(t.Context(), time.Now)
			if n := e.asked(); n != 1 {
				t.Errorf("asked %d times for one token", n)
			}
			if c.reason == "" {
				if life := got.Expires.Sub(got.Issued); err != nil || life != c.life {
					t.Errorf("life %s, %v; want %s", life, err, c.life)
				}
				return
			}
			var f *oauth.Fault
			if !errors.As(err, &f) || f.Reason != c.reason || !got.Value.Empty() {
				t.Fatalf("%+v, %v; want the reason %s", got, err, c.reason)
			}
			if s := err.Error(); strings.Contains(s, "abcdefgh") || strings.Contains(s, "fool") || strings.Contains(s, "secret+") || len(s) > 300 {
				t.Errorf("the error repeats the answer: %s", s)
			}
			if want := c.header + "s"; c.header != "" && f.Wait.String() != want {
				t.Errorf("wait %s, want %s", f.Wait, want)
			}
		})
	}
}

func TestUnreachableEndpoint(t *testing.T) {
	e := serve(t, func(_ http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	_, err := e.source(t, oauth.ClientBasic, "").Fetch(t.Context(), time.Now)
	var f *oauth.Fault
	if !errors.As(err, &f) || f.Reason != oauth.ReasonMalformed && f.Reason != oauth.ReasonUnreachable {
		t.Errorf("%v", err)
	}
	if n := e.asked(); n != 1 {
		t.Errorf("a request that arrived was sent %d times", n)
	}
}

// rsaKey is made once: it takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func pkcs8(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// verified are the claims of a token that a library accepts.
func verified(t *testing.T, token string) (claims map[string]any, kid string) {
	t.Helper()
	j, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := j.Verify(&rsaKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims, j.Signatures[0].Header.KeyID
}

func TestServiceAccount(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"access_token":"abcdefgh-token","token_type":"Bearer","expires_in":3599}`)
	})
	file, err := json.Marshal(map[string]string{"type": "service_account", "private_key": pkcs8(t), "private_key_id": "k1",
		"client_email": "robot@project.example", "token_uri": "https://evil.example/token"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	for name, a := range map[string]oauth.Assertion{
		"key file": {Key: text(string(file))},
		"PEM":      {Key: text(pkcs8(t)), Issuer: text("robot@project.example")},
	} {
		a.Client, a.Scope = oauth.Client{Host: e.host, Path: "/token", URL: e.url}, "https://scope.example/a b"
		got, err := oauth.NewJWTBearer(a).Fetch(t.Context(), func() time.Time { return now })
		if err != nil || string(got.Value.Expose()) != "abcdefgh-token" {
			t.Fatalf("%s: %v", name, err)
		}
		form := e.forms[len(e.forms)-1]
		if form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(form) != 2 {
			t.Errorf("%s: form %v", name, form)
		}
		claims, kid := verified(t, form.Get("assertion"))
		want := map[string]any{"iss": "robot@project.example", "aud": e.url, "scope": "https://scope.example/a b", "iat": float64(now.Unix()), "exp": float64(now.Unix() + 300)}
		if fmt.Sprint(claims) != fmt.Sprint(want) || kid != map[string]string{"key file": "k1", "PEM": ""}[name] {
			t.Errorf("%s: claims %v, kid %q", name, claims, kid)
		}
	}
	_, err = oauth.NewJWTBearer(oauth.Assertion{Client: oauth.Client{Host: e.host, Path: "/token", URL: e.url}, Key: text(pkcs8(t))}).Fetch(t.Context(), time.Now)
	var f *oauth.Fault
	if !errors.As(err, &f) || f.Reason != oauth.ReasonSecret {
		t.Errorf("a key without an issuer: %v", err)
	}
}

func TestKeysThatAreNone(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no keys of 1024 bits")
	}
	pkcs1 := func(k *rsa.PrivateKey, kind string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: x509.MarshalPKCS1PrivateKey(k)}))
	}
	for name, good := range map[string]string{"PKCS #8": pkcs8(t), "PKCS #1": pkcs1(rsaKey(), "RSA PRIVATE KEY"),
		"in a variable": strings.ReplaceAll(strings.TrimSpace(pkcs8(t)), "\n", `\n`), "with space": "\n " + pkcs8(t) + "\n\n"} {
		if _, err := oauth.ParseKey(secret.NewValue([]byte(good))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "text": "hunter2hunter2", "small": pkcs1(small, "RSA PRIVATE KEY"), "two": pkcs8(t) + pkcs8(t),
		"mislabelled": pkcs1(rsaKey(), "PRIVATE KEY"), "encrypted": pkcs1(rsaKey(), "ENCRYPTED PRIVATE KEY"), "public": pkcs1(rsaKey(), "PUBLIC KEY"),
		"cut": pkcs8(t)[:400], "JSON without a key": `{"client_email":"hunter2hunter2"}`, "JSON with no key": `{"private_key":"hunter2hunter2"}`, "JSON list": `{`,
	} {
		_, err := oauth.ParseKey(secret.NewValue([]byte(bad)))
		if err == nil {
			t.Errorf("%s: taken as a key", name)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats it: %v", name, err)
		}
	}
}

func TestSignedByTheGate(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	c, err := oauth.NewSigned(oauth.Statement{Key: text(pkcs8(t)), Claims: map[string]oauth.Text{"application_id": text("app-1")}, Life: 15 * time.Minute, Now: clock}, oauth.Bearer(), nil)
	if err != nil {
		t.Fatal(err)
	}
	first, mark, err := sent(t, c)
	if err != nil {
		t.Fatal(err)
	}
	claims, _ := verified(t, first)
	if claims["application_id"] != "app-1" || claims["iat"] != 1.8e9 || claims["exp"] != 1.8e9+900 || len(fmt.Sprint(claims["jti"])) < 20 || len(claims) != 4 {
		t.Errorf("claims %v", claims)
	}
	pass(4 * time.Minute)
	if again, _, _ := sent(t, c); again != first {
		t.Error("a statement is signed for every call")
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if ok, err := c.Refresh(t.Context(), mark); err != nil || !ok {
				t.Errorf("Refresh: %v, %v", ok, err)
			}
		})
	}
	wg.Wait()
	second, mark, _ := sent(t, c)
	if second == first {
		t.Error("a refused statement is used again")
	}
	if ok, _ := c.Refresh(t.Context(), mark); ok {
		t.Error("a provider that refuses everything is given another signature")
	}
	pass(6 * time.Minute)
	if third, _, _ := sent(t, c); third == second {
		t.Error("a statement is used for longer than a third of its life")
	}
	if !c.Echo([]byte(first)) {
		t.Error("the echo check does not know the statement")
	}
	bad, err := oauth.NewSigned(oauth.Statement{Key: text("not a key"), Life: time.Hour}, oauth.Bearer(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := sent(t, bad); err == nil || got != "" {
		t.Errorf("without a key: sent %q", got)
	}
}

// other is a key that is not rsaKey.
var other = sync.OnceValue(func() string {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
})

// both is a key that is being rotated: the new one is sent, and the old one is accepted too.
func both(fresh, old string) oauth.Text {
	as := func(v string) func(context.Context) (secret.Value, error) {
		return func(context.Context) (secret.Value, error) { return secret.NewValue([]byte(v)), nil }
	}
	return oauth.Text{Template: "{field}", Fields: map[string]outbound.Field{"field": {Read: as(fresh), Second: as(old)}}}
}

// ours tells whether a statement is signed with rsaKey.
func ours(t *testing.T, token string) bool {
	t.Helper()
	parts := strings.Split(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(parts) != 3 {
		t.Errorf("%d parts, %v", len(parts), err)
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return rsa.VerifyPKCS1v15(&rsaKey().PublicKey, crypto.SHA256, sum[:], signature) == nil
}

// TestSecondKeyOfAnAssertion: while the key of a service account is rotated, the endpoint may know
// only one of the two; one of another account is never tried for this one.
func TestSecondKeyOfAnAssertion(t *testing.T) {
	var e *endpoint
	e = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		e.mu.Lock()
		asked := e.forms[len(e.forms)-1].Get("assertion")
		e.mu.Unlock()
		if !ours(t, asked) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"abcdefgh-token","token_type":"Bearer","expires_in":3600}`)
	})
	client := oauth.Client{Host: e.host, Path: "/token", URL: e.url}
	source := oauth.NewJWTBearer(oauth.Assertion{Client: client, Key: both(other(), pkcs8(t)), Issuer: text("robot")})
	got, err := source.Fetch(t.Context(), time.Now)
	if err != nil || got.Value.Empty() || e.asked() != 2 {
		t.Fatalf("after %d questions: %v", e.asked(), err)
	}
	if origin, err := source.Origin(t.Context()); err != nil || origin != got.Origin {
		t.Errorf("the token is taken for one of another credential: %v", err)
	}
	for name, key := range map[string]oauth.Text{"no second": text(other()), "the same": both(other(), other()), "rubbish": both(other(), "rubbish")} {
		before := e.asked()
		_, err := oauth.NewJWTBearer(oauth.Assertion{Client: client, Key: key, Issuer: text("robot")}).Fetch(t.Context(), time.Now)
		var f *oauth.Fault
		if !errors.As(err, &f) || f.Reason != oauth.ReasonRefused || e.asked() != before+1 {
			t.Errorf("%s: %v after %d questions", name, err, e.asked()-before)
		}
	}
	account := func(email, key string) string {
		raw, err := json.Marshal(map[string]string{"private_key": key, "client_email": email})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if _, err := oauth.NewJWTBearer(oauth.Assertion{Client: client, Key: both(account("a", other()), account("b", pkcs8(t)))}).Fetch(t.Context(), time.Now); err == nil {
		t.Error("a token of another account was taken")
	}
}

// TestSecondKeyOfAStatement: a statement that was refused is signed with the other key, and the
// calls after it begin with that.
func TestSecondKeyOfAStatement(t *testing.T) {
	c, err := oauth.NewSigned(oauth.Statement{Key: both(other(), pkcs8(t)), Claims: map[string]oauth.Text{"application_id": text("app-1")}, Life: 15 * time.Minute}, oauth.Bearer(), nil)
	if err != nil {
		t.Fatal(err)
	}
	first, mark, err := sent(t, c)
	if err != nil || ours(t, first) {
		t.Fatalf("the old key signs first: %v", err)
	}
	if ok, err := c.Refresh(t.Context(), mark); err != nil || !ok {
		t.Fatalf("Refresh: %t, %v", ok, err)
	}
	second, mark, err := sent(t, c)
	if err != nil || !ours(t, second) {
		t.Fatalf("the new key signs again: %v", err)
	}
	if again, _, _ := sent(t, c); again != second {
		t.Error("a statement of the old key is signed for every call")
	}
	if ok, err := c.Refresh(t.Context(), mark); err != nil || ok {
		t.Errorf("both are refused: %t, %v", ok, err)
	}
}
