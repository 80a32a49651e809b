package schema

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAlternativesInsideEachOther: a verdict on (value, schema) is found once, so that the
// work of ambiguous alternatives grows with the depth and not with its power.
func TestAlternativesInsideEachOther(t *testing.T) {
	schemas := map[string]string{
		"both fit":         `{"anyOf":[{"type":"object","properties":{"n":{"$ref":"#"}}},{"type":"object","properties":{"n":{"$ref":"#"},"m":{"type":"string"}}}]}`,
		"first fails late": `{"anyOf":[{"type":"object","properties":{"n":{"$ref":"#"}},"required":["z"]},{"type":"object","properties":{"n":{"$ref":"#"}}}]}`,
		"one of":           `{"oneOf":[{"type":"object","properties":{"n":{"$ref":"#"}},"required":["z"]},{"type":"object","properties":{"n":{"$ref":"#"}}},{"type":"object","properties":{"n":{"$ref":"#"}},"required":["y"]}]}`,
		"parts":            `{"allOf":[{"properties":{"n":{"$ref":"#"}}},{"properties":{"n":{"$ref":"#"}}}]}`,
		"not not":          `{"not":{"not":{"properties":{"n":{"$ref":"#"}}}},"properties":{"n":{"$ref":"#"}}}`,
		"if":               `{"if":{"properties":{"n":{"$ref":"#"}}},"then":{"properties":{"n":{"$ref":"#"}}},"else":{"properties":{"n":{"$ref":"#"}}}}`,
		"patterns":         `{"properties":{"n":{"$ref":"#"}},"patternProperties":{"n":{"$ref":"#"}}}`,
		"marked":           `{"x-mark":"personal","anyOf":[{"type":"object","properties":{"n":{"$ref":"#"}},"required":["z"]},{"type":"object","properties":{"n":{"$ref":"#"}},"required":["y"]},{"type":"object","properties":{"n":{"$ref":"#"}}}]}`,
	}
	const depth = 120
	body := strings.Repeat(`{"n":`, depth) + `{}` + strings.Repeat(`}`, depth)
	for name, schema := range schemas {
		for _, mode := range []Mode{Strict, Request, Response} {
			t.Run(fmt.Sprint(name, mode), func(t *testing.T) {
				p, id := api(t, schema)
				m := p.Get()
				defer m.Put()
				value := parse(t, body)
				start := time.Now()
				if got := m.Check(value, 0, id, mode); got != Valid {
					t.Errorf("%v with %d steps left: %s", got, m.left, faultText(m.Explain(Everything(), 3)))
				}
				for i := range value.Nodes {
					if !m.Known(i) {
						t.Fatalf("node %d is not known", i)
					}
				}
				if took := time.Since(start); took > 200*time.Millisecond {
					t.Errorf("took %v", took)
				}
				wrong := parse(t, strings.Replace(body, `{}`, `{"n":1,"z":1,"y":1}`, 1))
				if m.Check(wrong, 0, id, mode) == Invalid && len(m.Explain(Everything(), 3)) == 0 {
					t.Error("no fault")
				}
			})
		}
	}
}

// TestWorkIsBounded: what no memory of verdicts helps against ends with TooComplex.
func TestWorkIsBounded(t *testing.T) {
	var anchors []string
	for i := range 3 {
		anchors = append(anchors, fmt.Sprintf(`{"properties":{"n":{"$dynamicRef":"#a"}},"required":["x%d"]}`, i))
	}
	schema := `{"$dynamicAnchor":"a","anyOf":[` + strings.Join(anchors, ",") + `,{"properties":{"n":{"$dynamicRef":"#a"}}}]}`
	p, id := compileText(t, schema, Config{})
	m := p.Get()
	defer m.Put()
	body := strings.Repeat(`{"n":`, 60) + `{}` + strings.Repeat(`}`, 60)
	start := time.Now()
	if got := m.Check(parse(t, body), 0, id, Strict); got != TooComplex {
		t.Errorf("%v", got)
	}
	if faults := m.Explain(Everything(), 20); len(faults) != 1 || faults[0].Rule != "complexity" {
		t.Errorf("%v", faults)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	if got := m.Check(parse(t, `{"n":{"n":{}}}`), 0, id, Strict); got != Valid {
		t.Errorf("a small one: %v", got)
	}
}

// TestConcurrent uses one program twice and from 8 goroutines.
func TestConcurrent(t *testing.T) {
	p, id := api(t, intentSchema)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for round := range 50 {
				body := strings.Replace(intentBody, "pi_1", fmt.Sprintf("pi_%d_%d", g, round), 2)
				m := p.Get()
				value := parse(t, body)
				if v := m.Check(value, 0, id, Response); v != Valid {
					t.Errorf("%v", v)
				}
				if got, _ := m.AppendReduced(nil, lensOf("id")); string(got) != fmt.Sprintf(`{"id":"pi_%d_%d"}`, g, round) {
					t.Errorf("%s", got)
				}
				if round%7 == 0 {
					bad := parse(t, strings.Replace(body, `"succeeded"`, `"x"`, 1))
					if m.Check(bad, 0, id, Response) != Invalid || len(m.Explain(Everything(), 20)) != 1 {
						t.Error("a wrong status is valid")
					}
				}
				m.Put()
			}
		})
	}
	wg.Wait()
}

func TestAllocations(t *testing.T) {
	p, id := api(t, intentSchema)
	m := p.Get()
	defer m.Put()
	value, out := parse(t, strings.NewReplacer(`"zzz":{"deep":1},`, "", `,"ssn":"1"`, "", `,"new":true`, "", `,"number":"4"`, "").Replace(intentBody)), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { m.Check(value, 0, id, Response) }); n != 0 {
		t.Errorf("check: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { out = m.AppendRedacted(out[:0]) }); n != 0 {
		t.Errorf("redact: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { m.Check(value, 0, id, Request); m.Check(value, 0, id, Response) }); n != 0 {
		t.Errorf("two checks: %v allocations", n)
	}
}
