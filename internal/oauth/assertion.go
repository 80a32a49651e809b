package oauth

import (
	"context"
	"net/url"
	"time"
)

// assertionLife is how long an assertion may be used: it is sent at once.
const assertionLife = 5 * time.Minute

// Assertion is a signed statement that is exchanged for a token (RFC 7523 §2.1).
type Assertion struct {
	// Client has Host, Path and URL only; URL is the audience.
	Client Client
	Key    Text // an RSA key, or the key file of a service account
	// Issuer is whose key it is; without a template it is that of the key file.
	Issuer Text
	Scope  string
}

type jwtBearer struct {
	a        Assertion
	endpoint endpoint
}

// NewJWTBearer makes a Source that signs an assertion and exchanges it for a token. It reads and
// sends nothing yet.
func NewJWTBearer(a Assertion) Source {
	return &jwtBearer{a: a, endpoint: endpoint{host: a.Client.Host, path: a.Client.Path}}
}

// Origin implements Source.
func (s *jwtBearer) Origin(ctx context.Context) (Origin, error) {
	_, _, o, err := s.read(ctx)
	return o, err
}

func (s *jwtBearer) read(ctx context.Context) (k KeyFile, issuer string, o Origin, err error) {
	v, err := s.a.Key.value(ctx)
	if err != nil {
		return k, "", o, err
	}
	if k, err = ParseKey(v); err != nil {
		return k, "", o, &Fault{Reason: ReasonSecret, Err: err}
	}
	if issuer = k.Issuer; s.a.Issuer.Template != "" {
		named, err := s.a.Issuer.value(ctx)
		if err != nil {
			return k, "", o, err
		}
		issuer = string(named.Expose())
	}
	if issuer == "" {
		return k, "", o, &Fault{Reason: ReasonSecret, Err: errNoIssuer}
	}
	return k, issuer, Origin{Account: Digest([]byte(s.a.Client.URL), []byte("jwt-bearer"), []byte(issuer), []byte(s.a.Scope)), Secret: Digest(v.Expose())}, nil
}

// Fetch implements Source.
func (s *jwtBearer) Fetch(ctx context.Context, now func() time.Time) (Token, error) {
	key, issuer, origin, err := s.read(ctx)
	if err != nil {
		return Token{}, err
	}
	asked := now()
	claims := map[string]any{"iss": issuer, "aud": s.a.Client.URL, "iat": asked.Unix(), "exp": asked.Add(assertionLife).Unix()}
	if s.a.Scope != "" {
		claims["scope"] = s.a.Scope
	}
	signed, err := key.sign(claims)
	if err != nil {
		return Token{}, &Fault{Reason: ReasonSecret, Err: err}
	}
	a, err := s.endpoint.post(ctx, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {string(signed)}})
	if err != nil {
		return Token{}, err
	}
	return Token{Value: a.token, Issued: asked, Expires: asked.Add(life(a.seconds)), Origin: origin}, nil
}
