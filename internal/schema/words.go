package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport/internal/tape"
)

// found says what stands at a node. A value is shown only when it is short, comes from the
// caller himself, and nothing marks it; never one of an answer.
func (e *explainer) found(t uint32, hide bool) string {
	m := e.m
	show := m.mode != Response && !hide
	nd := &m.nodes[t]
	text := m.t.Text(int(t))
	switch nd.Kind {
	case tape.Null:
		return "null"
	case tape.False, tape.True:
		if show {
			return string(text)
		}
		return "true or false"
	case tape.Number:
		if show && len(text) <= 32 {
			return "the number " + string(text)
		}
		return "a number"
	case tape.String:
		if n := utf8.RuneCount(text); !show || n > 32 {
			return fmt.Sprintf("a string of %d characters", n)
		}
		return "the string " + strconv.QuoteToASCII(string(text))
	case tape.Array:
		return fmt.Sprintf("an array of %d elements", nd.Count)
	}
	return "an object"
}

// describe says in words what a schema wants.
func (p *Program) describe(id ID) string { return p.inWords(id, 0) }

func (p *Program) inWords(id ID, depth int) string {
	n := &p.nodes[id]
	if n.enum != 0 {
		return p.values1(&p.enums[n.enum])
	}
	words := n.types.words()
	if n.types == AllTypes {
		words = nil
	}
	if n.flags&nullWins != 0 && !slices.Contains(words, "null") && words != nil {
		words = append(words, "null")
	}
	if len(words) == 0 && n.types == 0 {
		return "nothing at all"
	}
	for _, c := range p.combs[n.comb : n.comb+n.combs] {
		if len(words) > 0 || depth > 8 {
			break
		}
		switch c.op {
		case opAny, opOne:
			a := &p.alts[c.a]
			words = append(words, p.describeBranches(p.branches[a.branches:a.branches+a.n], depth+1))
		case opAll:
			if s := p.inWords(ID(c.a), depth+1); s != "a value" {
				words = append(words, s)
			}
		}
	}
	if len(words) == 0 {
		return "a value"
	}
	if n.types == AllTypes && n.flags&nullWins != 0 && !strings.Contains(words[0], "null") {
		words = append(words, "null")
	}
	return strings.Join(words, " or ")
}

// words names types.
func (t Types) words() []string {
	var out []string
	for _, n := range typeNames {
		switch {
		case n.types == Number && t&Number != Number, n.types == Integer && t&Number != Integer:
		case t&n.types != 0:
			out = append(out, n.words)
		}
	}
	return out
}

// values1 lists the values of an enum or const.
func (p *Program) values1(e *enumRule) string {
	var words []string
	for _, s := range p.texts[e.shown : e.shown+e.shownN] {
		words = append(words, string(p.str(s)))
	}
	if e.isConst && len(words) == 1 {
		return words[0]
	}
	if len(words) == 0 {
		return "nothing at all"
	}
	return "one of " + inWords(words)
}

func (p *Program) quoted(s span) string { return string(tape.AppendString(nil, p.str(s))) }

func (p *Program) describeAll(list []branch) string { return p.describeBranches(list, 0) }

func (p *Program) describeBranches(list []branch, depth int) string {
	ids := make([]ID, len(list))
	for i := range list {
		ids[i] = list[i].id
	}
	return p.either(ids, depth)
}

func (p *Program) describeIDs(ids []ID) string {
	if len(ids) == 0 {
		return "a value"
	}
	return p.either(ids, 0)
}

func (p *Program) either(ids []ID, depth int) string {
	var words []string
	for _, id := range ids {
		if d := p.inWords(id, depth); !slices.Contains(words, d) {
			words = append(words, d)
		}
		if len(words) > 6 {
			break
		}
	}
	if len(words) > 6 {
		words = append(words[:6], "…")
	}
	return strings.Join(words, " or ")
}

// describeName says what propertyNames wants.
func (p *Program) describeName(id ID) string {
	n := &p.nodes[id]
	if n.str != 0 {
		s := &p.strs[n.str]
		switch {
		case s.pattern != 0:
			return "a string that matches " + string(p.str(p.patSrc[s.pattern-1]))
		case s.min > 0 || s.max != noLimit:
			return "a string of " + between(s.min, s.max, "characters")
		}
	}
	return p.describe(id)
}

