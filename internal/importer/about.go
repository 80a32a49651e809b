package importer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport/internal/openapi"
	"sallyport/internal/provider"
	"sallyport/internal/schema"
)

// about fills in what the description says of the API as a whole. Where it says nothing, the
// pack says so.
func (m *maker) about(result *openapi.Result) {
	p := &m.pack
	p.Functions = []string{}
	p.Summary = cmp.Or(m.d.Description, m.d.Title, "not published")
	p.Docs = m.d.Docs
	p.Checked = m.o.On.Format(time.DateOnly)
	p.Format = formatOf(result.Contract)
	p.Servers, p.Credentials, p.Auth = m.servers.packed, m.auths.fields, m.auths.packed
	if p.Credentials == nil {
		p.Credentials = []provider.CredentialField{}
	}
	for name := range p.Auth {
		if !slices.ContainsFunc(result.Operations, func(o openapi.Operation) bool { return m.auths.of[o.ID] == name }) {
			delete(p.Auth, name)
		}
	}
	p.Credentials = slices.DeleteFunc(p.Credentials, func(f provider.CredentialField) bool {
		for _, a := range p.Auth {
			if slices.Contains(a.Fields(), f.Name) {
				return false
			}
		}
		return true
	})
	m.unusedServers(result)
	source := "the imported file " + m.o.File
	version := cmp.Or(m.d.APIVersion, "not stated")
	p.Version = provider.Version{Note: "The imported description is version " + version + "; how a version is pinned is not published in it.", Source: source}
	p.Limits = []provider.Limit{{Scope: "account", Calls: 5, Per: "1s", Note: "The imported description publishes no limit; 5 a second is our own cautious default."}}
	p.Retry = provider.RetryRule{Statuses: []int{429, 502, 503, 504}, RetryAfter: true, MaxAttempts: 2,
		Source: "not published in " + m.o.File + "; repeating reads after these statuses is our own rule"}
	p.Surface = provider.Surface{Through: "gate", Gate: "The imported operations go through the gate; whether the provider also runs a script in pages is not published in the description."}
	p.Regions, p.Compliance = []provider.Fact{}, []provider.Compliance{}
	p.Imported = &provider.Imported{File: m.o.File, SHA256: sum(m.o.Data), Family: string(m.d.Family), Version: version, On: p.Checked}
}

// unusedServers drops servers of operations that were left out.
func (m *maker) unusedServers(result *openapi.Result) {
	used := map[string]bool{}
	for _, o := range result.Operations {
		used[m.servers.name(o)] = true
	}
	for _, a := range m.pack.Auth {
		used[a.TokenServer] = true
		for _, also := range a.Also {
			used[also.TokenServer] = true
		}
	}
	for name := range m.pack.Servers {
		if !used[name] {
			delete(m.pack.Servers, name)
		}
	}
}

// formatOf says in a few words what goes over the wire.
func formatOf(contract []byte) string {
	in := "query"
	form, body := strings.Contains(string(contract), `"application/x-www-form-urlencoded"`), strings.Contains(string(contract), `"requestBody"`)
	switch {
	case form:
		in = "form"
	case body:
		in = "JSON"
	}
	return fmt.Sprintf("%s in, JSON out", in)
}

// patternFault says why a pattern cannot be held.
func patternFault(pattern string) error {
	err := schema.CheckPattern(pattern)
	var fault *schema.PatternError
	if errors.As(err, &fault) {
		return fmt.Errorf("character %d: %s", utf8.RuneCountInString(fault.Pattern[:fault.Offset])+1, fault.What)
	}
	return err
}

func sortedKeys[K int | string, V any](table map[K]V) []K {
	keys := make([]K, 0, len(table))
	for k := range table {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
