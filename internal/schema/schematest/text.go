package schematest

import (
	"regexp/syntax"
	"strings"
	"unicode"
)

// matching makes a string that the pattern most likely matches, of a length that the rules allow
// where that is easy.
func (g *Gen) matching(pattern string, r *rules) string {
	if g.Translate != nil {
		t, err := g.Translate(pattern)
		if err != nil {
			return "a"
		}
		pattern = t
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "a"
	}
	var b strings.Builder
	g.writeMatch(&b, re.Simplify(), r, 0)
	return b.String()
}

func (g *Gen) writeMatch(b *strings.Builder, re *syntax.Regexp, r *rules, depth int) {
	if b.Len() > 5000 || depth > 500 {
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(g.fromClass(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteRune(pick(g, 'a', 'b', '1', 'Z', '-'))
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			g.writeMatch(b, sub, r, depth+1)
		}
	case syntax.OpAlternate:
		g.writeMatch(b, pick(g, re.Sub...), r, depth+1)
	case syntax.OpQuest:
		if g.chance(2) || b.Len() < r.minLen {
			g.writeMatch(b, re.Sub[0], r, depth+1)
		}
	case syntax.OpStar, syntax.OpPlus:
		n := g.r.IntN(4)
		if re.Op == syntax.OpPlus {
			n = max(n, 1)
		}
		for i := 0; i < n || b.Len() < r.minLen && i < r.minLen; i++ {
			g.writeMatch(b, re.Sub[0], r, depth+1)
		}
	}
}

// fromClass picks a character, rather a printable one of ASCII.
func (g *Gen) fromClass(ranges []rune) rune {
	for range 6 {
		i := g.r.IntN(len(ranges)/2) * 2
		low, high := ranges[i], min(ranges[i+1], ranges[i]+100)
		if high < low {
			continue
		}
		c := low + rune(g.r.IntN(int(high-low)+1))
		if c >= ' ' && c < unicode.MaxASCII {
			return c
		}
	}
	for i := 0; i < len(ranges); i += 2 {
		for _, c := range "aA0-_ " {
			if c >= ranges[i] && c <= ranges[i+1] {
				return c
			}
		}
	}
	return ranges[0]
}