// fitsScalar checks the rules of strings and numbers.
func (m *Machine) fitsScalar(t uint32, n *node) bool {
	if m.nodes[t].Kind == tape.String {
		return n.str == 0 || m.fitsString(&m.p.strs[n.str], m.t.Text(int(t)))
	}
	return n.num == 0 || m.fitsNumber(&m.p.nums[n.num], m.t.Text(int(t)))
}

// scalar says which rule of a string or number does not hold.
func (e *explainer) scalar(n *node, t uint32, hide bool) (found, rule, want string) {
	m := e.m
	text := m.t.Text(int(t))
	if m.nodes[t].Kind == tape.String {
		return e.stringFault(&m.p.strs[n.str], n.str != 0, t, text, hide)
	}
	if n.num == 0 {
		return "", "", ""
	}
	rule, want = m.numberFault(&m.p.nums[n.num], text)
	return e.found(t, hide), rule, want
}

func (e *explainer) stringFault(s *strRule, has bool, t uint32, text []byte, hide bool) (found, rule, want string) {
	m := e.m
	if !has {
		return "", "", ""
	}
	n := uint32(utf8.RuneCount(text))
	switch {
	case n < s.min:
		return count(n, "character"), "minLength", between(s.min, s.max, "characters")
	case n > s.max:
		return count(n, "character"), "maxLength", between(s.min, s.max, "characters")
	case s.pattern != 0 && len(text) > maxPatternText:
		return fmt.Sprintf("%d bytes", len(text)), "pattern", fmt.Sprintf("at most %d bytes where a pattern stands", maxPatternText)
	case s.pattern != 0 && !m.matches(s.pattern-1, text):
		return e.found(t, hide), "pattern", "a string that matches " + string(m.p.str(m.p.patSrc[s.pattern-1]))
	case s.format != 0 && m.formats && !m.p.check[s.format-1].fitsString(text):
		return e.found(t, hide), "format", "a string of format " + string(m.p.str(m.p.formats[s.format-1]))
	}
	return "", "", ""
}

func (m *Machine) numberFault(r *numRule, text []byte) (rule, want string) {
	p := m.p
	if r.flags&hasLow != 0 {
		c := compareNumbers(text, p.str(r.lowText))
		if r.flags&aboveLow != 0 && c <= 0 {
			return "exclusiveMinimum", "more than " + string(p.str(r.lowText))
		} else if c < 0 {
			return "minimum", "at least " + string(p.str(r.lowText))
		}
	}
	if r.flags&hasHigh != 0 {
		c := compareNumbers(text, p.str(r.highText))
		if r.flags&belowHigh != 0 && c >= 0 {
			return "exclusiveMaximum", "less than " + string(p.str(r.highText))
		} else if c > 0 {
			return "maximum", "at most " + string(p.str(r.highText))
		}
	}
	if r.flags&hasMultiple != 0 && !readNumber(text).multipleOf(readNumber(p.str(r.multiple))) {
		return "multipleOf", "a multiple of " + string(p.str(r.multiple))
	}
	if r.format != 0 && m.formats && !p.check[r.format-1].fitsNumber(text) {
		name := string(p.str(p.formats[r.format-1]))
		if bits, ok := strings.CutPrefix(name, "int"); ok {
			return "format", "a whole number of " + bits + " bits"
		}
		return "format", "a number of format " + name
	}
	return "", ""
}

func count(n uint32, unit string) string { return fmt.Sprintf("%d %ss", n, unit) }

func between(low, high uint32, unit string) string {
	switch {
	case high == noLimit:
		return fmt.Sprintf("at least %d %s", low, unit)
	case low == high:
		return fmt.Sprintf("%d %s", low, unit)
	case low > 0:
		return fmt.Sprintf("%d to %d %s", low, high, unit)
	}
	return fmt.Sprintf("at most %d %s", high, unit)
}

func inWords(names []string) string {
	if len(names) > 12 {
		return strings.Join(names[:12], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
