package schema

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestUniqueItems builds arrays of values that are all different, and then puts one of them in
// again in another spelling: short ones are compared pairwise, long ones by a hash.
func TestUniqueItems(t *testing.T) {
	spellings := [][]string{
		{"0", "-0", "0.0", "0e5"}, {"1", "1.0", "10e-1", "1e0"}, {"-1", "-1.0", "-0.1e1"}, {"100", "1e2", "1.00E+2", "100.0"}, {"-300", "-3e2"},
		{"1.5", "15e-1", "1.50"}, {"0.1", "1e-1"}, {"999999999999999999", "999999999999999999.0", "9999999999999999990e-1"},
		{"1000000000000000000", "1e18", "1000000000000000000.0"}, {"12345678901234567890", "1234567890123456789e1"}, {"1e300", "10e299", "0.1e301"}, {"1e-300", "10e-301"},
		{`"1"`, `"\u0031"`}, {`"a"`}, {`"\u00fc"`, `"ü"`}, {`""`}, {"null"}, {"true"}, {"false"}, {"[]"}, {"{}"}, {"[1]", "[1.0]", "[1e0]"}, {"[1,2]", "[1,2.0]"}, {"[2,1]"}, {"[[]]"}, {"[{}]"},
		{`{"a":1,"b":2}`, `{"b":2.0,"a":1}`, `{"\u0061":1e0,"b":2}`}, {`{"a":2,"b":1}`}, {`{"a":1}`}, {`{"a":[1,{"c":null,"d":1}]}`, `{"a":[1.0,{"d":1,"c":null}]}`}, {`{"a":null}`}, {`["a"]`}, {`["a","b"]`}, {`["b","a"]`},
	}
	p, id := compileText(t, `{"uniqueItems":true}`, Config{})
	r := rand.New(rand.NewPCG(7, 7))
	for range torture(2000, 200_000) {
		order := r.Perm(len(spellings))[:1+r.IntN(len(spellings))]
		var list []string
		for _, k := range order {
			list = append(list, spellings[k][r.IntN(len(spellings[k]))])
		}
		want := Valid
		if r.IntN(2) == 0 {
			want = Invalid
			again := spellings[order[r.IntN(len(order))]]
			at := r.IntN(len(list) + 1)
			list = append(list[:at:at], append([]string{again[r.IntN(len(again))]}, list[at:]...)...)
		}
		text := "[" + strings.Join(list, ",") + "]"
		m := p.Get()
		if got := m.Check(parse(t, text), 0, id, Strict); got != want {
			t.Fatalf("%s: %v, want %v", text, got, want)
		}
		m.Put()
	}
}
