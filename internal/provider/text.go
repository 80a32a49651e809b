package provider

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// columns is the width that the texts keep to, as far as their words allow.
const columns = 80

// page writes lines and remembers the first error.
type page struct {
	w   io.Writer
	err error
}

func (p *page) line(s string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, strings.TrimRight(s, " "))
	}
}

// entry writes a label and text beside it; more lines of text stand below the first.
func (p *page) entry(indent, width int, label string, lines ...string) {
	pad := strings.Repeat(" ", indent+width)
	head := strings.Repeat(" ", indent) + fmt.Sprintf("%-*s", width, label)
	if label != "" && len(label) >= width { // no room beside it
		p.line(head)
		head = pad
	}
	for _, text := range lines {
		for _, part := range wrap(text, columns-indent-width) {
			p.line(head + part)
			head = pad
		}
	}
	if len(lines) == 0 {
		p.line(head)
	}
}

// wrap breaks text at spaces; a word longer than width stands alone, unbroken, so that
// URLs can be copied.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// WriteList prints the lines of `providers list`.
func WriteList(w io.Writer, list []Summary) error {
	p := &page{w: w}
	for _, s := range list {
		p.entry(0, 16, s.ID, s.Name+": "+s.Summary)
		p.entry(16, 0, "", fmt.Sprintf("%s; %d operations; modes %s", cmp.Or(strings.Join(s.Functions, ", "), NotPublished), s.Operations, joinModes(s.Served)))
	}
	return p.err
}

// WriteTable prints a comparison: a block per property, a line per provider, because
// eight columns are not readable in a terminal.
func WriteTable(w io.Writer, t Table) error {
	p := &page{w: w}
	if len(t.Providers) == 0 {
		p.line("No provider passes the filter.")
	}
	for i, row := range t.Rows {
		if len(row.Cells) == 0 {
			continue
		}
		if i > 0 {
			p.line("")
		}
		p.line(strings.ToUpper(row.Property))
		for j, cell := range row.Cells {
			p.entry(2, 16, t.Providers[j].ID, cell.Lines...)
		}
	}
	if len(t.LeftOut) > 0 {
		p.line("")
		p.line("LEFT OUT")
		for _, l := range t.LeftOut {
			p.entry(2, 16, l.ID, l.Because)
		}
	}
	return p.err
}

// WriteDescription prints `providers show`.
func WriteDescription(w io.Writer, d Description) error {
	p := &page{w: w}
	p.line(d.Name + " (" + d.ID + ")")
	p.entry(0, 0, "", d.Summary)
	p.line(cmp.Or(d.Docs, "documentation "+NotPublished))
	if i := d.Imported; i != nil {
		p.entry(0, 0, "", fmt.Sprintf("imported on %s from %s (%s, version %s); nobody has compared it with the provider's pages", i.On, i.File, i.Family, i.Version))
	}
	p.line("")
	p.entry(0, 14, "gate", d.Surface.Gate)
	if d.Surface.Page != "" {
		p.entry(0, 14, "page", d.Surface.Page)
	}
	for _, row := range d.Properties {
		if row.Property == "credentials" || row.Property == "compliance" {
			continue // told in full below
		}
		p.entry(0, 14, row.Property, row.Cells[0].Lines...)
		for _, s := range row.Cells[0].Sources {
			p.entry(14, 0, "", "source: "+s)
		}
	}
	p.credentials(d)
	p.operations(d.Operations)
	p.facts("CLAIMS", claims(d.Compliance))
	p.facts("NOTES", d.Notes)
	return p.err
}

func (p *page) credentials(d Description) {
	p.line("")
	p.line("CREDENTIALS")
	for _, c := range d.Credentials {
		p.entry(2, 22, c.Name, strings.TrimSpace(c.Title+". "+c.Description))
	}
	for _, c := range d.Public {
		p.entry(2, 22, c.Name, strings.TrimSpace(c.Title+" (public). "+c.Description))
	}
	for _, k := range d.KeyShapes {
		p.entry(2, 22, "--shape "+k.Name, k.inWords())
	}
}

func (k KeyShape) inWords() string {
	if k.User != "" || k.UserLen > 0 {
		return fmt.Sprintf("a pair: the first begins with %q, the second with %q", k.User, k.Prefix)
	}
	return fmt.Sprintf("begins with %q", k.Prefix)
}

func (p *page) operations(ops []OperationLine) {
	p.line("")
	p.line("OPERATIONS")
	for _, op := range ops {
		name := op.ID
		if op.Legacy != "" {
			name += "  [legacy]"
		}
		p.line("  " + name)
		p.entry(4, 0, "", op.Method+" "+op.Path)
		if op.Summary != "" {
			p.entry(4, 0, "", strings.TrimSuffix(op.Summary, ".")+".")
		}
		if op.Legacy != "" {
			p.entry(4, 10, "legacy", op.Legacy)
		}
		p.entry(4, 10, "server", servers(op.Servers)...)
		p.entry(4, 10, "auth", op.Auth)
		p.entry(4, 10, "repeats", op.Retry)
		if op.Price != "" {
			p.entry(4, 10, "price", op.Price)
		}
		for _, group := range []struct {
			label  string
			fields []string
		}{{"effects", op.Effects}, {"personal", op.Personal}, {"secret", op.Secret}, {"card", op.Card}} {
			if len(group.fields) > 0 {
				p.entry(4, 10, group.label, strings.Join(group.fields, ", "))
			}
		}
		if op.Fields != "" {
			p.entry(4, 10, "fields", op.Fields)
		}
	}
}

// servers lists each server once, with the modes that it serves.
func servers(byMode map[Mode]string) []string {
	var lines []string
	live, sandbox := byMode[Live], byMode[Sandbox]
	switch {
	case live == sandbox && live != "":
		lines = append(lines, "live, sandbox: "+live)
	default:
		if live != "" {
			lines = append(lines, "live: "+live)
		}
		if sandbox != "" {
			lines = append(lines, "sandbox: "+sandbox)
		}
	}
	return lines
}

func (p *page) facts(title string, list []Fact) {
	if len(list) == 0 && title == "NOTES" {
		return
	}
	p.line("")
	p.line(title)
	if len(list) == 0 {
		p.entry(2, 0, "", NotPublished)
	}
	for _, f := range list {
		p.entry(2, 2, "-", f.Statement)
		p.entry(4, 0, "", "("+f.Provenance()+": "+f.Source+")")
	}
}

func claims(list []Compliance) []Fact {
	facts := make([]Fact, len(list))
	for i, c := range list {
		facts[i] = c.Fact
		facts[i].Statement = c.Subject + ": " + c.Statement
	}
	return facts
}
