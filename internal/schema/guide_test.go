package schema

import (
	"bytes"
	"testing"

	"sallyport/internal/tape"
)

// sameRead holds that reading and checking in one go says what Parse and Check say one after
// the other: the verdict, what is known and marked, the faults, and what is left of the value.
func sameRead(t testing.TB, p *Program, id ID, text []byte, lim tape.Limits) {
	t.Helper()
	var v, w tape.Tape
	a, b := p.Get(), p.Get()
	defer a.Put()
	defer b.Put()
	err := v.Parse(text, lim)
	got, readErr := b.Read(&w, text, lim, id)
	if (err == nil) != (readErr == nil) {
		t.Fatalf("%s: Parse says %v, Read %v", text, err, readErr)
	}
	if err != nil {
		return
	}
	want := a.Check(&v, 0, id, Response)
	if want == TooComplex {
		return // Read counts fewer steps
	}
	if got != want {
		t.Fatalf("%s: Check says %v, Read %v", text, want, got)
	}
	if x, y := faultText(a.Explain(Everything(), 20)), faultText(b.Explain(Everything(), 20)); x != y {
		t.Fatalf("%s: explained as\n%s\nafter Read\n%s", text, x, y)
	}
	if a.Sensitive() != b.Sensitive() {
		t.Fatalf("%s: Check met %v, Read %v", text, a.Sensitive(), b.Sensitive())
	}
	for i := range v.Nodes {
		if v.Nodes[i] != w.Nodes[i] || a.Known(i) != b.Known(i) || a.Marks(i) != b.Marks(i) {
			t.Fatalf("%s: node %d is %+v, known %v, marks %v; after Read %+v, known %v, marks %v", text, i,
				v.Nodes[i], a.Known(i), a.Marks(i), w.Nodes[i], b.Known(i), b.Marks(i))
		}
	}
	x, dropped := a.AppendReduced(nil, Everything())
	y, after := b.AppendReduced(nil, Everything())
	if !bytes.Equal(x, y) || dropped.Dropped != after.Dropped || !bytes.Equal(a.AppendRedacted(nil), b.AppendRedacted(nil)) {
		t.Fatalf("%s: reduced to\n%s\nafter Read to\n%s", text, x, y)
	}
}

