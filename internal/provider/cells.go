package provider

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func published(lines ...string) Cell { return Cell{Lines: lines, Published: true} }

func notPublished(more ...string) Cell {
	return Cell{Lines: append([]string{NotPublished}, more...)}
}

func (c Cell) from(sources ...string) Cell {
	for _, s := range sources {
		if s != "" && !slices.Contains(c.Sources, s) {
			c.Sources = append(c.Sources, s)
		}
	}
	return c
}

// Modes lists the modes in which the provider has servers, and mock, which every
// provider has.
func (p *Pack) Modes() []Mode {
	var modes []Mode
	for _, m := range []Mode{Live, Sandbox} {
		for _, s := range p.Servers {
			if s.URL[m] != "" {
				modes = append(modes, m)
				break
			}
		}
	}
	return append(modes, Mock)
}

// Served lists the modes that this version serves: all of Modes, or only mock where
// every way to place the credentials needs a token that it does not fetch yet.
func (p *Pack) Served() []Mode {
	for _, a := range p.Auth {
		if !slices.Contains(tokenKinds(), a.Kind) {
			return p.Modes()
		}
	}
	return []Mode{Mock}
}

func modesCell(p *Pack) Cell {
	c := published(joinModes(p.Modes()))
	if len(p.Auth) > 0 && len(p.Served()) < len(p.Modes()) {
		c.Lines = append(c.Lines, "this version serves "+joinModes(p.Served())+" only")
	}
	return c
}

func joinModes(modes []Mode) string {
	words := make([]string, len(modes))
	for i, m := range modes {
		words[i] = string(m)
	}
	return strings.Join(words, ", ")
}

func surfaceCell(p *Pack) Cell {
	switch p.Surface.Through {
	case "gate":
		return published("through the gate")
	case "page":
		return published("in the page")
	default:
		return published("both: through the gate and in the page")
	}
}

func credentialsCell(p *Pack) Cell {
	var lines []string
	for _, c := range p.Credentials {
		line := c.Name
		if !c.Secret {
			line += " (identifier)"
		}
		if c.Optional {
			line += " (optional)"
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		lines = []string{"none"}
	}
	return published(lines...)
}

func versionCell(p *Pack) Cell {
	v := p.Version
	switch {
	case v.Header != "":
		return published("header "+v.Header, "checked against "+v.Default).from(v.Source)
	case v.Path != "":
		return published("in the path: " + v.Path).from(v.Source)
	case v.Note != "":
		return published(v.Note).from(v.Source)
	default:
		return published("in the path").from(v.Source)
	}
}

func limitsCell(p *Pack) Cell {
	var known, ours Cell
	for _, l := range p.Limits {
		if l.Published {
			known.Lines = append(known.Lines, l.String())
			known = known.from(l.Source)
		} else {
			ours.Lines = append(ours.Lines, "ours: "+l.String())
		}
	}
	if len(known.Lines) == 0 {
		return notPublished(ours.Lines...)
	}
	known.Published = true
	known.Lines = append(known.Lines, ours.Lines...)
	return known
}

// String writes the limit in words: "100 per 1s per account (live)".
func (l Limit) String() string {
	var b strings.Builder
	if l.Calls > 0 {
		fmt.Fprintf(&b, "%s per %s", number(l.Calls), strings.TrimPrefix(duration(l.Per), "1 "))
	}
	if l.InFlight > 0 {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d at once", l.InFlight)
	}
	if l.Scope != "" {
		b.WriteString(" per " + l.Scope)
	}
	if len(l.Modes) > 0 {
		b.WriteString(" (" + joinModes(l.Modes) + ")")
	}
	if len(l.Ops) > 0 {
		b.WriteString(": " + strings.Join(l.Ops, ", "))
	}
	return b.String()
}

func repeatsCell(p *Pack) Cell {
	r := p.Retry
	words := make([]string, len(r.Statuses))
	for i, s := range r.Statuses {
		words[i] = strconv.Itoa(s)
	}
	lines := []string{"after " + strings.Join(words, " ")}
	if len(words) == 0 {
		lines = []string{"never"}
	}
	if r.Header != "" {
		lines = append(lines, "header "+r.Header+" decides")
	}
	if r.RetryAfter {
		lines = append(lines, "Retry-After is honoured")
	}
	if r.ThrottledIsUnprocessed {
		lines = append(lines, "a throttled call was not processed")
	}
	return published(lines...).from(r.Source)
}

func idempotencyCell(p *Pack) Cell {
	i := p.Idempotency
	if i.Header == "" {
		return notPublished("a send is never repeated after a timeout").from(i.Source)
	}
	lines := []string{"header " + i.Header}
	if i.Keep != "" {
		lines = append(lines, "kept for "+duration(i.Keep))
	}
	return published(lines...).from(i.Source)
}

func webhookCell(p *Pack) Cell {
	switch w := p.Webhook; {
	case w == nil:
		return notPublished()
	case w.Unauthenticated:
		return published("sent, but not signed").from(w.Source)
	case w.Scheme == "none":
		return published("none").from(w.Source)
	default:
		return published("signed: " + w.Scheme).from(w.Source)
	}
}

func factsCell(facts []Fact) Cell {
	if len(facts) == 0 {
		return notPublished()
	}
	c := published()
	for _, f := range facts {
		c.Lines = append(c.Lines, f.Statement+" ("+f.Provenance()+")")
		c = c.from(f.Source)
	}
	return c
}

func complianceCell(p *Pack) Cell {
	if len(p.Compliance) == 0 {
		return notPublished()
	}
	c := published()
	for _, claim := range p.Compliance {
		c.Lines = append(c.Lines, claim.Subject+" ("+claim.Provenance()+")")
		c = c.from(claim.Source)
	}
	return c
}

func cachingCell(p *Pack) Cell {
	if p.Caching == nil {
		return notPublished()
	}
	return published(p.Caching.Statement + " (" + p.Caching.Provenance() + ")").from(p.Caching.Source)
}

// Provenance says who says so and when we read it: "documentation, 2026-11-23".
func (f Fact) Provenance() string { return f.Evidence + ", " + f.Date }

// number writes a quantity without a needless fraction.
func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// duration writes a Go duration as people do: 24h0m0s becomes 1 day.
func duration(s string) string {
	d, err := time.ParseDuration(s)
	if err != nil {
		return s
	}
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if d < u.size || d%u.size != 0 {
			continue
		}
		if d == u.size {
			return "1 " + u.name
		}
		return fmt.Sprintf("%d %ss", d/u.size, u.name)
	}
	return s
}
