package egress

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"sallyport/internal/audit"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// maxGrant bounds what an SDK may send to ask for a token.
const maxGrant = 8 << 10

// tokenOperation names the gate's own answer in log lines and audit entries.
const tokenOperation = "token-endpoint"

// grant is a call of the provider's token endpoint, which the gate answers itself.
type grant struct {
	pack     *provider.Pack
	endpoint provider.TokenEndpoint
	form     url.Values // what the call sent; nil where it sent something else
	key      session.StoredKey
}

// readGrant notices a call of a token endpoint and reads its form, in which an SDK may send
// the key as client_id and client_secret (RFC 6749 §2.3.1).
func (x *exchange) readGrant(g *Gate, conn *connection, path string) error {
	if g.deps.Tokens == nil {
		return nil
	}
	e, ok := conn.pack.TokenEndpoint(x.call.Method, path)
	if !ok || x.grant != nil { // read before, when it was looked up whose the key is
		return nil
	}
	x.grant = &grant{pack: conn.pack, endpoint: e}
	body, err := x.body(maxGrant)
	if err != nil {
		return err
	}
	if kind, _, err := mime.ParseMediaType(x.call.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil
	}
	if form, err := url.ParseQuery(string(body)); err == nil {
		x.grant.form = form
	}
	return nil
}

// keys are the values of the form that may be a site key.
func (gr *grant) keys() (out []string) {
	for _, name := range [...]string{"client_id", "client_secret"} {
		out = append(out, gr.form[name]...)
	}
	return out
}

// answerToken answers the provider's token endpoint for a backend: the token stands for the
// key that was presented, at this connection and in its mode, for some minutes.
func answerToken(ctx context.Context, g *Gate, x *exchange) Decision {
	if x.grant == nil || x.caller != site.Backend || x.grant.pack != x.conn.pack {
		return allow("not a token endpoint")
	}
	if got := x.grant.form["grant_type"]; len(got) != 1 || got[0] != "client_credentials" {
		return deny(problem.New(problem.ContractViolation, "a token is given for grant_type client_credentials only, in a form").
			WithHint("set the SDK up with the pair that `sallyport keys create %s --connection %s` prints", x.call.Site, x.call.Connection))
	}
	token, err := g.deps.Tokens.IssueToken(x.grant.key, x.call.Connection, x.conn.Mode)
	if err != nil {
		return denyErr(err)
	}
	if err := g.deps.Audit.Record(ctx, audit.Event{Kind: audit.KindTokenIssued, Request: x.call.ID, Site: x.call.Site, Connection: x.call.Connection,
		Operation: tokenOperation, Caller: string(site.Backend), Config: g.deps.Config, Name: x.keyID, Client: x.call.Client}); err != nil {
		return deny(problem.Wrap(err, problem.AuditUnavailable, "the audit log takes no entries"))
	}
	doc := map[string]any{"access_token": token.Token, "expires_in": int64(token.Life.Seconds())}
	for name, text := range x.grant.endpoint.Answer {
		doc[name] = text
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return denyErr(err)
	}
	x.finished = &Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
	return allow("token")
}

// refusedGrant is a refusal in the form of RFC 6749 §5.2, which SDKs read at a token endpoint.
func refusedGrant(p *problem.Error) map[string]any {
	code := "invalid_request"
	switch {
	case p.Status() == http.StatusUnauthorized:
		code = "invalid_client"
	case p.Status() >= http.StatusInternalServerError || p.Code == problem.RateLimited:
		code = "temporarily_unavailable"
	case strings.Contains(p.Detail, "grant_type"):
		code = "unsupported_grant_type"
	}
	return map[string]any{"error": code, "error_description": p.Detail}
}

var _ Tokens = (*session.SiteKeys)(nil)

// attempt is what the caller presents at x's connection.
func (x *exchange) attempt() session.Attempt {
	a := session.Attempt{Site: x.call.Site, Connection: x.call.Connection, Mode: x.conn.Mode, Client: x.call.Client,
		Presented: session.ParsePresented(x.presentedKeys()...), Application: x.conn.application}
	if b := bearer(x.call.Header); x.grant == nil && session.Statement(b) {
		a.Statement = b
	}
	return a
}
