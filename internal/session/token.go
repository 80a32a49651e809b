package session

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/site"
)

const (
	// tokenType is the explicit type of RFC 8725 §3.11: no other JWT of ours or of
	// anybody passes for a session.
	tokenType = "sallyport-session+jwt"
	// MaxTokenLength is the longest token that is looked at, in bytes. Ours have about 400.
	MaxTokenLength = 2048

	maxKeyID  = 64
	clockSkew = time.Minute // how far ahead another node's clock may be at iat
)

type claims struct {
	Issuer   string      `json:"iss"`
	Audience string      `json:"aud"`
	Origin   site.Origin `json:"origin"`
	Session  string      `json:"sid"`
	IssuedAt int64       `json:"iat"`
	Expires  int64       `json:"exp"`
	TokenID  string      `json:"jti"`
	// Vouched is absent for nobody, so that a token without it can never say more.
	Vouched string `json:"vouched,omitempty"`
	// Since is absent in the first token of a visit, which begins when it is issued.
	Since int64 `json:"since,omitempty"`
	// Login, Subject and Until (the end of the sign-in) stand together or not at all.
	Login   string `json:"login,omitempty"`
	Subject string `json:"sub,omitempty"`
	Until   int64  `json:"until,omitempty"`
}

// signedIn puts a login into the claims; the zero Login puts in nothing.
func (c claims) signedIn(l Login) claims {
	if l.Is() {
		c.Login, c.Subject, c.Until = l.ID, l.Subject, l.Ends.Unix()
	}
	return c
}

func (c claims) session() Session {
	vouched, _ := ParseVouched(c.Vouched) // readClaims has refused an unknown one
	since := c.Since
	if since == 0 {
		since = c.IssuedAt
	}
	var login Login
	if c.Login != "" {
		login = Login{ID: c.Login, Subject: c.Subject, Ends: time.Unix(c.Until, 0)}
	}
	return Session{
		Login: login, Vouched: vouched, Since: time.Unix(since, 0),
		ID: c.Session, Site: c.Audience, Origin: c.Origin, TokenID: c.TokenID,
		IssuedAt: time.Unix(c.IssuedAt, 0), ExpiresAt: time.Unix(c.Expires, 0),
	}
}

// randomID is 128 random bits in base64url.
func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// header reads the protected header of a compact token, strictly: exactly alg, typ and
// kid, each once, alg and typ ours. Whatever else a header could ask for (crit, zip, b64,
// jku, x5u, jwk) is thereby refused before any library looks at it.
func header(token string) (kid string, err error) {
	if len(token) > MaxTokenLength {
		return "", fmt.Errorf("token has %d bytes, more than %d", len(token), MaxTokenLength)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("token has %d parts, not 3", len(parts))
	}
	for _, p := range parts {
		if err := strictBase64(p); err != nil {
			return "", err
		}
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(parts[0])
	if err != nil {
		return "", fmt.Errorf("token header: %w", err)
	}
	h, err := scalars(raw)
	if err != nil {
		return "", fmt.Errorf("token header: %w", err)
	}
	kid, isText := h["kid"].(string)
	switch {
	case len(h) != 3:
		return "", fmt.Errorf("token header has %d fields, not alg, typ and kid", len(h))
	case h["alg"] != string(jose.EdDSA):
		return "", errors.New("token algorithm is not EdDSA")
	case h["typ"] != tokenType:
		return "", errors.New("token type is not " + tokenType)
	case !isText || kid == "" || len(kid) > maxKeyID:
		return "", errors.New("token key id is not one of ours")
	}
	return kid, nil
}

// strictBase64 refuses what Go's decoder tolerates: line breaks inside, and unused bits
// that are not zero. Padding is not in the alphabet.
func strictBase64(s string) error {
	if s == "" {
		return errors.New("token has an empty part")
	}
	for _, c := range []byte(s) {
		if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return errors.New("token holds a character outside base64url")
		}
	}
	var buf [MaxTokenLength]byte
	if _, err := base64.RawURLEncoding.Strict().Decode(buf[:], []byte(s)); err != nil {
		return fmt.Errorf("token part is not base64url: %w", err)
	}
	return nil
}

