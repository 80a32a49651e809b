package openid

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// What a request may bring, in bytes: it travels in a cookie.
const (
	maxState  = 1024
	maxNonce  = 256
	maxToken  = 8 << 10
	maxSealed = 3500

	// cookiePrefix is the start of the name of a request's cookie: __Host- binds it to the
	// gate's own name (RFC 6265bis, 4.1.3.2).
	cookiePrefix = "__Host-sallyport-openid-"
	// maxOpen is how many requests one browser may have open; the oldest are forgotten.
	maxOpen = 4
)

// request is what a client asked for.
type request struct {
	ID        string   `json:"id"`
	Client    string   `json:"client"`
	Redirect  string   `json:"redirect"`
	State     string   `json:"state,omitempty"`
	Nonce     string   `json:"nonce,omitempty"`
	Scopes    []string `json:"scopes"`
	Challenge string   `json:"challenge,omitempty"`
	// NotBefore: the person must have signed in then or later; Unix seconds.
	NotBefore int64 `json:"not_before,omitempty"`
	Expires   int64 `json:"expires"`
}

// Authorize implements op.Server. The library has checked client, redirect address, scopes,
// response type and the words of prompt.
func (p *Provider) Authorize(ctx context.Context, r *op.ClientRequest[oidc.AuthRequest]) (*op.Redirect, error) {
	q, now := r.Data, p.o.Now()
	ask := request{ID: strings.ToLower(rand.Text()[:12]), Client: r.Client.GetID(), Redirect: q.RedirectURI, State: q.State, Nonce: q.Nonce,
		Scopes: q.Scopes, Challenge: q.CodeChallenge, Expires: now.Add(requestLife).Unix()}
	if err := p.fits(q); err != nil {
		return nil, err
	}
	if q.MaxAge != nil {
		ask.NotBefore = now.Add(-time.Duration(min(*q.MaxAge, 1<<30)) * time.Second).Unix()
	}
	if slices.Contains(q.Prompt, oidc.PromptLogin) {
		ask.NotBefore = now.Unix()
	}
	who, err := p.o.SignIns.Current(ctx, p.o.Site.Name, r.Header)
	switch {
	case err == nil && who.At.Unix() >= ask.NotBefore && !slices.Contains(q.Prompt, oidc.PromptLogin):
		return p.code(ctx, ask, who)
	case err != nil && !errors.Is(err, ErrNobody):
		return nil, p.fault(ctx, "find who is signed in", err)
	case slices.Contains(q.Prompt, oidc.PromptNone):
		return nil, oidc.ErrLoginRequired().WithDescription("nobody is signed in")
	}
	connection, err := p.connection(r.Form.Get("connection"))
	if err != nil {
		return nil, err
	}
	cookies, err := p.remember(ctx, ask, r.Header)
	if err != nil {
		return nil, err
	}
	to := op.NewRedirect(p.o.SignIns.Address(connection, Continue+"?request="+ask.ID))
	to.Header["Set-Cookie"] = cookies
	return to, nil
}

// fits checks what the library leaves to us.
func (p *Provider) fits(q *oidc.AuthRequest) error {
	c := p.o.Site.OpenID.Clients[q.ClientID]
	switch {
	case q.RequestParam != "":
		return oidc.ErrRequestNotSupported()
	case q.ResponseMode != "" && q.ResponseMode != oidc.ResponseModeQuery:
		return oidc.ErrInvalidRequest().WithDescription("response_mode is query, or not there")
	case !slices.Contains(q.Scopes, oidc.ScopeOpenID):
		return oidc.ErrInvalidScope().WithDescription("scope holds openid, and email or profile where they are wanted")
	case len(q.State) > maxState || len(q.Nonce) > maxNonce:
		return oidc.ErrInvalidRequest().WithDescription("state has at most 1024 bytes, nonce 256")
	case q.CodeChallenge == "" && c.Public():
		return oidc.ErrInvalidRequest().WithDescription("a client without a secret needs PKCE: send code_challenge")
	case q.CodeChallenge != "" && (q.CodeChallengeMethod != oidc.CodeChallengeMethodS256 || len(q.CodeChallenge) != 43):
		return oidc.ErrInvalidRequest().WithDescription("code_challenge_method is S256, and its code_challenge has 43 characters")
	}
	return nil
}

// connection is the login connection to sign in with.
func (p *Provider) connection(asked string) (string, error) {
	logins := p.o.Site.OpenID.Logins
	if asked == "" {
		return logins[0], nil
	}
	if !slices.Contains(logins, asked) {
		return "", oidc.ErrInvalidRequest().WithDescription("connection is one of the login connections of the site's openid")
	}
	return asked, nil
}

