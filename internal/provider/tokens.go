package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// TokenEndpoint is an OAuth token endpoint (RFC 6749 §3.2) at which SDKs of the provider ask
// for a token by grant_type client_credentials before their first call.
type TokenEndpoint struct {
	Server string `json:"server"`
	Path   string `json:"path"` // as in the contract's paths; method POST
	// Answer are texts that the provider's answer has beside access_token and expires_in:
	// token_type, and what SDKs read besides.
	Answer map[string]string `json:"answer"`
	Source string            `json:"source"`
}

// TokenEndpoint finds the token endpoint at a method and an escaped path.
func (p *Pack) TokenEndpoint(method, path string) (TokenEndpoint, bool) {
	if method != "POST" {
		return TokenEndpoint{}, false
	}
	for _, e := range p.TokenEndpoints {
		if e.Path == path {
			return e, true
		}
	}
	return TokenEndpoint{}, false
}

func (p *Pack) checkTokenEndpoints(f *faults) {
	for i, e := range p.TokenEndpoints {
		where := fmt.Sprintf("token_endpoints[%d]", i)
		if _, ok := p.Servers[e.Server]; !ok {
			f.add("%s.server: there is no server %q; the servers are %s", where, e.Server, strings.Join(slices.Sorted(maps.Keys(p.Servers)), ", "))
		}
		if !strings.HasPrefix(e.Path, "/") || strings.ContainsAny(e.Path, "{}?# ") {
			f.add("%s.path: %q is not a path that begins with / and has no parameter", where, e.Path)
		}
		if p.contract != nil {
			if op, _ := p.contract.Route("POST", e.Path); op != nil {
				f.add("%s.path: the contract has the operation %s at %s", where, op.ID, e.Path)
			}
		}
		if e.Answer["token_type"] == "" {
			f.add("%s.answer: token_type is missing; write the one that the provider answers with", where)
		}
		for _, own := range []string{"access_token", "expires_in"} {
			if _, ok := e.Answer[own]; ok {
				f.add("%s.answer: %s is the gate's own; leave it out", where, own)
			}
		}
		f.text(where+".source", e.Source)
	}
}

// Application is how the provider's SDKs sign tokens with an application's key, and how long
// such a token may live; ok is false where they do not.
func (p *Pack) Application() (a KeyApplication, life time.Duration, ok bool) {
	for _, k := range p.KeyShapes {
		if k.Application != nil {
			life, err := time.ParseDuration(k.Application.Life)
			return *k.Application, life, err == nil && life > 0
		}
	}
	return KeyApplication{}, 0, false
}

func (k KeyShape) checkApplication(f *faults, where string) {
	lines := 1
	if k.User != "" || k.UserLen > 0 {
		lines++
	}
	if a := k.Application; a != nil {
		lines += 2
		f.text(where+".application.claim", a.Claim)
		f.text(where+".application.source", a.Source)
		if d, err := time.ParseDuration(a.Life); err != nil || d < time.Minute || d > 24*time.Hour {
			f.add("%s.application.life: %q is not a duration from 1m to 24h", where, a.Life)
		}
	}
	if len(k.Lines) != 0 && len(k.Lines) != lines {
		f.add("%s.lines: %d names for what is printed in %d", where, len(k.Lines), lines)
	}
}
