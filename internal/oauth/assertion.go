package oauth

import (
	"context"
	"net/url"
	"time"

	"sallyport/internal/secret"
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
	v, err := s.a.Key.value(ctx)
	if err != nil {
		return Origin{}, err
	}
	_, _, o, err := s.with(ctx, v)
	return o, err
}

// with takes a value of the key apart.
func (s *jwtBearer) with(ctx context.Context, v secret.Value) (k KeyFile, issuer string, o Origin, err error) {
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

// Fetch implements Source. While the key is rotated the endpoint may know only one of the two:
// where it refuses the first, the other one is tried once. The token then has the first one's
// origin, so that it is not taken for one of a credential that is gone.
func (s *jwtBearer) Fetch(ctx context.Context, now func() time.Time) (Token, error) {
	first, err := s.a.Key.value(ctx)
	if err != nil {
		return Token{}, err
	}
	t, err := s.fetch(ctx, first, now)
	if err == nil || faultOf(err).Reason != ReasonRefused {
		return t, err
	}
	second, err2 := s.a.Key.second(ctx)
	if err2 != nil || second.Empty() || second.Equal(first) {
		return t, err
	}
	_, _, origin, err2 := s.with(ctx, first)
	if err2 != nil {
		return t, err
	}
	other, err2 := s.fetch(ctx, second, now)
	if err2 != nil || other.Origin.Account != origin.Account {
		return t, err // a key of another account is no second value of this one
	}
	other.Origin = origin
	return other, nil
}

func (s *jwtBearer) fetch(ctx context.Context, v secret.Value, now func() time.Time) (Token, error) {
	key, issuer, origin, err := s.with(ctx, v)
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
