package schema

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// class reads […] with its opening bracket already read.
func (p *patternReader) class(at int) error {
	negated := strings.HasPrefix(p.rest(), "^")
	if negated {
		p.pos++
	}
	var b strings.Builder
	for {
		if p.pos >= len(p.src) {
			return p.refuse(at, "a [ that is not closed; write \\[ for the character")
		}
		if p.src[p.pos] == ']' {
			p.pos++
			break
		}
		if err := p.classMember(&b); err != nil {
			return err
		}
	}
	switch {
	case b.Len() == 0 && negated:
		p.out.WriteString(`[\x00-\x{10FFFF}]`)
	case b.Len() == 0:
		p.out.WriteString(`[^\x00-\x{10FFFF}]`)
	case negated:
		p.out.WriteString("[^" + b.String() + "]")
	default:
		p.out.WriteString("[" + b.String() + "]")
	}
	return nil
}

// classMember reads one character, set or range. A hyphen beside a set is a hyphen.
func (p *patternReader) classMember(b *strings.Builder) error {
	at := p.pos
	set, low, err := p.classAtom()
	if err != nil {
		return err
	}
	if set != "" {
		b.WriteString(set)
		return nil
	}
	rest := p.rest()
	if !strings.HasPrefix(rest, "-") || len(rest) < 2 || rest[1] == ']' {
		writeRune(b, low)
		return nil
	}
	p.pos++
	set, high, err := p.classAtom()
	switch {
	case err != nil:
		return err
	case set != "":
		writeRune(b, low)
		writeRune(b, '-')
		b.WriteString(set)
		return nil
	case high < low:
		return p.refuse(at, fmt.Sprintf("a range from %q down to %q; write the hyphen last, or \\-", low, high))
	}
	writeRune(b, low)
	b.WriteByte('-')
	writeRune(b, high)
	return nil
}

func (p *patternReader) classAtom() (set string, r rune, err error) {
	at := p.pos
	c := p.next()
	if c != '\\' {
		return "", c, nil
	}
	switch first := firstByte(p.rest()); {
	case first == 0:
		return "", 0, p.refuse(at, "a backslash at the end; write \\\\")
	case first == 'b':
		p.pos++
		return "", '\b', nil
	case first == 'B' || first == 'k':
		return "", 0, p.refuse(at, `\`+string(first)+" inside a class")
	case first >= '1' && first <= '9':
		return "", 0, p.refuse(at, `an octal escape; write \xHH`)
	}
	return p.classEscape(at)
}

// writeRune writes one literal character so that it means itself inside and outside brackets.
func writeRune(b *strings.Builder, r rune) {
	switch {
	case r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == ' '):
		b.WriteRune(r)
	case r > 0x20 && r < 0x7F:
		b.WriteByte('\\')
		b.WriteRune(r)
	default:
		fmt.Fprintf(b, `\x{%X}`, r)
	}
}

// property reads the braces of \p{…} and gives the set.
func (p *patternReader) property(at int, negated bool) (string, error) {
	rest := p.rest()
	end := strings.IndexByte(rest, '}')
	if !strings.HasPrefix(rest, "{") || end < 2 {
		return "", p.refuse(at, `\p without {Property}`)
	}
	p.pos += end + 1
	set, ok := propertySet(rest[1:end])
	if !ok {
		return "", p.refuse(at, "the Unicode property "+rest[1:end]+", which RE2 does not have; write its characters or a general category such as \\p{L}")
	}
	if !negated {
		return set, nil
	}
	if strings.HasPrefix(set, `\p{`) && strings.Count(set, `\`) == 1 {
		return `\P` + set[2:], nil
	}
	return "", p.refuse(at, "the complement of "+rest[1:end]+"; write [^\\p{"+rest[1:end]+"}]")
}

// propertySet knows general categories, scripts and those binary properties that are made of
// general categories (Unicode 15, DerivedCoreProperties.txt) or that package unicode lists.
func propertySet(name string) (string, bool) {
	key, value, two := strings.Cut(name, "=")
	if two {
		switch key {
		case "General_Category", "gc", "Script", "sc":
			name = value
		default:
			return "", false
		}
	}
	derived := map[string]string{
		"Alphabetic": `\p{L}\p{Nl}` + tableSet(unicode.Other_Alphabetic), "Alpha": `\p{L}\p{Nl}` + tableSet(unicode.Other_Alphabetic),
		"Uppercase": `\p{Lu}` + tableSet(unicode.Other_Uppercase), "Upper": `\p{Lu}` + tableSet(unicode.Other_Uppercase),
		"Lowercase": `\p{Ll}` + tableSet(unicode.Other_Lowercase), "Lower": `\p{Ll}` + tableSet(unicode.Other_Lowercase),
	}
	if set, ok := derived[name]; ok && !two {
		return set, true
	}
	if table, ok := unicode.Properties[name]; ok && !two {
		return tableSet(table), true
	}
	if strings.ContainsAny(name, "^{}\\") {
		return "", false
	}
	set := `\p{` + name + `}`
	if _, err := regexp.Compile(set); err != nil {
		return "", false
	}
	return set, true
}

// tableSet writes a table's characters as ranges to stand inside brackets.
func tableSet(table *unicode.RangeTable) string {
	var b strings.Builder
	add := func(low, high, stride rune) {
		if stride == 1 {
			fmt.Fprintf(&b, `\x{%X}-\x{%X}`, low, high)
			return
		}
		for r := low; r <= high; r += stride {
			fmt.Fprintf(&b, `\x{%X}`, r)
		}
	}
	for _, r := range table.R16 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range table.R32 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	return b.String()
}
