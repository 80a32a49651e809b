package provider

import (
	"fmt"
	"slices"
	"strings"
)

// Probe is a call without effects that tells whether a credential is good. Answers are tried in
// their order; the first whose conditions all hold says what the answer means.
type Probe struct {
	// Auth and Server are names of the pack. A connection that has no value for a field of the
	// auth is not asked with it.
	Auth   string `json:"auth"`
	Server string `json:"server"`
	Method string `json:"method"`
	// Path may hold {field} of credentials that are no secrets. Query, Form and Headers are sent
	// as they stand.
	Path    string            `json:"path"`
	Query   map[string]string `json:"query,omitempty"`
	Form    map[string]string `json:"form,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	// OtherMode: a credential that is refused is also shown to the provider's server of the other
	// mode, because only that tells a credential of the wrong mode from a dead one.
	OtherMode bool `json:"other_mode,omitempty"`
	// Costs says what one call costs; empty: nothing. One that costs is made only when asked for.
	Costs   string        `json:"costs,omitempty"`
	Answers []ProbeAnswer `json:"answers"`
	Source  string        `json:"source"`
	Date    string        `json:"date"`
	Note    string        `json:"note,omitempty"`
}

// ProbeAnswer says what an answer means: works, refused, wrong-mode or lacks-permission.
type ProbeAnswer struct {
	Status int    `json:"status,omitempty"` // 0: any
	Field  string `json:"field,omitempty"`  // path in the JSON body
	Equals string `json:"equals,omitempty"` // the field's value, as text
	Modes  []Mode `json:"modes,omitempty"`  // of the connection; empty: any
	Means  string `json:"means"`
}

// Rotation says how a provider's credentials are changed.
type Rotation struct {
	// Page is where a credential is revoked; How says it in words.
	Page string `json:"page,omitempty"`
	How  string `json:"how"`
	// MaxAge is how old a credential may become before it is due, as a Go duration; empty: ours.
	MaxAge string `json:"max_age,omitempty"`
	Source string `json:"source"`
	Date   string `json:"date"`
}

// ProbeMeanings are what an answer to a probe can mean.
func ProbeMeanings() []string { return []string{"works", "refused", "wrong-mode", "lacks-permission"} }

func (p *Pack) checkProbes(f *faults) {
	for i, probe := range p.Probes {
		p.checkProbe(f, fmt.Sprintf("probes[%d]", i), probe)
	}
	if r := p.Rotation; r != nil {
		f.text("rotation.how", r.How)
		f.text("rotation.source", r.Source)
		f.day("rotation.date", r.Date)
		if r.Page != "" && !strings.HasPrefix(r.Page, "https://") {
			f.add("rotation.page: %q is not an https URL", r.Page)
		}
	}
}

func (p *Pack) checkProbe(f *faults, where string, probe Probe) {
	if _, ok := p.Auth[probe.Auth]; !ok {
		f.add("%s.auth: there is no auth %q", where, probe.Auth)
	}
	if _, ok := p.Servers[probe.Server]; !ok {
		f.add("%s.server: there is no server %q", where, probe.Server)
	}
	f.oneOf(where+".method", probe.Method, []string{"GET", "POST"})
	if !strings.HasPrefix(probe.Path, "/") {
		f.add("%s.path: %q does not begin with /", where, probe.Path)
	}
	for _, m := range fieldTemplate.FindAllString(probe.Path, -1) {
		name := strings.Trim(m, "{}")
		if !slices.ContainsFunc(p.Credentials, func(c CredentialField) bool { return c.Name == name && !c.Secret }) {
			f.add("%s.path: {%s} is not a credential that may be read by others", where, name)
		}
	}
	if len(probe.Form) > 0 && probe.Method != "POST" {
		f.add("%s.form: a GET has no form", where)
	}
	for _, name := range sortedKeys(probe.Headers) {
		if !headerPattern.MatchString(name) || slices.Contains(ownHeaders(), strings.ToLower(name)) {
			f.add("%s.headers: %q is not one that a probe may send", where, name)
		}
	}
	works := false
	for i, a := range probe.Answers {
		at := fmt.Sprintf("%s.answers[%d]", where, i)
		f.oneOf(at+".means", a.Means, ProbeMeanings())
		works = works || a.Means == "works"
		if a.Status == 0 && a.Field == "" {
			f.add("%s: no condition; every answer would mean %s", at, a.Means)
		}
		if a.Field != "" {
			checkPath(f, at+".field", a.Field)
		}
	}
	if !works {
		f.add("%s.answers: none means works", where)
	}
	f.text(where+".source", probe.Source)
	f.day(where+".date", probe.Date)
}
