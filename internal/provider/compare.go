package provider

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// NotPublished stands in every cell that the provider publishes nothing for. It does
// not mean "no": nobody but the provider knows.
const NotPublished = "not published"

// Filter narrows a comparison. An empty field does not narrow.
type Filter struct {
	Function   string  // payments, login, maps, …: one of FunctionNames
	Region     string  // a word of a region statement: eu, us, ie1
	Compliance string  // a subject: "PCI DSS", soc2, iso27001
	Format     string  // a word of the data format: json, form
	MinRate    float64 // published calls per second in mode live, at least
}

// Table is a comparison of providers: a column per provider, a row per property.
type Table struct {
	Providers []Column  `json:"providers"`
	Rows      []Row     `json:"rows"`
	LeftOut   []LeftOut `json:"left_out,omitempty"`
}

// Column is one provider of a Table.
type Column struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Row is one property; Cells stand in the order of Table.Providers.
type Row struct {
	Property string `json:"property"`
	Cells    []Cell `json:"cells"`
}

// Cell is what is known. Published false means that the provider publishes nothing
// about it; Lines then hold NotPublished, and what Sallyport does instead.
type Cell struct {
	Lines     []string `json:"lines"`
	Published bool     `json:"published"`
	Sources   []string `json:"sources,omitempty"`
}

// LeftOut says why a provider does not stand in the Table: a filter that nothing
// published satisfies is not the same as one that a published fact contradicts.
type LeftOut struct {
	ID      string `json:"id"`
	Because string `json:"because"`
}

// property is one row of the comparison: how a cell of it is made.
type property struct {
	name string
	cell func(*Pack) Cell
}

// properties are the rows of a comparison, in their order.
func properties() []property {
	return []property{
		{"functions", func(p *Pack) Cell {
			if len(p.Functions) == 0 {
				return notPublished()
			}
			return published(strings.Join(p.Functions, ", "))
		}},
		{"passes", surfaceCell},
		{"modes", modesCell},
		{"data format", func(p *Pack) Cell { return published(p.Format) }},
		{"credentials", credentialsCell},
		{"version", versionCell},
		{"limits", limitsCell},
		{"prices", pricesCell},
		{"repeats", repeatsCell},
		{"idempotency", idempotencyCell},
		{"webhooks", webhookCell},
		{"data regions", func(p *Pack) Cell { return factsCell(p.Regions) }},
		{"compliance", complianceCell},
		{"caching", cachingCell},
	}
}

// Compare puts the packs that pass the filter side by side. It decides nothing that is
// not in the packs, and never turns an absent fact into a no.
func Compare(packs []*Pack, f Filter) Table {
	var t Table
	var kept []*Pack
	for _, p := range packs {
		if why := f.refuses(p); why != "" {
			t.LeftOut = append(t.LeftOut, LeftOut{ID: p.ID, Because: why})
			continue
		}
		kept = append(kept, p)
		t.Providers = append(t.Providers, Column{ID: p.ID, Name: p.Name})
	}
	for _, prop := range properties() {
		row := Row{Property: prop.name}
		for _, p := range kept {
			row.Cells = append(row.Cells, prop.cell(p))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// refuses says why the filter leaves p out; empty: it does not.
func (f Filter) refuses(p *Pack) string {
	switch {
	case f.Function != "" && len(p.Functions) == 0:
		return "what it is for is " + NotPublished
	case f.Function != "" && !slices.Contains(p.Functions, strings.ToLower(f.Function)):
		return fmt.Sprintf("is for %s, not for %s", strings.Join(p.Functions, ", "), f.Function)
	case f.Format != "" && !mentions(p.Format, f.Format):
		return fmt.Sprintf("its data format is %s", p.Format)
	}
	if why := f.refusesRegion(p); why != "" {
		return why
	}
	if why := f.refusesCompliance(p); why != "" {
		return why
	}
	if f.MinRate > 0 {
		switch rate, ok := p.publishedRate(); {
		case !ok:
			return "publishes no limit in calls per time"
		case rate < f.MinRate:
			return fmt.Sprintf("publishes %s calls per second, fewer than %s", number(rate), number(f.MinRate))
		}
	}
	return ""
}

func (f Filter) refusesRegion(p *Pack) string {
	if f.Region == "" {
		return ""
	}
	if len(p.Regions) == 0 {
		return "publishes nothing that we know about where data is processed"
	}
	for _, r := range p.Regions {
		if mentions(r.Statement, f.Region) {
			return ""
		}
	}
	return fmt.Sprintf("no published region statement mentions %q", f.Region)
}

func (f Filter) refusesCompliance(p *Pack) string {
	if f.Compliance == "" {
		return ""
	}
	if len(p.Compliance) == 0 {
		return "publishes no compliance claim that we know"
	}
	for _, c := range p.Compliance {
		if sameSubject(c.Subject, f.Compliance) {
			return ""
		}
	}
	return fmt.Sprintf("no published claim about %s", f.Compliance)
}

// publishedRate is the smallest published limit of calls, per second, that counts for
// every call in mode live. False: none is published.
func (p *Pack) publishedRate() (float64, bool) {
	rate, ok := 0.0, false
	for _, l := range p.Limits {
		if !l.Published || l.Calls <= 0 || len(l.Ops) > 0 || l.Scope == "object" || !l.in(Live) {
			continue
		}
		per, err := time.ParseDuration(l.Per)
		if err != nil || per <= 0 {
			continue
		}
		if r := l.Calls / per.Seconds(); !ok || r < rate {
			rate, ok = r, true
		}
	}
	return rate, ok
}

func (l Limit) in(m Mode) bool { return len(l.Modes) == 0 || slices.Contains(l.Modes, m) }

// mentions reports whether text holds the words of want, whatever the case. A number
// behind a word does not matter: us finds US1.
func mentions(text, want string) bool {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9')
	})
	wanted := strings.Fields(strings.ToLower(want))
	for i := range words {
		if len(wanted) > 0 && i+len(wanted) <= len(words) && slices.EqualFunc(words[i:i+len(wanted)], wanted, sameWord) {
			return true
		}
	}
	return false
}

// sameSubject compares compliance subjects as people write them: soc2, SOC-2, SOC 2.
func sameSubject(a, b string) bool {
	squeeze := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == ' ' || r == '-' || r == '/' || r == '_' {
				return -1
			}
			return r
		}, strings.ToLower(s))
	}
	return squeeze(a) == squeeze(b)
}

func sameWord(word, want string) bool {
	return word == want || strings.HasPrefix(word, want) && strings.Trim(word[len(want):], "0123456789") == ""
}
