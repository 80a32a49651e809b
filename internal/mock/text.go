package mock

import (
	"encoding/json"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"sallyport/internal/contract"
)

// text makes a string of the schema's format, pattern and length.
func (g *generator) text(s *contract.Schema) string {
	if v, ok := g.formatted(s.Format); ok {
		return v
	}
	if s.Pattern != "" {
		if v, ok := g.matching(s.Pattern); ok {
			return v
		}
	}
	v := "example"
	if s.MinLen != nil && len(v) < *s.MinLen {
		v = strings.Repeat(v, *s.MinLen/len(v)+1)[:*s.MinLen]
	}
	if s.MaxLen != nil && len(v) > *s.MaxLen {
		v = v[:*s.MaxLen]
	}
	return v
}

func (g *generator) formatted(format string) (string, bool) {
	switch format {
	case "date-time":
		return g.now.UTC().Format(time.RFC3339), true
	case "date":
		return g.now.UTC().Format(time.DateOnly), true
	case "email":
		return "ada@example.com", true
	case "uri", "url", "iri":
		return "https://example.com/" + g.random("hex", 8), true
	case "uuid":
		h := g.random("hex", 32)
		return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:], true
	case "ipv4":
		return "192.0.2.10", true
	case "hostname":
		return "shop.example", true
	}
	return "", false
}

// matching makes a short string that the pattern accepts; it reports false when it
// does not succeed, and the answer then shows it by breaking the contract in a test.
func (g *generator) matching(pattern string) (string, bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	g.walk(&b, re.Simplify())
	ok, err := regexp.MatchString(pattern, b.String())
	return b.String(), err == nil && ok
}

func (g *generator) walk(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(g.oneOf(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			g.walk(b, sub)
		}
	case syntax.OpAlternate:
		g.walk(b, re.Sub[0])
	case syntax.OpPlus:
		g.walk(b, re.Sub[0])
	case syntax.OpRepeat:
		for range re.Min {
			g.walk(b, re.Sub[0])
		}
	}
}

// oneOf picks a letter or digit of a class where it has one.
func (g *generator) oneOf(ranges []rune) rune {
	var good []rune
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1] && r < 128; r++ {
			if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				good = append(good, r)
			}
		}
	}
	if len(good) == 0 {
		return ranges[0]
	}
	return good[g.rng.IntN(len(good))]
}

// fits says whether a parameter's value can stand for the schema: the same JSON type and,
// where the schema is narrow, an allowed value.
func fits(v any, s *contract.Schema) bool {
	var t string
	switch v := v.(type) {
	case nil:
		return s.Nullable
	case string:
		t = "string"
		if s.Pattern != "" {
			if ok, err := regexp.MatchString(s.Pattern, v); err != nil || !ok {
				return false
			}
		}
		if s.MaxLen != nil && len(v) > *s.MaxLen {
			return false
		}
	case bool:
		t = "boolean"
	case json.Number:
		t = "number"
		if !strings.ContainsAny(v.String(), ".eE") && slices.Contains(s.Types, "integer") {
			t = "integer"
		}
	default:
		return false // objects and arrays are made, and echo field by field
	}
	if len(s.AnyOf) > 0 && len(s.Types) == 0 {
		return slices.ContainsFunc(s.AnyOf, func(b *contract.Schema) bool { return fits(v, b) })
	}
	if len(s.Types) > 0 && !slices.Contains(s.Types, t) {
		return false
	}
	if s.HasConst && fmt.Sprint(s.Const) != fmt.Sprint(v) {
		return false
	}
	return len(s.Enum) == 0 || slices.ContainsFunc(s.Enum, func(e any) bool { return fmt.Sprint(e) == fmt.Sprint(v) })
}
