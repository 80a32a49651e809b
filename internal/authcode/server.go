package authcode

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/jws"
	"sallyport/internal/tape"
)

// Method is how a client says who it is at the token endpoint (RFC 6749 §2.3.1).
type Method string

// The methods. The zero value is HTTP Basic, which every server has to know.
const (
	Basic Method = "client_secret_basic"
	Post  Method = "client_secret_post"
	// Query sends the secret in the address of a GET, as one provider documents it.
	Query Method = "query"
	// Public has no secret.
	Public Method = "none"
)

// Server is what is known of an authorization server: from its metadata (RFC 8414, OpenID
// Connect Discovery) or from the catalog.
type Server struct {
	// Issuer names the server; it is compared byte by byte.
	Issuer string
	// Addresses. Authorize is for browsers; the gate calls the others.
	Authorize, Token, Userinfo, Keys, Revoke string
	// SaysIssuer: every answer carries iss (RFC 9207), so that one without it does not count.
	SaysIssuer bool
	// NoPKCE: the provider does not document PKCE, so none is sent.
	NoPKCE bool
	// Method is how the token endpoint wants the client's secret.
	Method Method
	// Algorithms are those of ID tokens that both sides know, the server's first choice first.
	Algorithms []string
}

// maxMetadata bounds a metadata document, in bytes.
const maxMetadata = 64 << 10

// ParseServer reads the metadata of the server that calls itself issuer. Another name in it
// is an error (RFC 8414 §3.3): the document could be anybody's.
func ParseServer(raw []byte, issuer string) (Server, error) {
	m, err := object(raw, maxMetadata)
	if err != nil {
		return Server{}, fmt.Errorf("read the issuer's metadata: %w", err)
	}
	if m["issuer"] != issuer {
		return Server{}, fmt.Errorf("read the issuer's metadata: it is of another issuer than %s", issuer)
	}
	s := Server{Issuer: issuer, SaysIssuer: m["authorization_response_iss_parameter_supported"] == true}
	for _, a := range []struct {
		name     string
		to       *string
		required bool
	}{
		{"authorization_endpoint", &s.Authorize, true}, {"token_endpoint", &s.Token, true}, {"jwks_uri", &s.Keys, false},
		{"userinfo_endpoint", &s.Userinfo, false}, {"revocation_endpoint", &s.Revoke, false},
	} {
		v, there := m[a.name].(string)
		if !there && !a.required {
			continue
		}
		if err := CheckAddress(v); err != nil {
			return Server{}, fmt.Errorf("read the issuer's metadata: %s: %w", a.name, err)
		}
		*a.to = v
	}
	if methods, ok := texts(m["code_challenge_methods_supported"]); ok && !slices.Contains(methods, "S256") {
		return Server{}, errors.New("read the issuer's metadata: it names the PKCE methods that it knows, and S256 is not one of them")
	}
	s.Method = methodOf(m)
	s.Algorithms = algorithmsOf(m)
	return s, nil
}

func methodOf(m map[string]any) Method {
	methods, ok := texts(m["token_endpoint_auth_methods_supported"])
	if ok && !slices.Contains(methods, string(Basic)) && slices.Contains(methods, string(Post)) {
		return Post
	}
	return Basic // the default of RFC 8414 §2
}

func algorithmsOf(m map[string]any) []string {
	named, ok := texts(m["id_token_signing_alg_values_supported"])
	if !ok {
		return []string{jws.RS256} // what OpenID Connect Discovery §3 demands of every server
	}
	return slices.DeleteFunc(named, func(a string) bool {
		return !slices.Contains([]string{jws.RS256, jws.RS384, jws.RS512, jws.PS256, jws.PS384, jws.PS512, jws.ES256, jws.ES384, jws.ES512, jws.EdDSA}, a)
	})
}

// Accept is which keys of the server's set count for its ID tokens.
func (s Server) Accept() jws.Accept {
	a := jws.Accept{Algorithms: s.Algorithms}
	for _, name := range s.Algorithms {
		if a.RSA == "" && (strings.HasPrefix(name, "RS") || strings.HasPrefix(name, "PS")) {
			a.RSA = name
		}
	}
	return a
}

// CheckAddress holds an address of a server: absolute https without user, fragment or
// anything that two parsers could read differently.
func CheckAddress(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "" || len(raw) > 2048 || err != nil:
		return errors.New("it is missing, or no address")
	case u.Scheme != "https" || u.Host == "" || u.Opaque != "":
		return errors.New("it is not an https address")
	case u.User != nil || u.Fragment != "" || strings.ContainsAny(raw, "#\\"):
		return errors.New("it has a user, a fragment or a backslash")
	}
	return nil
}

func texts(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(list))
	for _, item := range list {
		if s, ok := item.(string); ok && s != "" {
			out = append(out, s)
		}
	}
	return out, true
}

// object reads a JSON object with each name once, within bounds.
func object(raw []byte, most int) (map[string]any, error) {
	var t tape.Tape
	if err := t.Parse(raw, tape.Limits{Bytes: most, Depth: 16, Elements: 500, Nodes: 5000}); err != nil {
		return nil, errors.New("it is not JSON with each name once")
	}
	if t.Nodes[0].Kind != tape.Object {
		return nil, errors.New("it is not a JSON object")
	}
	m, _ := t.Value(0).(map[string]any)
	return m, nil
}