// TestReadAgrees: one row for each thing that a reading judges itself, or leaves for later.
func TestReadAgrees(t *testing.T) {
	const doc = `{"type":"object","required":["id","gone"],"properties":{
		"id":{"type":"string"},"short":{"type":"string","maxLength":3},"whole":{"type":"integer"},"number":{"type":"number","maximum":9},"yes":{"type":"boolean"},
		"state":{"enum":["open","closed",null]},"maybe":{"type":"string","nullable":true},"secret":{"type":"string","x-mark":true},
		"list":{"type":"array","items":{"type":"integer"}},"few":{"type":"array","items":{},"maxItems":1},"open":{},"sealed":{"type":"object","additionalProperties":false},
		"map":{"type":"object","additionalProperties":{"type":"string","maxLength":2}},"either":{"anyOf":[{"type":"string"},{"type":"object","properties":{"id":{"type":"string"}}}]},
		"inner":{"$ref":"#"},"a_name_of_more_than_thirty_two_bytes_a":{"type":"integer"},"a_name_of_more_than_thirty_two_bytes_b":{"type":"string"},"exactly_sixteen_":{"type":"integer"},
		"mixed":{"maxLength":3,"properties":{"longer":{"type":"integer"}}},"bounded":{"type":"string","maxLength":5,"enum":["open","closed"]},"one":{"type":"string","maxLength":6,"enum":["open","closed"]},
		"choice":{"nullable":true,"anyOf":[{"type":"string","maxLength":3},{"type":"array","items":{"type":"integer"}},{"type":"object","required":["id"],"properties":{"id":{"enum":["a"]},"k":{"type":"string","x-mark":true}}}]},
		"marked":{"oneOf":[{"type":"string","x-mark":true},{"type":"object","properties":{"id":{"type":"string"}}}]},"two":{"oneOf":[{"type":"object","properties":{"id":{"type":"string"}}},{"type":"object","properties":{"k":{"type":"string","x-mark":true}}}]}}}`
	p, id := compileText(t, doc, Config{Dialect: OpenAPI30, Marks: func(t *tape.Tape, i int) (Mark, error) {
		if _, ok := t.Find(i, "x-mark"); ok {
			return Secret, nil
		}
		return 0, nil
	}})
	for _, member := range []string{
		``, `"id":"b"`, `"\u0069d":"b"`, `"id":5`, `"short":"abc"`, `"short":"abcd"`, `"short":"\u00e9\u00e9\u00e9"`, `"short":"éé"`, `"whole":5`, `"whole":5.0`, `"whole":1e2`, `"whole":5.5`, `"whole":-7`,
		`"number":9`, `"number":9.5`, `"number":10`, `"yes":true`, `"yes":null`, `"state":"open"`, `"state":"shut"`, `"state":null`, `"maybe":null`, `"secret":"x"`, `"secret":5`,
		`"list":[]`, `"list":[1,2]`, `"list":[1,"2"]`, `"list":{}`, `"few":[1]`, `"few":[1,2]`, `"open":{"a":{"b":[1]}}`, `"sealed":{}`, `"sealed":{"a":1}`, `"map":{}`, `"map":{"a":"b","id":"cc"}`, `"map":{"a":"bbb"}`, `"map":{"a":"b","a":"b"}`,
		`"map":{"a":"b","c":1}`, `"either":"x"`, `"either":{"id":"x","more":1}`, `"either":{"id":1}`, `"either":5`, `"inner":{"id":"a","gone":1,"inner":{"id":"a"}}`, `"inner":{"id":"a","gone":1,"inner":{"id":"a","gone":2,"list":[3],"x":{"y":1}}}`,
		`"a_name_of_more_than_thirty_two_bytes_a":5`, `"a_name_of_more_than_thirty_two_bytes_b":5`, `"a_name_of_more_than_thirty_two_bytes_c":5`, `"exactly_sixteen_":1`, `"exactly_sixteen_":"1"`,
		`"mixed":"longer"`, `"mixed":{"longer":1}`, `"bounded":"open"`, `"bounded":"closed"`, `"one":"closed"`, `"one":"\u006fpen"`, `"one":""`, `"one":null`,
		`"choice":"abc"`, `"choice":"abcd"`, `"choice":null`, `"choice":[1]`, `"choice":["1"]`, `"choice":{"id":"a","k":"s","x":{}}`, `"choice":{"id":"b"}`, `"choice":{}`, `"choice":5`,
		`"marked":{"id":"a","x":1}`, `"marked":"a"`, `"two":{"id":"a"}`, `"two":{"k":"a","x":1}`, `"two":{"id":1}`,
		`"unknown":{"id":[1,{"a":2}]},"other":1`, `"unknown":1,"unknown":2`, `"yes":true,"yes":true`, `"": 1`, `"x":{"id":1,"id":2}`, `"gone":1`,
	} {
		for _, text := range []string{`{"id":"a","gone":0,` + member + `}`, `{"gone":0,` + member + `,"id":"a"}`, `{` + member + `}`, `{"inner":{` + member + `},"gone":null,"id":""}`, `[{` + member + `}]`} {
			text = string(bytes.ReplaceAll([]byte(text), []byte(",}"), []byte("}")))
			sameRead(t, p, id, []byte(text), tape.Limits{})
			sameRead(t, p, id, []byte(text+"                                        "), tape.Limits{})
		}
	}
}

// What a reading that was cut short found does not show up in the next one.
func TestReadForgets(t *testing.T) {
	p, id := compileText(t, `{"type":"object","properties":{"a":{"type":"string","enum":["x"]},"b":{"type":"object","required":["c"]}}}`, Config{Dialect: OpenAPI30})
	m := p.Get()
	defer m.Put()
	var v tape.Tape
	for _, bad := range []string{`{"a":"y","z":1,"b":{"d":`, `{"a":1,"b":{}}`, `{"b":{"x":{"y":[[[`} {
		if verdict, err := m.Read(&v, []byte(bad), tape.Limits{}, id); err == nil && verdict == Valid {
			t.Errorf("%s is %v", bad, verdict)
		}
		if verdict, err := m.Read(&v, []byte(`{"a":"x","b":{"c":1}}`), tape.Limits{}, id); err != nil || verdict != Valid {
			t.Errorf("after %s: %v, %v", bad, verdict, err)
		}
	}
}
