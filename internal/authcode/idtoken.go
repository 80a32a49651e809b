package authcode

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/jws"
	"sallyport/internal/secret"
)

// Skew is how far an issuer's clock may be from ours.
const Skew = time.Minute

// maxIDTokenAge is how old an ID token may be when it arrives: it was made for this exchange.
const maxIDTokenAge = 10 * time.Minute

// Expect is what an ID token must say.
type Expect struct {
	Issuer, ClientID, Nonce string
	// Access is the access token that came with it, which at_hash names where it is there.
	Access secret.Value
	Now    time.Time
}

// IDToken verifies an ID token (OpenID Connect Core §3.1.3.7) and gives its claims; sub is
// among them, a text of 1 to 255 ASCII characters. Errors wrap jws.ErrNotVerified, or say
// that it is not known.
func IDToken(ctx context.Context, token secret.Value, keys jws.KeyFinder, e Expect) (map[string]any, error) {
	o, err := jws.Open(ctx, string(token.Expose()), keys)
	if err != nil {
		return nil, err
	}
	claims, err := o.Claims()
	if err != nil {
		return nil, err
	}
	for _, check := range []func() error{
		func() error { return e.named(claims) },
		func() error { return e.timely(claims) },
		func() error { return e.ofAccess(claims, o.Key.Algorithm()) },
	} {
		if err := check(); err != nil {
			return nil, fmt.Errorf("%w: %w", jws.ErrNotVerified, err)
		}
	}
	return claims, nil
}

// named checks who says it of whom, to whom, and for which attempt.
func (e Expect) named(claims map[string]any) error {
	audience, ok := claims["aud"].(string)
	several, _ := texts(claims["aud"])
	party, hasParty := claims["azp"]
	nonce, _ := claims["nonce"].(string)
	switch {
	case claims["iss"] != e.Issuer:
		return errors.New("it is of another issuer")
	case !ok && !slices.Contains(several, e.ClientID), ok && audience != e.ClientID:
		return errors.New("it is for another client")
	case len(several) > 1 && party != e.ClientID, hasParty && party != e.ClientID:
		return errors.New("it was issued to another client")
	case e.Nonce == "" || subtle.ConstantTimeCompare([]byte(nonce), []byte(e.Nonce)) != 1:
		return errors.New("its nonce is not the attempt's")
	case !Subject(claims["sub"]):
		return errors.New("its sub is not a text of 1 to 255 ASCII characters")
	}
	return nil
}

// Subject reports whether a value is a subject: 1 to 255 visible ASCII characters.
func Subject(v any) bool {
	s, ok := v.(string)
	return ok && s != "" && len(s) <= 255 && visible(s)
}

func (e Expect) timely(claims map[string]any) error {
	expires, ok := jws.Seconds(claims["exp"])
	issued, also := jws.Seconds(claims["iat"])
	switch {
	case !ok || !also:
		return errors.New("it does not say when it was issued and when it expires")
	case !e.Now.Before(time.Unix(expires, 0).Add(Skew)):
		return errors.New("it has expired")
	case time.Unix(issued, 0).After(e.Now.Add(Skew)):
		return errors.New("it is from the future")
	case e.Now.Sub(time.Unix(issued, 0)) > maxIDTokenAge:
		return errors.New("it is older than the attempt can be")
	}
	if before, there := claims["nbf"]; there {
		if n, ok := jws.Seconds(before); !ok || time.Unix(n, 0).After(e.Now.Add(Skew)) {
			return errors.New("it does not count yet")
		}
	}
	return nil
}

// ofAccess holds at_hash, where it is there, against the access token (OpenID Connect Core
// §3.1.3.6).
func (e Expect) ofAccess(claims map[string]any, algorithm string) error {
	v, there := claims["at_hash"]
	if !there || e.Access.Empty() {
		return nil
	}
	said, _ := v.(string)
	var sum []byte
	switch {
	case strings.HasSuffix(algorithm, "256"):
		h := sha256.Sum256(e.Access.Expose())
		sum = h[:]
	case strings.HasSuffix(algorithm, "384"):
		h := sha512.Sum384(e.Access.Expose())
		sum = h[:]
	default:
		h := sha512.Sum512(e.Access.Expose())
		sum = h[:]
	}
	want := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	if subtle.ConstantTimeCompare([]byte(said), []byte(want)) != 1 {
		return errors.New("it is of another access token")
	}
	return nil
}
