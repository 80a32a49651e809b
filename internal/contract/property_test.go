package contract

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// TestAgreesWithJSONSchema compares verdicts with an independent implementation over
// random schemas and values. Where we differ on purpose (docs/formats/contract.md) the
// generator stays away: open objects in requests, integers written 1.0, formats.
func TestAgreesWithJSONSchema(t *testing.T) {
	verdicts := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		reply := rapid.Bool().Draw(t, "reply")
		g := schemaGen{reply: reply}
		schema := g.schema(t, 3)
		text, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		oracle := compileOracle(t, text)
		ours := compileOurs(t, text, !reply)
		for range 20 {
			value := valueFor(t, schema, 3)
			body, _ := json.Marshal(value)
			v, err := readJSON(body, false)
			if err != nil {
				t.Fatal(err)
			}
			w := newWalker(reply)
			w.walk([]*Schema{ours}, v, nil, everything, Plain)
			theirs := oracle.Validate(v)
			verdicts[theirs == nil]++
			if (len(w.faults) == 0) != (theirs == nil) {
				t.Fatalf("schema %s\nvalue %s\nours: %s\ntheirs: %v", text, body, faultText(w.faults), theirs)
			}
		}
	})
	if verdicts[true]*20 < verdicts[false] || verdicts[false]*20 < verdicts[true] {
		t.Errorf("the values are too one-sided to show anything: %v", verdicts)
	}
}

