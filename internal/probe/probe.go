// Package probe asks a provider whether a credential is good, with a call that has no effects:
// it works, it is refused, it belongs to another mode, or it may not do what was asked.
//
// What to ask and how to read the answer is data of the provider's pack. A finding is made of
// our own words: nothing of the provider's answer is kept or shown. The package goes out through
// the Host and with the Credential that it is given, decides nothing about calls, and remembers
// nothing.
package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/outbound"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// Finding says how a credential is.
type Finding string

// The findings. The first four are the provider's own; the others say why there is none.
const (
	Works           Finding = "works"
	Refused         Finding = "refused"
	WrongMode       Finding = "wrong-mode"
	LacksPermission Finding = "lacks-permission"
	// Unclear: the provider answered something that its pack does not know.
	Unclear Finding = "unclear"
	// Unreachable: nobody answered.
	Unreachable Finding = "unreachable"
	// Missing: the credential cannot be read, or is not well-formed.
	Missing Finding = "missing"
	// NotAsked: mode mock, a pack without a probe, or a probe that costs.
	NotAsked Finding = "not-asked"
)

// Good says that nothing has to be done: it works, or nobody was asked.
func (f Finding) Good() bool { return f == Works || f == NotAsked }

// Bad says that the provider does not accept the credential as it is, or that there is none.
func (f Finding) Bad() bool {
	return f == Refused || f == WrongMode || f == LacksPermission || f == Missing
}

// Select chooses how a connection's credential is probed: the first probe of each auth that the
// connection has all fields for, at a server of its mode. Of two for one credential it is the one
// whose server the connection's operations use. ok is false where there is none.
func Select(c *site.Connection, p *provider.Pack) (*provider.Probe, bool) {
	var first *provider.Probe
	for i := range p.Probes {
		one := &p.Probes[i]
		if !possible(c, p, one) {
			continue
		}
		if uses(c, p, one.Server) {
			return one, true
		}
		if first == nil {
			first = one
		}
	}
	return first, first != nil
}

func possible(c *site.Connection, p *provider.Pack, one *provider.Probe) bool {
	for _, field := range p.Auth[one.Auth].Fields() {
		_, secret := c.Credentials[field]
		if _, account := c.Account[field]; !secret && !account {
			return false
		}
	}
	return p.Servers[one.Server].URL[c.Mode] != "" || c.Upstream != nil
}

// uses says whether an operation that the connection allows is at the server.
func uses(c *site.Connection, p *provider.Pack, server string) bool {
	if c.BackendAll || p.Contract() == nil {
		return true
	}
	at := func(id string) bool { op, ok := p.Contract().Find(id); return ok && op.Server == server }
	if slices.ContainsFunc(c.Backend, at) {
		return true
	}
	for id := range c.Browser {
		if at(id) {
			return true
		}
	}
	return false
}

// Question is a probe that is ready to be sent.
type Question struct {
	Connection *site.Connection
	Probe      *provider.Probe
	Host       *outbound.Host
	Credential outbound.Credential
	// Identifiers are the values of the fields in the probe's path.
	Identifiers map[string]string
}

// Ask sends the question and reads the answer. It blocks for a call's time at most. The note is
// for people, and holds nothing that the provider sent.
func Ask(ctx context.Context, q Question) (Finding, string) {
	path, ok := fill(q.Probe.Path, q.Identifiers)
	if !ok {
		return Missing, "a field that stands in the probe's path has no value"
	}
	call := &outbound.Call{Method: q.Probe.Method, Path: path, RawQuery: encode(q.Probe.Query), Header: http.Header{}, Credential: q.Credential}
	for name, value := range q.Probe.Headers {
		call.Header.Set(name, value)
	}
	if q.Probe.Method == http.MethodPost {
		call.Body = []byte(encode(q.Probe.Form))
		call.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		call.Safety = outbound.Safe
	}
	result, err := q.Host.Do(ctx, call)
	if err != nil {
		return failed(err)
	}
	return Read(q.Probe, q.Connection.Mode, result.Status, result.Body)
}

func failed(err error) (Finding, string) {
	p := problem.From(err)
	switch p.Code {
	case problem.CredentialUnavailable:
		return Missing, p.Detail
	case problem.UpstreamEcho, problem.UpstreamRedirect, problem.UpstreamMalformed:
		return Unclear, p.Detail
	}
	return Unreachable, p.Detail
}

// Read says what an answer means.
func Read(p *provider.Probe, mode provider.Mode, status int, body []byte) (Finding, string) {
	tree, read := contract.Args{}, false
	for _, a := range p.Answers {
		if a.Status != 0 && a.Status != status || len(a.Modes) > 0 && !slices.Contains(a.Modes, mode) {
			continue
		}
		if a.Field != "" {
			if !read {
				tree, read = parse(body), true
			}
			if !is(tree, a.Field, a.Equals) {
				continue
			}
		}
		return Finding(a.Means), ""
	}
	return Unclear, fmt.Sprintf("the provider answered %d, which its catalog entry does not explain", status)
}

func parse(body []byte) contract.Args {
	var tree map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return contract.NewArgs(nil)
	}
	return contract.NewArgs(tree)
}

func is(tree contract.Args, field, want string) bool {
	path, err := contract.ParsePath(field)
	if err != nil {
		return false
	}
	v, ok := tree.Get(path)
	return ok && fmt.Sprint(v) == want
}

func encode(fields map[string]string) string {
	values := url.Values{}
	for name, value := range fields {
		values.Set(name, value)
	}
	return values.Encode()
}

// fill puts identifiers into a path.
func fill(path string, identifiers map[string]string) (string, bool) {
	var b strings.Builder
	for path != "" {
		before, rest, found := strings.Cut(path, "{")
		b.WriteString(before)
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		value := identifiers[name]
		if !closed || value == "" {
			return "", false
		}
		b.WriteString(url.PathEscape(value))
		path = after
	}
	return b.String(), true
}
