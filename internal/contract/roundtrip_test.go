package contract

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// TestEncodeParseIdentity: what Encode writes, Parse reads back as the same Args, so
// that different Args can never look the same to a provider.
func TestEncodeParseIdentity(t *testing.T) {
	rounds := 0
	d := fixture(t)
	round := func(t *rapid.T) {
		o := rapid.SampledFrom(d.Operations()).Draw(t, "operation")
		tree := map[string]any{}
		for i := range o.Params {
			if p := &o.Params[i]; p.Account == "" && (p.Required || rapid.Bool().Draw(t, p.Name)) {
				tree[p.Name] = fill(t, p.Schema)
			}
		}
		args := NewArgs(tree)
		if faults := o.Check(args); len(faults) > 0 {
			return // a pattern was not met, or the form cannot carry it
		}
		out, err := o.Encode(args, account)
		if err != nil {
			t.Fatalf("%s: Check accepts %v, Encode does not: %v", o.ID, args.Tree(), err)
		}
		back, faults, err := o.Parse(Input(out))
		if err != nil || len(faults) > 0 || !reflect.DeepEqual(back.Tree(), args.Tree()) {
			t.Fatalf("%s: %s\nread as %v\nwas     %v\n%v %v", o.ID, outputText(out), back.Tree(), args.Tree(), faults, err)
		}
		if op, _ := d.Route(o.Method, out.Path); op != o && o.ID != "retrieve-payment-intent" {
			t.Fatalf("%s is routed to %v", out.Path, op)
		}
		rounds++
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			round(t)
		}
	})
	if rounds < 50 {
		t.Errorf("only %d rounds went all the way", rounds)
	}
}

// fill makes a value of a schema's shape with hostile text in it.
func fill(t *rapid.T, s *Schema) any {
	if s.Enum != nil {
		return rapid.SampledFrom(s.Enum).Draw(t, "enum")
	}
	for _, list := range [][]*Schema{s.AnyOf, s.OneOf} {
		if len(list) > 0 {
			return fill(t, rapid.SampledFrom(list).Draw(t, "alternative"))
		}
	}
	if len(s.AllOf) > 0 {
		m := map[string]any{}
		for _, part := range s.AllOf {
			part, _ := fill(t, part).(map[string]any)
			for k, v := range part {
				m[k] = v
			}
		}
		return m
	}
	if len(s.Types) == 0 {
		return rapid.SampledFrom([]any{nil, "x", true, json.Number("1.50"), []any{json.Number("-0")}, map[string]any{"a b": []any{}}}).Draw(t, "any")
	}
	switch s.Types[0] {
	case "string":
		return rapid.OneOf(rapid.SampledFrom([]string{"eur", "EUR", "1.00", "+12345678", "SM00ff", "https://x.example/?a=b&c#d", "a@b", "4242424242424242", "", "5", "true", "null", "a;b", "a&b=c", "[0]", "%41", "ü\u2028", "a\r\nb", "../..", "\U0001F600"}),
			rapid.StringN(0, 8, 30)).Draw(t, "text")
	case "integer":
		return json.Number(strconv.Itoa(rapid.IntRange(-1, 200).Draw(t, "i")))
	case "number":
		return json.Number(rapid.SampledFrom([]string{"0.1", "1.50", "1e2", "-0", "3", "9007199254740993.1"}).Draw(t, "n"))
	case "boolean":
		return rapid.Bool().Draw(t, "b")
	case "array":
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "len"))
		for i := range list {
			list[i] = fill(t, s.Items)
		}
		return list
	}
	m := map[string]any{}
	for _, name := range s.Order {
		if rapid.Bool().Draw(t, name) {
			m[name] = fill(t, s.Properties[name])
		}
	}
	if s.Additional != nil {
		for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "0", "1", "a b", "ü", "x.y", "constructor", "a=b&c", "][", ""}), 0, 3).Draw(t, "names") {
			m[name] = fill(t, s.Additional)
		}
	}
	return m
}

// TestBuiltinRoundTrip does the same over the catalog's own contracts.
func TestBuiltinRoundTrip(t *testing.T) {
	for name, data := range builtinContracts(t) {
		d, err := Load(name, data)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Operations()) == 0 {
			continue // said on purpose, in the contract
		}
		rounds := 0
		round := func(t *rapid.T) {
			o := rapid.SampledFrom(d.Operations()).Draw(t, "operation")
			tree, fields := map[string]any{}, map[string]string{}
			for i := range o.Params {
				p := &o.Params[i]
				if p.Account != "" {
					fields[p.Account] = "ACxyz"
				} else if p.Required || rapid.IntRange(0, 5).Draw(t, p.Name) == 0 {
					tree[p.Name] = fillDeep(t, p.Schema, 3)
				}
			}
			args := NewArgs(tree)
			out, err := o.Encode(args, fields)
			if err != nil {
				return
			}
			back, faults, err := o.Parse(Input(out))
			if err != nil || len(faults) > 0 || !sameText(back.Tree(), args.Tree(), o.RequestType == FormType) {
				t.Fatalf("%s: %s\nread as %v\nwas     %v\n%v %v", o.ID, outputText(out), back.Tree(), args.Tree(), faults, err)
			}
			rounds++
		}
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			for range 10 {
				round(t)
			}
		}))
		if rounds < 10 {
			t.Errorf("%s: only %d rounds went all the way", name, rounds)
		}
	}
}

// sameText compares what a form can tell apart: the text of scalars.
func sameText(a, b any, form bool) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	if x, ok := a.(map[string]any); ok {
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k := range x {
			if !sameText(x[k], y[k], form) {
				return false
			}
		}
		return true
	}
	if x, ok := a.([]any); ok {
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !sameText(x[i], y[i], form) {
				return false
			}
		}
		return true
	}
	if a == nil || b == nil {
		return false
	}
	return fmt.Sprint(a) == fmt.Sprint(b)
}

func fillDeep(t *rapid.T, s *Schema, depth int) any {
	parts := flatten([]*Schema{s})
	if s.rules.anything || depth == 0 && allows(parts, isString) || len(s.Types) > 0 && s.Types[0] == "string" && s.Enum == nil {
		return rapid.StringMatching(`[a-zA-Z0-9+/=&;%\[\] ._ü-]{1,8}`).Draw(t, "text")
	}
	switch {
	case s.Enum != nil || s.HasConst:
		return rapid.SampledFrom(append([]any{}, append(s.Enum, s.Const)...)).Filter(func(v any) bool { return v != nil }).Draw(t, "enum")
	case len(s.AnyOf) > 0:
		return fillDeep(t, s.AnyOf[0], depth)
	case len(s.OneOf) > 0:
		return fillDeep(t, s.OneOf[0], depth)
	case allows(parts, isArray):
		return []any{fillDeep(t, elements(parts)[0], max(0, depth-1))}
	case allows(parts, isObject) || len(propertyNames(parts)) > 0:
		m := map[string]any{}
		for _, name := range propertyNames(parts) {
			if depth > 0 && rapid.IntRange(0, 3).Draw(t, name) == 0 {
				kids, _ := members(parts, name)
				m[name] = fillDeep(t, kids[0], depth-1)
			}
		}
		if s.Additional != nil {
			m[rapid.SampledFrom([]string{"k", "0", "a b"}).Draw(t, "name")] = fillDeep(t, s.Additional, max(0, depth-1))
		}
		return m
	case allows(parts, isBool):
		return true
	case allows(parts, isInteger):
		return json.Number("7")
	}
	return "x"
}