func compileOracle(t *rapid.T, text []byte) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("x.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("x.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func compileOurs(t *rapid.T, text []byte, request bool) *Schema {
	v, err := readJSON(text, true)
	if err != nil {
		t.Fatal(err)
	}
	l := newLoader("x")
	s := l.schema(v, "", request)
	l.finish()
	if len(l.faults) > 0 {
		t.Fatalf("%s: %v", text, l.err())
	}
	return s
}

// schemaGen makes schemas in the words that contracts use.
type schemaGen struct{ reply bool }

var words = []string{"a", "b", "ab", "abc", "", "ü", "A1"}

func (g schemaGen) schema(t *rapid.T, depth int) map[string]any {
	kinds := []string{"string", "integer", "number", "boolean", "enum", "const", "union"}
	if depth > 0 {
		kinds = append(kinds, "object", "object", "map", "array", "anyOf", "anyOf", "allOf")
		if !g.reply {
			kinds = append(kinds, "oneOf")
		}
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "string":
		s := map[string]any{"type": "string"}
		maybe(t, s, "minLength", rapid.IntRange(0, 2))
		maybe(t, s, "maxLength", rapid.IntRange(1, 4))
		maybe(t, s, "pattern", rapid.SampledFrom([]string{"^a", "b$", "^[a-z]+$", "[0-9]", "^$"}))
		return s
	case "integer", "number":
		s := map[string]any{"type": kind}
		maybe(t, s, "minimum", rapid.IntRange(-2, 2))
		maybe(t, s, "exclusiveMaximum", rapid.SampledFrom([]float64{1, 2.5, 3, 0.1}))
		maybe(t, s, "multipleOf", rapid.SampledFrom([]float64{2, 0.5, 0.1}))
		return s
	case "boolean":
		return map[string]any{"type": "boolean"}
	case "union":
		return map[string]any{"type": []string{"string", rapid.SampledFrom([]string{"null", "integer", "boolean"}).Draw(t, "other")}}
	case "enum":
		return map[string]any{"enum": []any{rapid.SampledFrom(words).Draw(t, "e"), 2, nil, []any{1, "a"}}}
	case "const":
		return map[string]any{"const": rapid.SampledFrom([]any{"a", 2, true, nil, map[string]any{"a": 1}}).Draw(t, "c")}
	case "object":
		return g.object(t, depth)
	case "map":
		s := map[string]any{"type": "object", "additionalProperties": g.schema(t, depth-1)}
		maybe(t, s, "propertyNames", rapid.Just(map[string]any{"maxLength": 1}))
		maybe(t, s, "minProperties", rapid.IntRange(0, 2))
		maybe(t, s, "maxProperties", rapid.IntRange(1, 2))
		return s
	case "array":
		s := map[string]any{"type": "array", "items": g.schema(t, depth-1)}
		maybe(t, s, "minItems", rapid.IntRange(0, 2))
		maybe(t, s, "maxItems", rapid.IntRange(1, 2))
		maybe(t, s, "uniqueItems", rapid.Bool())
		return s
	case "allOf":
		return map[string]any{"allOf": []any{g.schema(t, 0), g.schema(t, 0)}}
	default:
		parts := []any{g.schema(t, depth-1), g.schema(t, depth-1)}
		if rapid.Bool().Draw(t, "third") {
			parts = append(parts, g.schema(t, depth-1))
		}
		return map[string]any{kind: parts}
	}
}

func (g schemaGen) object(t *rapid.T, depth int) map[string]any {
	props := map[string]any{}
	required := []string{}
	for _, name := range []string{"p", "q", "r"} {
		if rapid.Bool().Draw(t, name) {
			props[name] = g.schema(t, depth-1)
			if rapid.Bool().Draw(t, "required "+name) {
				required = append(required, name)
			}
		}
	}
	s := map[string]any{"type": "object", "properties": props, "required": required}
	if !g.reply {
		s["additionalProperties"] = false
	}
	return s
}

func maybe[V any](t *rapid.T, s map[string]any, key string, g *rapid.Generator[V]) {
	if rapid.IntRange(0, 3).Draw(t, "maybe "+key) == 0 {
		s[key] = g.Draw(t, key)
	}
}

// valueFor makes a value that often fits the schema.
func valueFor(t *rapid.T, schema map[string]any, depth int) any {
	if depth < 0 || rapid.IntRange(0, 9).Draw(t, "stray") == 0 {
		return rapid.SampledFrom([]any{nil, true, false, 0, 1, 2, 2.5, -1, 0.3, "a", "abc", "", "ü", []any{}, []any{1, "a"}, []any{1, 1}, map[string]any{}, map[string]any{"p": 1, "a": 1}}).Draw(t, "any")
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		if parts, ok := schema[key].([]any); ok {
			return valueFor(t, rapid.SampledFrom(parts).Draw(t, "part").(map[string]any), depth)
		}
	}
	if c, ok := schema["const"]; ok {
		return c
	}
	if e, ok := schema["enum"].([]any); ok {
		return rapid.SampledFrom(e).Draw(t, "e")
	}
	switch schema["type"] {
	case "string":
		return rapid.SampledFrom(words).Draw(t, "s")
	case "integer":
		return rapid.IntRange(-3, 6).Draw(t, "i")
	case "number":
		return rapid.SampledFrom([]any{0, 1, 2, 0.5, 0.1, 0.30, 1.7, -1.5, 3}).Draw(t, "n")
	case "boolean":
		return rapid.Bool().Draw(t, "b")
	case "array":
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "len"))
		for i := range list {
			list[i] = valueFor(t, schema["items"].(map[string]any), depth-1)
		}
		return list
	case "object":
		m := map[string]any{}
		props, _ := schema["properties"].(map[string]any)
		for _, name := range []string{"p", "q", "r", "ab"} {
			if p, ok := props[name].(map[string]any); ok && rapid.IntRange(0, 4).Draw(t, name) > 0 {
				m[name] = valueFor(t, p, depth-1)
			} else if extra, ok := schema["additionalProperties"].(map[string]any); ok && rapid.Bool().Draw(t, name) {
				m[name] = valueFor(t, extra, depth-1)
			} else if rapid.IntRange(0, 19).Draw(t, "unlisted "+name) == 0 {
				m[name] = 1
			}
		}
		return m
	}
	return rapid.SampledFrom([]any{"a", nil, 2, true}).Draw(t, "u")
}