// remember seals the request into a cookie of the browser, which is the only one that can
// go on with it, and forgets the oldest ones where there are too many.
func (p *Provider) remember(ctx context.Context, ask request, h http.Header) ([]string, error) {
	value, err := p.seal(ctx, ask, "openid-request")
	if err != nil {
		return nil, err
	}
	if len(value) > maxSealed {
		return nil, oidc.ErrInvalidRequest().WithDescription("the request is too long for a cookie: shorten state")
	}
	out := []string{cookie(ask.ID, value, requestLife)}
	var open []string
	for _, c := range (&http.Request{Header: h}).Cookies() {
		if id, ok := strings.CutPrefix(c.Name, cookiePrefix); ok && requestID(id) {
			open = append(open, id)
		}
	}
	for len(open) >= maxOpen {
		out, open = append(out, cookie(open[0], "", -1)), open[1:]
	}
	return out, nil
}

func requestID(s string) bool {
	return len(s) == 12 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

func cookie(id, value string, life time.Duration) string {
	c := http.Cookie{Name: cookiePrefix + id, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1}
	if life > 0 {
		c.MaxAge = int(life / time.Second)
	}
	return c.String()
}

// resume goes on when login has sent the browser back.
func (p *Provider) resume(w http.ResponseWriter, r *http.Request) {
	to, err := p.resumed(r)
	if err != nil {
		op.WriteError(w, r, err, nil)
		return
	}
	for name, values := range to.Header {
		w.Header()[name] = values
	}
	http.Redirect(w, r, to.URL, http.StatusFound)
}

func (p *Provider) resumed(r *http.Request) (*op.Redirect, error) {
	ctx, id := r.Context(), r.Form.Get("request")
	stale := op.NewStatusError(oidc.ErrInvalidRequest().
		WithDescription("this sign-in was not begun in this browser, or over 15 minutes ago: go back to the site and begin again"), http.StatusBadRequest)
	if !requestID(id) {
		return nil, stale
	}
	c, err := r.Cookie(cookiePrefix + id)
	if err != nil {
		return nil, stale
	}
	var ask request
	if err := p.open(ctx, c.Value, "openid-request", &ask); err != nil || ask.ID != id || p.o.Now().Unix() >= ask.Expires {
		return nil, stale
	}
	var to *op.Redirect
	who, err := p.o.SignIns.Current(ctx, p.o.Site.Name, r.Header)
	switch {
	case errors.Is(err, ErrNobody), err == nil && who.At.Unix() < ask.NotBefore:
		to = p.back(ask, url.Values{"error": {string(oidc.AccessDenied)}, "error_description": {"the visitor did not sign in"}})
	case err != nil:
		return nil, p.fault(ctx, "find who is signed in", err)
	default:
		if to, err = p.code(ctx, ask, who); err != nil {
			return nil, err
		}
	}
	to.Header.Add("Set-Cookie", cookie(id, "", -1))
	return to, nil
}

// back is the client's address with an answer; the file named it, and it has no fragment.
func (p *Provider) back(ask request, answer url.Values) *op.Redirect {
	if ask.State != "" {
		answer.Set("state", ask.State)
	}
	answer.Set("iss", p.o.Issuer)
	mark := "?"
	if strings.Contains(ask.Redirect, "?") {
		mark = "&"
	}
	return op.NewRedirect(ask.Redirect + mark + answer.Encode())
}

// seal writes v so that only this gate reads it, for this site, purpose and time.
func (p *Provider) seal(ctx context.Context, v any, purpose string) (string, error) {
	sealer, err := p.o.Sealer(ctx)
	if err != nil {
		return "", p.fault(ctx, "open the site's data key", err)
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return "", p.fault(ctx, "write "+purpose, err)
	}
	sealed, err := sealer.Seal(plain, purpose+"/"+strconv.Quote(p.o.Site.Name))
	if err != nil {
		return "", p.fault(ctx, "seal "+purpose, err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// open reads what seal wrote. Its error is for the log.
func (p *Provider) open(ctx context.Context, text, purpose string, v any) error {
	if len(text) > maxToken {
		return errors.New("too long")
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return errors.New("not base64url")
	}
	sealer, err := p.o.Sealer(ctx)
	if err != nil {
		return err
	}
	plain, err := sealer.Open(sealed, purpose+"/"+strconv.Quote(p.o.Site.Name))
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, v)
}
