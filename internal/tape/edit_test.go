package tape

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// put is Set on a Go tree, written the obvious way.
func put(tree any, place []Step, v any) (any, error) {
	if len(place) == 0 {
		return v, nil
	}
	s := place[0]
	if s.Name != "" {
		m, ok := tree.(map[string]any)
		if tree != nil && !ok {
			return nil, fmt.Errorf("not an object")
		}
		kid, err := put(m[s.Name], place[1:], v)
		if err != nil {
			return nil, err
		}
		out := map[string]any{}
		for k := range m {
			out[k] = m[k]
		}
		out[s.Name] = kid
		return out, nil
	}
	list, ok := tree.([]any)
	if tree != nil && !ok || s.Index < 0 || s.Index > len(list) {
		return nil, fmt.Errorf("not an element")
	}
	var old any
	if s.Index < len(list) {
		old = list[s.Index]
	}
	kid, err := put(old, place[1:], v)
	if err != nil {
		return nil, err
	}
	out := append([]any{}, list...)
	if s.Index == len(list) {
		return append(out, kid), nil
	}
	out[s.Index] = kid
	return out, nil
}

func trees(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Just[any](true), rapid.Just[any](json.Number("-1.5")),
		rapid.Map(rapid.String(), func(s string) any { return strings.ToValidUTF8(s, "?") }),
		rapid.Map(rapid.IntRange(0, 99), func(n int) any { return json.Number(strconv.Itoa(n)) }))
	if depth == 0 {
		return leaf
	}
	return rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return trees(depth - 1) }), 0, 3), func(v []any) any { return v }),
		rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "a\"\n"}), rapid.Deferred(func() *rapid.Generator[any] { return trees(depth - 1) }), 0, 3),
			func(v map[string]any) any { return v }))
}

// Any changes one after the other leave what the same changes leave in a Go tree, and a
// refused one leaves everything as it was.
func TestSetAsInATree(t *testing.T) {
	steps := rapid.Custom(func(t *rapid.T) Step {
		if rapid.Bool().Draw(t, "named") {
			return Step{Name: rapid.SampledFrom([]string{"a", "b", "c", "a\"\n", "d"}).Draw(t, "name")}
		}
		return Step{Index: rapid.IntRange(-1, 3).Draw(t, "index")}
	})
	rapid.Check(t, func(t *rapid.T) {
		model := map[string]any{}
		for _, name := range []string{"a", "b", "a\"\n"} {
			model[name] = trees(3).Draw(t, "tree")
		}
		src, err := json.Marshal(model)
		if err != nil {
			t.Fatal(err)
		}
		kept := string(src)
		v, other := new(Tape), new(Tape)
		if err := v.Parse(src, Limits{}); err != nil {
			t.Fatal(err)
		}
		var root any = v.Value(0)
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			place := rapid.SliceOfN(steps, 1, 4).Draw(t, "place")
			value := trees(2).Draw(t, "value")
			if place[0].Name == "" {
				place[0] = Step{Name: "b"}
			}
			v.Clone(other)
			before := string(other.AppendJSON(nil, 0))
			want, wantErr := put(root, place, value)
			err := v.Set(place, value)
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("%s: set %v to %v: %v, want %v", before, place, value, err, wantErr)
			}
			if err == nil {
				root = want
			}
			checkTape(t, v)
			if got := v.Value(0); !reflect.DeepEqual(got, root) {
				t.Fatalf("%s: set %v to %v: got %v, want %v", before, place, value, got, root)
			}
			if got := string(other.AppendJSON(nil, 0)); got != before {
				t.Fatalf("the clone changed: %s to %s", before, got)
			}
		}
		if string(src) != kept {
			t.Fatal("the caller's bytes were changed")
		}
	})
}

// checkTape is checkShape for a property.
func checkTape(t *rapid.T, v *Tape) {
	text := v.AppendJSON(nil, 0)
	again := new(Tape)
	if err := again.Parse(text, Limits{}); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(again.Nodes) != len(v.Nodes) {
		t.Fatalf("%s: %d nodes, %d when read again", text, len(v.Nodes), len(again.Nodes))
	}
	for i := range v.Nodes {
		a, b := v.Nodes[i], again.Nodes[i]
		if a.Kind != b.Kind || a.Next != b.Next || a.Hash != b.Hash || a.Kind >= Array && a.Count != b.Count || a.Flags&Whole != b.Flags&Whole {
			t.Fatalf("%s: node %d is %+v, when read again %+v", text, i, a, b)
		}
	}
}

func TestSet(t *testing.T) {
	name := func(s string) Step { return Step{Name: s} }
	tests := []struct {
		name, src string
		place     []Step
		value     any
		want      string // JSON, or the error after "error: "
	}{
		{"into nothing", ``, []Step{name("a"), {}, name("b")}, 5, `{"a":[{"b":5}]}`},
		{"a new member", `{"a":1}`, []Step{name("b")}, "x", `{"a":1,"b":"x"}`},
		{"another value", `{"a":[1,2],"b":2}`, []Step{name("a")}, nil, `{"a":null,"b":2}`},
		{"a longer value", `{"a":1,"b":2}`, []Step{name("a")}, []any{1, []any{2}}, `{"a":[1,[2]],"b":2}`},
		{"an escaped name stays", `{"\u0061":1,"b":2}`, []Step{name("a")}, "x", `{"a":"x","b":2}`},
		{"the next element", `{"a":[1]}`, []Step{name("a"), {Index: 1}}, 2, `{"a":[1,2]}`},
		{"null gives way", `{"a":null}`, []Step{name("a"), name("b")}, 2, `{"a":{"b":2}}`},
		{"a gap", `{"a":[1]}`, []Step{name("a"), {Index: 2}}, 2, `error: an index must be at most 1`},
		{"a gap in a new array", `{}`, []Step{name("a"), {Index: 1}}, 2, `error: must be 0`},
		{"through a string", `{"a":"x"}`, []Step{name("a"), name("b")}, 2, `error: step 2 is not in an object`},
		{"a name in an array", `{"a":[]}`, []Step{name("a"), name("b")}, 2, `error: step 2 is not in an object`},
		{"an index in an object", `{"a":{}}`, []Step{name("a"), {}}, 2, `error: step 2 is not in an array`},
		{"nowhere", `{}`, nil, 2, `error: no place`},
		{"a name that is not UTF-8", `{}`, []Step{name("\xff")}, 2, `error: UTF-8`},
		{"a value that is not UTF-8", `{}`, []Step{name("a")}, "\xff", `error: UTF-8`},
		{"too deep", `{}`, append(make([]Step, 0), manySteps(60)...), []any{[]any{[]any{[]any{[]any{}}}}}, `error: deeper than 64`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := new(Tape)
			if tt.src != "" {
				v = parse(t, tt.src)
			}
			err := v.Set(tt.place, tt.value)
			if what, wrong := strings.CutPrefix(tt.want, "error: "); wrong {
				if err == nil || !strings.Contains(err.Error(), what) {
					t.Errorf("got %v, want …%s…", err, what)
				}
				if tt.src != "" && string(v.AppendJSON(nil, 0)) != tt.src {
					t.Errorf("changed to %s", v.AppendJSON(nil, 0))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkShape(t, v)
			if got := string(v.AppendJSON(nil, 0)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func manySteps(n int) []Step {
	out := make([]Step, n)
	for i := range out {
		out[i].Name = "a"
	}
	return out
}
