package openid

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// clientKey is where a request's context holds the address that it came from.
type clientKey struct{}

// Serve answers a request for one of the provider's paths, which came from client. The
// body must be bounded by the caller.
func (p *Provider) Serve(w http.ResponseWriter, r *http.Request, client netip.Addr) {
	if refusal := misplaced(r); refusal != nil {
		op.WriteError(w, r, refusal, nil)
		return
	}
	if r.URL.Path == Continue {
		p.resume(w, r)
		return
	}
	if r.URL.Path == "/"+authorizePath {
		w = &answering{w, p.o.Issuer}
	}
	p.handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, client)))
}

// answering puts iss into the refusals that the library sends to clients: a client that
// expects it must find it there too (RFC 9207, 2).
type answering struct {
	http.ResponseWriter
	issuer string
}

// WriteHeader implements http.ResponseWriter.
func (w *answering) WriteHeader(status int) {
	to := w.Header().Get("Location")
	if strings.Contains(to, "error=") && !strings.Contains(to, "iss=") && !strings.HasPrefix(to, "/") {
		w.Header().Set("Location", to+"&"+url.Values{"iss": {w.issuer}}.Encode())
	}
	w.ResponseWriter.WriteHeader(status)
}

// misplaced refuses what the library would take: credentials in addresses, which stand in
// the logs of whoever lies between (RFC 6749, 2.3.1; RFC 6750, 5.3), parameters that stand
// twice (RFC 6749, 3.1), and other methods than those of the protocol.
func misplaced(r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, "/")
	get, post := r.Method == http.MethodGet, r.Method == http.MethodPost
	fits := get
	switch path {
	case tokenPath:
		fits = post
	case userinfoPath, authorizePath, logoutPath:
		fits = get || post
	}
	if !fits {
		return op.NewStatusError(oidc.ErrInvalidRequest().WithDescription("this method is not served here"), http.StatusMethodNotAllowed)
	}
	if (path == tokenPath || path == userinfoPath) && r.URL.RawQuery != "" {
		return oidc.ErrInvalidRequest().WithDescription("this address takes no query: send parameters in the body, a token in Authorization")
	}
	if err := r.ParseForm(); err != nil {
		return oidc.ErrInvalidRequest().WithDescription("the parameters are not well-formed")
	}
	for _, values := range r.Form {
		if len(values) > 1 {
			return oidc.ErrInvalidRequest().WithDescription("a parameter stands twice")
		}
	}
	return nil
}

func (p *Provider) routes() http.Handler {
	endpoints := op.Endpoints{
		Authorization: op.NewEndpoint(authorizePath), Token: op.NewEndpoint(tokenPath), Userinfo: op.NewEndpoint(userinfoPath),
		EndSession: op.NewEndpoint(logoutPath), JwksURI: op.NewEndpoint(keysPath),
	}
	return op.RegisterServer(p, endpoints, op.WithServerCORSOptions(nil))
}

// Discovery implements op.Server.
func (p *Provider) Discovery(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	at := func(path string) string { return p.o.Issuer + "/" + path }
	return op.NewResponse(discovery{
		DiscoveryConfiguration: oidc.DiscoveryConfiguration{
			Issuer: p.o.Issuer, AuthorizationEndpoint: at(authorizePath), TokenEndpoint: at(tokenPath), UserinfoEndpoint: at(userinfoPath),
			EndSessionEndpoint: at(logoutPath), JwksURI: at(keysPath),
			ScopesSupported: []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail}, ResponseTypesSupported: []string{string(oidc.ResponseTypeCode)},
			ResponseModesSupported: []string{string(oidc.ResponseModeQuery)}, GrantTypesSupported: []oidc.GrantType{oidc.GrantTypeCode},
			SubjectTypesSupported: []string{"pairwise"}, IDTokenSigningAlgValuesSupported: []string{"RS256"},
			TokenEndpointAuthMethodsSupported: []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost, oidc.AuthMethodNone},
			ClaimsSupported:                   claimNames(p.o.Site.OpenID.Claims), CodeChallengeMethodsSupported: []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
		},
		IssParameter: true,
	}), nil
}

// discovery adds what RFC 9207 says to the library's document.
type discovery struct {
	oidc.DiscoveryConfiguration
	IssParameter bool `json:"authorization_response_iss_parameter_supported"`
}

// Keys implements op.Server.
func (p *Provider) Keys(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	return op.NewResponse(p.o.Keys.set.Load().public), nil
}

// fault hides an inner error: the log gets it, the client learns that there was one.
func (p *Provider) fault(ctx context.Context, doing string, err error) error {
	p.o.Log.ErrorContext(ctx, "OpenID provider", "site", p.o.Site.Name, "doing", doing, "error", err)
	return op.NewStatusError(oidc.ErrServerError().WithDescription("the gate cannot answer now"), http.StatusServiceUnavailable)
}
