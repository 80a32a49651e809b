package schema

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/internal/tape"
)

// TestHostileBodies: the work on a value is bounded by its bytes, whatever the schema is. The
// bound in seconds is far above what a quiet machine takes, because machines that run tests
// are busy.
func TestHostileBodies(t *testing.T) {
	size := torture(1<<17, 1<<20)
	schemas := map[string]string{
		"alternatives":      `{"anyOf":[{"type":"array","items":{"$ref":"#"}},{"type":"object","additionalProperties":{"$ref":"#"}},{"type":"array","items":{"anyOf":[{"$ref":"#"},{"type":"string","pattern":"^(a|aa)+$"}]},"uniqueItems":true},{"type":["number","string","null"]}]}`,
		"many alternatives": `{"items":{"oneOf":[` + strings.TrimSuffix(strings.Repeat(`{"type":"string","pattern":"(x+x+)+y"},`, 40), ",") + `]}}`,
		"unique":            `{"uniqueItems":true,"items":{"uniqueItems":true}}`,
		"contains":          `{"contains":{"contains":{"const":[1]}},"items":{"contains":{"const":2}}}`,
		"unevaluated":       `{"anyOf":[{"items":{"$ref":"#"},"additionalProperties":{"$ref":"#"}},{"unevaluatedProperties":{"$ref":"#"},"unevaluatedItems":{"$ref":"#"}}],"unevaluatedProperties":false}`,
		"names":             `{"propertyNames":{"pattern":"^(a+)+$"},"patternProperties":{"a":{},"b":{},"c":{}},"additionalProperties":{"$ref":"#"}}`,
		"enum":              `{"items":{"enum":[` + strings.TrimSuffix(strings.Repeat(`["a",{"b":[1,2,3]}],`, 200), ",") + `]}}`,
	}
	bodies := map[string]string{
		"nested":       strings.Repeat("[", 500) + strings.Repeat(`1,`, size/2) + `1` + strings.Repeat("]", 500),
		"deep arrays":  strings.TrimSuffix(strings.Repeat(strings.Repeat("[", 200)+strings.Repeat("]", 200)+",", size/401), ","),
		"small arrays": strings.TrimSuffix(strings.Repeat(`["a",{"b":[1,2,4]}],`, size/20), ","),
		"numbers":      strings.TrimSuffix(strings.Repeat("1.5e3,", size/6), ","),
		"empty":        strings.TrimSuffix(strings.Repeat("[],{},", size/6), ","),
		"one string":   `"` + strings.Repeat("x", size) + `"`,
		"strings":      strings.TrimSuffix(strings.Repeat(`"`+strings.Repeat("x", 4000)+`",`, size/4003), ","),
	}
	var members []string
	for i := range size / 12 {
		members = append(members, fmt.Sprintf(`"a%d":[1]`, i))
	}
	longest, told := time.Duration(0), time.Duration(0)
	try := func(name string, p *Program, id ID, value *tape.Tape) {
		m := p.Get()
		defer m.Put()
		for _, mode := range []Mode{Strict, Request, Response} {
			start := time.Now()
			v := m.Check(value, 0, id, mode)
			took := time.Since(start)
			if longest = max(longest, took); took > time.Second {
				t.Errorf("%s, mode %d: %v, %v", name, mode, v, took)
			}
			start = time.Now()
			faults := m.Explain(Everything(), 20)
			m.AppendReduced(nil, Everything())
			m.AppendRedacted(nil)
			took = time.Since(start)
			if told = max(told, took); took > 2*time.Second || (len(faults) == 0) != (v == Valid) {
				t.Errorf("%s, mode %d: %v, %d faults told in %v", name, mode, v, len(faults), took)
			}
		}
	}
	for name, schema := range schemas {
		p, id := compileText(t, schema, Config{Dialect: OpenAPI31})
		for what, body := range bodies {
			try(name+" on "+what, p, id, parse(t, "["+body+"]"))
		}
		try(name+" on members", p, id, parse(t, "{"+strings.Join(members, ",")+"}"))
	}
	t.Logf("the longest check took %v, to tell faults %v", longest, told)
}
