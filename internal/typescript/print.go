package typescript

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// printer writes shapes. A shape that is used twice, or that holds itself, is written
// once under a name.
type printer struct {
	class map[*shape]int
	names *names
	named map[int]string // by class
	uses  map[int]int
	under string // the connection's name, before those of its types

	circles map[int]bool // classes of objects that hold themselves

	open  map[int]bool // classes that are being written
	later []waiting    // those to be written under their names
}

type waiting struct {
	name  string
	shape *shape
}

const width = 110

// count counts how often each class is used, by members and roots, and finds an object in
// each circle, which gets a name.
func (p *printer) count(roots []*shape) {
	p.uses, p.circles = map[int]int{}, map[int]bool{}
	seen := map[int]bool{}
	var above []*shape
	var visit func(s *shape)
	visit = func(s *shape) {
		id := p.class[s]
		p.uses[id]++
		if i := slices.IndexFunc(above, func(a *shape) bool { return p.class[a] == id }); i >= 0 {
			if o := slices.IndexFunc(above[i:], func(a *shape) bool { return a.kind == object }); o >= 0 {
				p.circles[p.class[above[i+o]]] = true
			}
			return
		}
		if !seen[id] {
			seen[id] = true
			above = append(above, s)
			s.each(visit)
			above = above[:len(above)-1]
		}
	}
	for _, s := range roots {
		visit(s)
	}
}

// text writes a shape as a type; hint is the name of the member that has it.
func (p *printer) text(s *shape, hint, indent string) string {
	id := p.class[s]
	if name, ok := p.named[id]; ok {
		return name
	}
	if s.kind == object && len(s.members) > 1 && p.uses[id] > 1 || p.circles[id] || p.open[id] {
		name := p.names.take(p.under + pascal(hint))
		p.named[id] = name
		p.later = append(p.later, waiting{name, s})
		return name
	}
	if s.kind != word && s.kind != literal {
		p.open[id] = true
		defer delete(p.open, id)
	}
	return p.plain(s, hint, indent)
}

// plain writes a shape in place.
func (p *printer) plain(s *shape, hint, indent string) string {
	switch s.kind {
	case word, literal:
		return s.text
	case list:
		return p.grouped(s.parts[0], hint, indent) + "[]"
	case tuple:
		return p.tuple(s, hint, indent)
	case object:
		return p.object(s, indent)
	case union:
		parts := flat(s, p.class)
		texts := make([]string, len(parts))
		for i, part := range parts {
			if texts[i] = p.text(part, hint, indent); part.kind == both && len(parts) > 1 {
				texts[i] = "(" + texts[i] + ")"
			}
		}
		return strings.Join(texts, " | ")
	case both:
		texts := make([]string, len(s.parts))
		for i, part := range s.parts {
			texts[i] = p.grouped(part, hint, indent)
		}
		return strings.Join(texts, " & ")
	}
	return "unknown"
}

// grouped writes a type so that [] and & bind to all of it.
func (p *printer) grouped(s *shape, hint, indent string) string {
	text := p.text(s, hint, indent)
	if _, named := p.named[p.class[s]]; !named && (s.kind == union || s.kind == both) && strings.ContainsAny(text, "|&") {
		return "(" + text + ")"
	}
	return text
}

func (p *printer) tuple(s *shape, hint, indent string) string {
	var texts []string
	for i, part := range s.parts {
		text := p.grouped(part, hint, indent)
		if i >= s.least {
			text += "?"
		}
		texts = append(texts, text)
	}
	if s.rest != nil {
		texts = append(texts, "..."+p.grouped(s.rest, hint, indent)+"[]")
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func (p *printer) object(s *shape, indent string) string {
	if len(s.members) == 0 && s.others == nil {
		return "{}"
	}
	if len(s.members) == 0 {
		return "Record<string, " + p.text(s.others, "", indent) + ">"
	}
	lines, short := p.members(s, indent+"  ")
	if one := "{ " + strings.Join(lines, " ") + " }"; short && len(indent)+len(one) <= width {
		return one
	}
	return "{\n" + indent + "  " + strings.Join(lines, "\n"+indent+"  ") + "\n" + indent + "}"
}

// members writes one line or more for each member; short says that none has a comment
// or is itself of several lines.
func (p *printer) members(s *shape, indent string) (lines []string, short bool) {
	short = true
	for _, m := range s.members {
		mark := ""
		if m.optional {
			mark = "?"
		}
		line := key(m.name) + mark + ": " + p.text(m.shape, m.name, indent) + ";"
		if len(m.doc) > 0 {
			line = comment(m.doc, indent) + line
		}
		short = short && !strings.Contains(line, "\n")
		lines = append(lines, line)
	}
	if s.others != nil {
		lines = append(lines, "[name: string]: "+p.text(s.others, "", indent)+";")
	}
	return lines, short
}

// declaration writes a shape under a name.
func (p *printer) declaration(name string, s *shape, indent string) string {
	p.open[p.class[s]] = true
	defer delete(p.open, p.class[s])
	if s.kind != object || len(s.members) == 0 && s.others != nil {
		return indent + "export type " + name + " = " + p.plain(s, name, indent) + ";\n"
	}
	if len(s.members) == 0 {
		return indent + "export interface " + name + " {}\n"
	}
	lines, _ := p.members(s, indent+"  ")
	return indent + "export interface " + name + " {\n" + indent + "  " + strings.Join(lines, "\n"+indent+"  ") + "\n" + indent + "}\n"
}

// comment writes a JSDoc comment and the start of the line after it.
func comment(doc []string, indent string) string {
	var tags, words []string
	for _, d := range doc {
		if strings.HasPrefix(d, "@") {
			tags = append(tags, d)
		} else {
			words = append(words, d)
		}
	}
	lines := append(folded(strings.Join(words, " "), width-len(indent)-3), tags...)
	if len(lines) == 1 && len(indent)+len(lines[0])+7 <= width {
		return "/** " + lines[0] + " */\n" + indent
	}
	return "/**\n" + indent + " * " + strings.Join(lines, "\n"+indent+" * ") + "\n" + indent + " */\n" + indent
}

func folded(text string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && len(line)+1+len(w) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

var identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// key writes the name of a member.
func key(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return quote(name)
}

// quote writes a string of TypeScript.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // a string can always be written
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
