package schema

import (
	"bytes"
	"encoding/json"
	"testing"

	"sallyport/internal/schema/schematest"
	"sallyport/internal/tape"
)

// reduceTwice checks an answer, writes it reduced, and does the same again with what was
// written: that must fit, lack nothing more, and be the same bytes. It reports whether the
// value fitted at first and how many members were dropped.
func reduceTwice(t testing.TB, p *Program, id ID, text []byte) (fits bool, dropped int) {
	t.Helper()
	first, tally, verdict := reduceOnce(t, p, id, text)
	if verdict != Valid {
		return false, 0
	}
	again, second, verdict := reduceOnce(t, p, id, first)
	switch {
	case verdict != Valid:
		t.Errorf("the reduced value is %v\nvalue   %s\nreduced %s", verdict, text, first)
	case second.Dropped != 0:
		t.Errorf("the reduced value has unknown members %v\nvalue   %s\nreduced %s", second.Unknown, text, first)
	case !bytes.Equal(first, again):
		t.Errorf("reducing twice differs\nvalue   %s\nonce    %s\ntwice   %s", text, first, again)
	}
	return true, tally.Dropped
}

func reduceOnce(t testing.TB, p *Program, id ID, text []byte) ([]byte, Tally, Verdict) {
	t.Helper()
	v := new(tape.Tape)
	if err := v.Parse(text, tape.Limits{}); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	m := p.Get()
	defer m.Put()
	sameRead(t, p, id, text, tape.Limits{})
	verdict := m.Check(v, 0, id, Response)
	if verdict != Valid {
		return nil, Tally{}, verdict
	}
	out, tally := m.AppendReduced(nil, Everything())
	return out, tally, verdict
}

// TestReducedOutputChecksClean holds for schemas whose rules do not count or forbid what is
// dropped (schematest.Reducible names those rules).
func TestReducedOutputChecksClean(t *testing.T) {
	fitting, dropped := 0, 0
	for seed := range uint64(torture(400, 40_000)) {
		g := schematest.New(seed)
		g.Translate = translatePattern
		doc := schematest.Reducible(g.Schema())
		g.Root = doc
		p, id := compileText(t, string(schematest.Text(doc)), Config{})
		for range 6 {
			value := g.Value(4, doc)
			for _, v := range []any{value, schematest.Sprinkle(value)} {
				fits, n := reduceTwice(t, p, id, schematest.Text(v))
				if fits {
					fitting++
				}
				dropped += n
			}
			if t.Failed() {
				t.Fatalf("seed %d: %s", seed, schematest.Text(doc))
			}
		}
	}
	t.Logf("%d values that fit, %d members dropped", fitting, dropped)
	if fitting < 1000 || dropped < 200 {
		t.Errorf("only %d values fitted and %d members were dropped", fitting, dropped)
	}
}

// fuzzSchemas are schemas as providers write them, and some to get lost in.
var fuzzSchemas = []string{
	`{"type":"object","required":["id","status"],"properties":{"id":{"type":"string","pattern":"^or_[a-z0-9]{2,}$"},"status":{"enum":["open","paid",null]},
		"amount":{"type":"integer","minimum":1,"maximum":99999999,"multipleOf":5},"items":{"type":"array","maxItems":3,"uniqueItems":true,"items":{"$ref":"#/$defs/item"}},
		"metadata":{"type":"object","maxProperties":3,"propertyNames":{"maxLength":4},"additionalProperties":{"type":"string","maxLength":5}}},
		"$defs":{"item":{"type":"object","properties":{"price":{"type":"number","exclusiveMinimum":0.5},"of":{"$ref":"#/$defs/item"}},"additionalProperties":false}}}`,
	`{"$defs":{"node":{"anyOf":[{"type":"object","properties":{"l":{"$ref":"#/$defs/node"},"r":{"$ref":"#/$defs/node"}},"required":["l"]},
		{"type":"object","properties":{"l":{"$ref":"#/$defs/node"},"v":{"const":1}},"required":["v"]},{"type":"array","prefixItems":[true,{"$ref":"#/$defs/node"}],"unevaluatedItems":false},{"type":"null"}]}},"$ref":"#/$defs/node"}`,
	`{"$defs":{"a":{"properties":{"x":{"not":{"$ref":"#/$defs/b"}}}},"b":{"oneOf":[{"type":"string","minLength":2},{"$ref":"#/$defs/a","required":["x"]},{"const":[1.0,{"k":[]}]}]}},
		"if":{"required":["k"]},"then":{"properties":{"k":{"$ref":"#/$defs/b"}},"unevaluatedProperties":{"type":"integer"}},"else":{"contains":{"$ref":"#/$defs/b"},"minContains":1,"maxContains":2},
		"dependentSchemas":{"d":{"minProperties":2}},"dependentRequired":{"d":["k"]},"patternProperties":{"^p":{"enum":[1,"1",[1]]}}}`,
}

// FuzzBytes gives any bytes to the schemas: nothing panics, work is bounded, and what is JSON
// gets the independent judge's verdict.
func FuzzBytes(f *testing.F) {
	for _, s := range []string{`{"id":"or_ab","status":"open","items":[{"price":1,"of":{}}],"metadata":{"a":"b"}}`, `{"l":{"l":null,"r":{"v":1}}}`, `[[1],[null]]`,
		`{"k":"ab","d":1,"p1":[1.0]}`, `[1.0,{"k":[]}]`, `{"id":"or_ab","id":1}`, "\xff", `{"\u0069d":"or_zz","status":null}`, `1e400`, `{"l":`} {
		f.Add([]byte(s))
	}
	var all []judges
	var docs []any
	for _, text := range fuzzSchemas {
		doc, err := schematest.Parse([]byte(text))
		if err != nil {
			f.Fatal(err)
		}
		for _, mode := range []Mode{Strict, Response} {
			j, _, err := newJudges(doc, mode, false)
			if err != nil {
				f.Fatal(err)
			}
			all, docs = append(all, j), append(docs, doc)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v := new(tape.Tape)
		if err := v.Parse(text, tape.Limits{}); err != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%q is no JSON", text)
		}
		value, err := schematest.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for i, j := range all {
			sameRead(t, j.program, j.id, text, tape.Limits{})
			m := j.program.Get()
			verdict := m.Check(v, 0, j.id, j.mode)
			if verdict == Invalid && len(m.Explain(Everything(), 20)) == 0 {
				t.Errorf("mode %d: %s is invalid for no reason; schema %s", j.mode, text, fuzzSchemas[i/2])
			}
			if verdict == Valid && j.mode == Response {
				out, _ := m.AppendReduced(nil, Everything())
				if !json.Valid(out) {
					t.Errorf("%s is reduced to %s", text, out)
				}
			}
			m.AppendRedacted(nil)
			m.Put()
			if theirs := j.oracle.Why("", value); (verdict == Valid) != (theirs == nil) || verdict == TooComplex {
				t.Errorf("mode %d: %s: ours %v, theirs %v; schema %s", j.mode, text, verdict, theirs, schematest.Text(docs[i]))
			}
		}
	})
}