// TestEncodeParseIdentity: what Encode writes, Parse reads back as the same Args, so
// that different Args can never look the same to a provider.
func TestEncodeParseIdentity(t *testing.T) {
	rounds := 0
	d := fixture(t)
	round := func(t *rapid.T) {
		o := rapid.SampledFrom(d.Operations()).Draw(t, "operation")
		args := NewArgs(nil)
		for i := range o.Params {
			if p := &o.Params[i]; p.Account == "" && (p.Required || rapid.Bool().Draw(t, p.Name)) {
				args.tree[p.Name] = fill(t, p.Schema)
			}
		}
		if faults := o.Check(args); len(faults) > 0 {
			return // a pattern was not met, or the form cannot carry it
		}
		out, err := o.Encode(args, account)
		if err != nil {
			t.Fatalf("%s: Check accepts %v, Encode does not: %v", o.ID, args.Tree(), err)
		}
		back, faults, err := o.Parse(Input{Path: out.Path, RawQuery: out.RawQuery, Header: out.Header, ContentType: out.ContentType, Body: out.Body})
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
		rounds := 0
		round := func(t *rapid.T) {
			o := rapid.SampledFrom(d.Operations()).Draw(t, "operation")
			args, fields := NewArgs(nil), map[string]string{}
			for i := range o.Params {
				p := &o.Params[i]
				if p.Account != "" {
					fields[p.Account] = "ACxyz"
				} else if p.Required || rapid.IntRange(0, 5).Draw(t, p.Name) == 0 {
					args.tree[p.Name] = fillDeep(t, p.Schema, 3)
				}
			}
			out, err := o.Encode(args, fields)
			if err != nil {
				return
			}
			back, faults, err := o.Parse(Input{Path: out.Path, RawQuery: out.RawQuery, Header: out.Header, ContentType: out.ContentType, Body: out.Body})
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
	s, ok1 := scalarText(a)
	r, ok2 := scalarText(b)
	return ok1 && ok2 && s == r
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

// FuzzJSON compares the strict reader with encoding/json: what we accept, it accepts
// with the same value.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0,1.5e-3,"\u00e9\ud83d\ude00",null,true]}`, `{"a":1,"a":2}`, `"\ud800"`, `[1,]`, "\xef\xbb\xbf1", `1e400`, ` [ ] `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := readJSON(data, false)
		if err != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil || !reflect.DeepEqual(v, want) {
			t.Fatalf("%q: ours %v, theirs %v, %v", data, v, want, err)
		}
		text, err := appendJSON(nil, v, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := readJSON(text, false)
		if err != nil || !reflect.DeepEqual(v, again) {
			t.Fatalf("%q written as %q: %v", data, text, err)
		}
	})
}

// FuzzParse: whatever arrives, what passes Check is written so that it is read back.
func FuzzParse(f *testing.F) {
	d := fixture(f)
	f.Add(uint8(1), "/v1/payment_intents", "expand[]=customer", true, "amount=5&currency=eur&metadata[a]=b&line_items[0][quantity]=1")
	f.Add(uint8(0), "/v2/checkout/orders", "intent=x", false, `{"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00"}}]}`)
	f.Add(uint8(6), "/2010-04-01/Accounts/AC1/Messages.json", "", true, "To=%2B12345678&MediaUrl=a&MediaUrl=b")
	f.Add(uint8(3), "/v1/payment_intents", "limit=1&created[gte]=2&status=a&status=b&fields=a,b", true, "")
	f.Add(uint8(7), "/v2/checkout/orders", "", false, `[{"op":"add","path":"/x","value":{"a":[]}}]`)
	f.Fuzz(func(t *testing.T, which uint8, path, query string, form bool, body string) {
		o := d.Operations()[int(which)%len(d.Operations())]
		in := Input{Path: path, RawQuery: query, ContentType: JSONType, Body: []byte(body)}
		if form {
			in.ContentType = FormType
		}
		args, _, err := o.Parse(in)
		if err != nil || len(o.Check(args)) > 0 {
			return
		}
		out, err := o.Encode(args, account)
		if err != nil {
			t.Fatalf("Check accepts %v, Encode does not: %v", args.Tree(), err)
		}
		back, faults, err := o.Parse(Input{Path: out.Path, RawQuery: out.RawQuery, Header: out.Header, ContentType: out.ContentType, Body: out.Body})
		if err != nil || len(faults) > 0 || !reflect.DeepEqual(back.Tree(), args.Tree()) {
			t.Fatalf("%s\nread as %v\nwas     %v\n%v %v", outputText(out), back.Tree(), args.Tree(), faults, err)
		}
	})
}

// FuzzRoute: a path that is routed has as many segments as its template, and its
// literal parts are there.
func FuzzRoute(f *testing.F) {
	d := fixture(f)
	for _, s := range []string{"/v1/payment_intents/pi_1", "/v1/payment_intents%2Fpi_1", "/v1/payment_intents/a%2Fb", "/2010-04-01/Accounts/A/Messages/SM1.json", "//", "/%", ""} {
		f.Add("GET", s)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		o, allowed := d.Route(method, path)
		if o == nil {
			for _, m := range allowed {
				if op, _ := d.Route(m, path); op == nil || m == method {
					t.Fatalf("%s is allowed on %q but not routed", m, path)
				}
			}
			return
		}
		if o.Method != method || strings.Count(path, "/") != strings.Count(o.PathTemplate, "/") {
			t.Fatalf("%s %q is routed to %s", method, path, o.PathTemplate)
		}
		if _, ok := o.pathValues(path); !ok {
			t.Fatalf("%q has no values for %s", path, o.PathTemplate)
		}
	})
}

