package login

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/authcode"
	"sallyport/internal/problem"
	"sallyport/internal/tape"
)

const (
	maxRequest = 8 << 10
	// maxRequestAge is how old a provider's request may be.
	maxRequestAge = 24 * time.Hour
)

// Removed is what became of a provider's request to forget a person.
type Removed struct {
	// Ended are the sign-ins that were removed.
	Ended []string
	// Subject is the site's pseudonym of the person.
	Subject string
	// Code confirms it: whoever has it sees when it was done, and nothing else.
	Code string
}

// Remove forgets a person at a site because the provider says so (a visitor wants data
// deleted, or took the app's rights back): all sign-ins with their claims. request is the
// provider's signed request. The pseudonym itself is nowhere kept by the gate but in those.
func (d *Desk) Remove(ctx context.Context, a At, request string) (Removed, error) {
	if a.Pack.Login.Removal == "" {
		return Removed{}, problem.New(problem.NotFound, "the provider of this connection sends no such requests")
	}
	key, err := d.o.Secret(ctx, a.Connection, a.Pack, a.Pack.Login.ClientSecret)
	if err != nil {
		return Removed{}, err
	}
	user, err := readRequest(request, key.Expose(), d.o.Now())
	if err != nil {
		return Removed{}, problem.Wrap(err, problem.Unauthenticated, "the request is not signed by the provider")
	}
	sealer, err := d.o.Sealer(ctx, a.Site.Name)
	if err != nil {
		return Removed{}, err
	}
	subject, err := d.subject(ctx, a, user, sealer)
	if err != nil {
		return Removed{}, err
	}
	out := Removed{Subject: subject}
	if out.Ended, err = d.o.Store.DeleteLoginsOf(ctx, a.Site.Name, subject); err != nil {
		return Removed{}, storeFault(err)
	}
	out.Code, err = a.confirm(sealer, d.o.Now())
	return out, err
}

// readRequest reads base64url(signature).base64url(JSON): HMAC-SHA256 over the second part
// as it stands, before anything of it is read.
func readRequest(request string, key []byte, now time.Time) (user string, err error) {
	signature, payload, ok := strings.Cut(request, ".")
	if !ok || len(request) > maxRequest {
		return "", errors.New("it is not two parts with a dot between them, or too long")
	}
	got, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(signature, "="))
	if err != nil {
		return "", errors.New("its signature is not base64url")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(payload))
	if !hmac.Equal(mac.Sum(nil), got) {
		return "", errors.New("its signature is not the app's")
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	if err != nil {
		return "", errors.New("its payload is not base64url")
	}
	var t tape.Tape
	if err := t.Parse(raw, tape.Limits{Bytes: maxRequest, Depth: 8}); err != nil || t.Nodes[0].Kind != tape.Object {
		return "", errors.New("its payload is not a JSON object with each name once")
	}
	m, _ := t.Value(0).(map[string]any)
	user, _ = m["user_id"].(string)
	if algorithm, _ := m["algorithm"].(string); !strings.EqualFold(algorithm, "HMAC-SHA256") || !authcode.Subject(user) {
		return "", errors.New("its algorithm is not HMAC-SHA256, or it names no user")
	}
	n, ok := m["issued_at"].(json.Number)
	issued, err := n.Int64()
	if age := now.Sub(time.Unix(issued, 0)); !ok || err != nil || age > maxRequestAge || age < -time.Hour {
		return "", errors.New("it does not say when it was issued, or is older than a day")
	}
	return user, nil
}

// confirm makes a code that says when data were deleted, so that nothing has to be kept of
// whom it was about.
func (a At) confirm(s authcode.Sealer, now time.Time) (string, error) {
	sealed, err := s.Seal(fmt.Appendf(nil, "%d", now.Unix()), "removal/"+a.purpose())
	if err != nil {
		return "", fmt.Errorf("confirm removal: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Confirmed reads a confirmation code: when the person's data were deleted.
func (d *Desk) Confirmed(ctx context.Context, a At, code string) (time.Time, error) {
	unknown := problem.New(problem.NotFound, "there is no request with this code")
	sealer, err := d.o.Sealer(ctx, a.Site.Name)
	if err != nil {
		return time.Time{}, err
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil || len(code) > 300 {
		return time.Time{}, unknown
	}
	plain, err := sealer.Open(sealed, "removal/"+a.purpose())
	var at int64
	if err != nil {
		return time.Time{}, unknown
	}
	if _, err := fmt.Sscanf(string(plain), "%d", &at); err != nil {
		return time.Time{}, unknown
	}
	return time.Unix(at, 0).UTC(), nil
}