// scalars reads one flat JSON object of strings and numbers, each name once.
func scalars(raw []byte) (map[string]any, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	out := make(map[string]any, 8)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		value, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		key, _ := name.(string) // a name is always text
		if _, twice := out[key]; twice {
			return nil, errors.New("a name stands twice")
		}
		switch value.(type) {
		case string, json.Number:
			out[key] = value
		default:
			return nil, errors.New("a value is neither text nor a number")
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return out, nil
}

// readClaims reads a verified payload: exactly our claims, each once, of its type.
func readClaims(raw []byte) (claims, error) {
	m, err := scalars(raw)
	if err != nil {
		return claims{}, fmt.Errorf("token claims: %w", err)
	}
	var c claims
	if v, ok := m["vouched"]; ok {
		if c.Vouched, ok = v.(string); !ok {
			return claims{}, errors.New("token claim vouched is not text")
		}
		if _, err := ParseVouched(c.Vouched); err != nil {
			return claims{}, fmt.Errorf("token claim vouched: %w", err)
		}
		delete(m, "vouched")
	}
	if _, ok := m["since"]; ok {
		if c.Since, err = seconds(m, "since"); err != nil {
			return claims{}, err
		}
		delete(m, "since")
	}
	if err := c.readLogin(m); err != nil {
		return claims{}, err
	}
	if len(m) != 7 {
		return claims{}, fmt.Errorf("token has %d claims beside vouched, since and those of a login, not our 7", len(m))
	}
	var origin string
	for name, to := range map[string]*string{"iss": &c.Issuer, "aud": &c.Audience, "origin": &origin, "sid": &c.Session, "jti": &c.TokenID} {
		v, ok := m[name].(string)
		if !ok || v == "" {
			return claims{}, fmt.Errorf("token claim %s is missing or not text", name)
		}
		*to = v
	}
	c.Origin = site.Origin(origin)
	for name, to := range map[string]*int64{"iat": &c.IssuedAt, "exp": &c.Expires} {
		if *to, err = seconds(m, name); err != nil {
			return claims{}, err
		}
	}
	return c, nil
}

// readLogin takes the claims of a sign-in out of m: all of them, or none.
func (c *claims) readLogin(m map[string]any) (err error) {
	_, there := m["login"]
	_, sub := m["sub"]
	_, until := m["until"]
	if !there && !sub && !until {
		if c.Vouched == ByLogin.String() {
			return errors.New("token says that a login vouches, and names none")
		}
		return nil
	}
	c.Login, _ = m["login"].(string)
	c.Subject, _ = m["sub"].(string)
	if c.Until, err = seconds(m, "until"); err != nil {
		return err
	}
	if v, _ := ParseVouched(c.Vouched); c.Login == "" || c.Subject == "" || v < ByLogin {
		return errors.New("token claims of a login are missing, not text, or do not vouch")
	}
	for _, name := range []string{"login", "sub", "until"} {
		delete(m, name)
	}
	return nil
}

func seconds(m map[string]any, name string) (int64, error) {
	v, ok := m[name].(json.Number)
	n, err := strconv.ParseInt(v.String(), 10, 64)
	if !ok || err != nil || n <= 0 || n > 1<<40 || v.String() != strconv.FormatInt(n, 10) {
		return 0, fmt.Errorf("token claim %s is missing or not whole seconds", name)
	}
	return n, nil
}

// current says whether the claims hold at now. There is no leeway at exp: the clock that
// checks is the clock that issued, or its neighbour's.
func (c claims) current(now time.Time) error {
	issued, expires := time.Unix(c.IssuedAt, 0), time.Unix(c.Expires, 0)
	switch {
	case !now.Before(expires):
		return errors.New("token has expired")
	case issued.After(now.Add(clockSkew)):
		return errors.New("token is from the future")
	case expires.Sub(issued) > MaxTTL || !expires.After(issued):
		return fmt.Errorf("token lives longer than %s", MaxTTL)
	case c.Login != "" && c.Until < c.Expires:
		return errors.New("the token lives longer than its login")
	case c.Since > c.IssuedAt || c.Since > 0 && expires.Sub(time.Unix(c.Since, 0)) > MaxVisit:
		return fmt.Errorf("the visit lasts longer than %s", MaxVisit)
	}
	return nil
}