// FuzzForm: a form that is read is either refused or means one thing.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=1&a=2", "a[b]=1&a[b][c]=2", "metadata[a][b]=1", "line_items[0][quantity]=1", "payment_method_types[]=a", "a%5Bb%5D=1", "a[]=;"} {
		f.Add(s)
	}
	o := operation(f, "create-payment-intent")
	f.Fuzz(func(t *testing.T, body string) {
		in := Input{Path: "/v1/payment_intents", ContentType: FormType, Body: []byte(body)}
		args, _, err := o.Parse(in)
		if err != nil {
			return
		}
		for name := range args.Tree() {
			if _, ok := o.Param(name); !ok {
				t.Fatalf("%q gave the unknown parameter %q", body, name)
			}
		}
		again, _, _ := o.Parse(in)
		if !reflect.DeepEqual(args.Tree(), again.Tree()) {
			t.Fatalf("%q is read in two ways", body)
		}
	})
}

// FuzzCheckResponse: nothing passes that the contract does not know or the view does
// not name, and what passed passes again unchanged.
func FuzzCheckResponse(f *testing.F) {
	f.Add([]byte(intentBody))
	f.Add([]byte(`{"id":"pi_1","amount":1,"status":"succeeded","customer":{"deleted":true,"id":"x"}}`))
	f.Add([]byte(`{"id":{"$ne":1}}`))
	o := operation(f, "retrieve-payment-intent")
	view := mustView(f, o, "id status charges.data[].id")
	f.Fuzz(func(t *testing.T, body []byte) {
		full, _, err := o.CheckResponse(200, JSONType, body, nil)
		if err != nil {
			return
		}
		if strings.Contains(string(o.RedactReply(200, full.Body)), maskedUnknown) && !bytes.Contains(body, []byte(maskedUnknown)) {
			t.Fatalf("an unknown field passed: %s", full.Body)
		}
		part, faults, err := o.CheckResponse(200, JSONType, body, view)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := o.CheckResponse(200, JSONType, part.Body, view)
		if part.Body != nil && (err != nil || !bytes.Equal(part.Body, again.Body)) {
			t.Fatalf("%s passed as %s: %v %v", part.Body, again.Body, faults, err)
		}
		for _, word := range []string{"client_secret", "receipt_email", "amount", "metadata", "card"} {
			if m, _ := readJSON(part.Body, false); hasKey(m, word) {
				t.Fatalf("%s passed: %s", word, part.Body)
			}
		}
	})
}

func hasKey(v any, name string) bool {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if k == name || hasKey(v[k], name) {
				return true
			}
		}
	case []any:
		for i := range v {
			if hasKey(v[i], name) {
				return true
			}
		}
	}
	return false
}

// TestMain makes the property tests longer for the torture run.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.nofailfile", "true"); err != nil { // a failure prints its seed; files would lie beside the fixtures
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		if err := flag.Set("rapid.checks", "20000"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
