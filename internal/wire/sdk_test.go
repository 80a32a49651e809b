package wire

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/form"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/param/coercer"
	"github.com/stripe/stripe-mock/param/nestedtypeassembler"
	"github.com/stripe/stripe-mock/param/parser"
	"github.com/stripe/stripe-mock/spec"
	"pgregory.net/rapid"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// TestFormsOfSDKs: what Stripe's SDK for Node and the library qs encoded (testdata/sdkforms.cjs)
// is read as the value that it was.
func TestFormsOfSDKs(t *testing.T) {
	data, err := os.ReadFile("testdata/sdkforms.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		By, Style, Body string
		Value           json.RawMessage
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) < 30 {
		t.Fatal(len(cases), err)
	}
	s := schemaOf(t, orderSchema)
	var r Reader
	for i, c := range cases {
		t.Run(fmt.Sprint(i, " ", c.By), func(t *testing.T) {
			var got, want tape.Tape
			if err := want.Parse(c.Value, tape.Limits{}); err != nil {
				t.Fatal(err)
			}
			err := readForm(&r, &got, c.Body, map[string]Style{"brackets": Brackets, "repeat": Repeat}[c.Style], s)
			if err != nil || !same(&got, &want) {
				t.Errorf("%s\nread as %s, %v\nwas     %s", c.Body, got.AppendJSON(nil, 0), err, c.Value)
			}
		})
	}
}

// operation is one of Stripe's forms, compiled from its official description.
type operation struct {
	name string
	id   schema.ID
	spec *spec.Schema
}

// stripeForms are some of them; all of them in the long form.
func stripeForms(t *testing.T) (*schema.Program, []operation) {
	t.Helper()
	var doc tape.Tape
	if err := doc.Parse(embedded.OpenAPISpec, tape.Limits{}); err != nil {
		t.Fatal(err)
	}
	c := schema.NewCompiler(&doc, "", schema.Config{Dialect: schema.OpenAPI30})
	var list []operation
	paths, _ := doc.Find(0, "paths")
	each(&doc, paths, func(path int) {
		each(&doc, path, func(method int) {
			name := string(doc.Key(method)) + " " + string(doc.Key(path))
			node, ok := doc.At(tape.Step{Name: "paths"}, tape.Step{Name: string(doc.Key(path))}, tape.Step{Name: string(doc.Key(method))},
				tape.Step{Name: "requestBody"}, tape.Step{Name: "content"}, tape.Step{Name: "application/x-www-form-urlencoded"}, tape.Step{Name: "schema"})
			if props, has := doc.Find(max(node, 0), "properties"); !ok || !has || doc.Nodes[props].Count == 0 || len(name)%4 != 0 && os.Getenv("SALLYPORT_TORTURE") == "" {
				return
			}
			id, err := c.Compile(node)
			if err != nil {
				t.Fatal(err)
			}
			var s spec.Schema
			if err := json.Unmarshal(doc.AppendJSON(nil, node), &s); err != nil {
				t.Fatal(err)
			}
			list = append(list, operation{name, id, &s})
		})
	})
	p, err := c.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 50 {
		t.Fatalf("only %d forms", len(list))
	}
	return p, list
}

func each(t *tape.Tape, box int, do func(i int)) {
	for c := box + 1; c < int(t.Nodes[box].Next); c = int(t.Nodes[c].Next) {
		do(c)
	}
}

// TestStripeReadsOurForms: what passes the check of one of Stripe's official forms, and is
// written, is read as the same value by the reader of Stripe's own mock.
func TestStripeReadsOurForms(t *testing.T) {
	p, list := stripeForms(t)
	read, valid := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		for range 10 {
			o := rapid.SampledFrom(list).Draw(rt, "operation")
			s := p.Shape(o.id)
			v := built(t, anyObject(rt, viewOf(s), 4))
			c := formCarrier(Brackets, s)
			if !c.law(t, v) {
				continue
			}
			read++
			body, _ := c.write(v)
			theirs := stripeReads(t, body)
			if !sameTree(v, 0, theirs) {
				t.Fatalf("%s: %s\nis read as %v\nof %s", o.name, body, theirs, v.AppendJSON(nil, 0))
			}
			m := p.Get()
			if m.Check(v, 0, o.id, schema.Request) != schema.Valid {
				m.Put()
				continue
			}
			m.Put()
			valid++
			var ours tape.Tape
			if err := c.read(&ours, body); err != nil {
				t.Fatal(err)
			}
			if err := coercer.CoerceParams(o.spec, theirs); err != nil || !sameKinds(&ours, 0, theirs) {
				t.Fatalf("%s: %s\nis read as %v, %v\nand here as %s", o.name, body, theirs, err, ours.AppendJSON(nil, 0))
			}
		}
	})
	if read < 40 || valid < 5 {
		t.Errorf("only %d forms were read, %d of them valid", read, valid)
	}
}

func stripeReads(t *testing.T, body string) map[string]any {
	t.Helper()
	values, err := parser.ParseFormString(body)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := nestedtypeassembler.AssembleParams(values)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// sameTree compares a value with what a reader made of it that knows no types: arrays are
// maps by index, scalars are text.
func sameTree(t *tape.Tape, i int, theirs any) bool {
	n := &t.Nodes[i]
	if n.Kind < tape.Array {
		return theirs == string(t.Text(i))
	}
	m, ok := theirs.(map[string]any)
	if !ok || len(m) != int(n.Count) {
		return false
	}
	equal, index := true, 0
	each(t, i, func(c int) {
		name := string(t.Key(c))
		if n.Kind == tape.Array {
			name = strconv.Itoa(index)
			index++
		}
		kid, there := m[name]
		equal = equal && there && sameTree(t, c, kid)
	})
	return equal
}

// sameKinds compares what two readers made of the types.
func sameKinds(t *tape.Tape, i int, theirs any) bool {
	switch v := theirs.(type) {
	case string:
		return t.Nodes[i].Kind == tape.String && string(t.Text(i)) == v
	case bool:
		return t.Value(i) == v
	case int:
		return t.Nodes[i].Kind == tape.Number && string(t.Text(i)) == strconv.Itoa(v)
	case float64:
		f, err := strconv.ParseFloat(string(t.Text(i)), 64)
		return t.Nodes[i].Kind == tape.Number && err == nil && f == v
	case []any:
		if t.Nodes[i].Kind != tape.Array || int(t.Nodes[i].Count) != len(v) {
			return false
		}
		equal, index := true, 0
		each(t, i, func(c int) { equal = equal && sameKinds(t, c, v[index]); index++ })
		return equal
	case map[string]any:
		equal := t.Nodes[i].Kind == tape.Object && int(t.Nodes[i].Count) == len(v)
		if equal {
			each(t, i, func(c int) { equal = equal && sameKinds(t, c, v[string(t.Key(c))]) })
		}
		return equal
	}
	return false
}

// TestFormsOfStripeGo: what the official SDK for Go encodes is read as what was given to it.
func TestFormsOfStripeGo(t *testing.T) {
	s := schemaOf(t, orderSchema)
	rapid.Check(t, func(rt *rapid.T) {
		v := withoutEmpty(anyObject(rt, viewOf(s), 4))
		if len(v) == 0 {
			return
		}
		values := &form.Values{}
		form.AppendTo(values, v)
		var got tape.Tape
		var r Reader
		want := built(t, v)
		if _, err := formCarrier(Brackets, s).write(want); err != nil {
			return // brackets in names, and the like
		}
		if err := readForm(&r, &got, values.Encode(), Brackets, s); err != nil || !sameText(want, 0, &got, 0) {
			t.Fatalf("%s\nread as %s, %v\nwas     %s", values.Encode(), got.AppendJSON(nil, 0), err, want.AppendJSON(nil, 0))
		}
	})
	params := &stripe.PaymentIntentCreateParams{Amount: stripe.Int64(500), Currency: stripe.String("eur"), PaymentMethodTypes: stripe.StringSlice([]string{"card", "ideal"}),
		Shipping: &stripe.ShippingDetailsParams{Name: stripe.String("Eve & Co"), Address: &stripe.AddressParams{City: stripe.String("Köln")}}, OffSession: stripe.Bool(true)}
	params.AddMetadata("order id", "1=2")
	values := &form.Values{}
	form.AppendTo(values, params)
	paymentIntents := `{"type":"object","properties":{"amount":{"type":"integer"},"currency":{"type":"string"},"payment_method_types":{"type":"array","items":{"type":"string"}},"metadata":{"type":"object","additionalProperties":{"type":"string"}},
		"off_session":{"type":"boolean"},"shipping":{"type":"object","properties":{"name":{"type":"string"},"address":{"type":"object","properties":{"city":{"type":"string"}}}}}}}`
	var got, want tape.Tape
	var r Reader
	if err := want.Parse([]byte(`{"amount":500,"currency":"eur","payment_method_types":["card","ideal"],"metadata":{"order id":"1=2"},"off_session":true,"shipping":{"name":"Eve & Co","address":{"city":"Köln"}}}`), tape.Limits{}); err != nil {
		t.Fatal(err)
	}
	if err := readForm(&r, &got, values.Encode(), Brackets, schemaOf(t, paymentIntents)); err != nil || !same(&got, &want) {
		t.Errorf("%s\nread as %s, %v", values.Encode(), got.AppendJSON(nil, 0), err)
	}
}

// withoutEmpty takes out what the SDK leaves out (zero values), and writes scalars as text.
func withoutEmpty(v map[string]any) map[string]any {
	out := map[string]any{}
	for k, e := range v {
		if e = sdkValue(e); e != nil {
			out[k] = e
		}
	}
	return out
}

func sdkValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	case string:
		if v == "" {
			return nil
		}
	case map[string]any:
		if m := withoutEmpty(v); len(m) > 0 {
			return m
		}
		return nil
	case []any:
		var list []any
		for _, e := range v {
			if e = sdkValue(e); e != nil {
				list = append(list, e)
			}
		}
		if len(list) == 0 {
			return nil
		}
		return list
	}
	return v
}

// TestPairsOfTheStandardLibrary: a form without brackets is read as net/url reads it, or
// refused; and what net/url writes, as Twilio's SDK for Go does, is read.
func TestPairsOfTheStandardLibrary(t *testing.T) {
	s := schemaOf(t, `{"type":"object","properties":{},"additionalProperties":{"type":"array","items":{"type":"string"}}}`)
	var r Reader
	text := rapid.StringMatching("([a-zA-Z0-9%+&=;ü \\[\\]._-]|%[0-9a-fA-F]{2}|&[a-c]=){0,30}")
	accepted := 0
	rapid.Check(t, func(rt *rapid.T) {
		for range 20 {
			raw := text.Draw(rt, "raw")
			var got tape.Tape
			if err := readForm(&r, &got, raw, Repeat, s); err != nil {
				continue
			}
			accepted++
			want, err := url.ParseQuery(raw)
			if err != nil {
				t.Fatalf("%q is accepted, but net/url says %v", raw, err)
			}
			if ours := lists(&got); !reflect.DeepEqual(ours, want) {
				t.Fatalf("%q: %v; net/url %v", raw, ours, want)
			}
		}
	})
	if accepted < 40 {
		t.Errorf("only %d were accepted", accepted)
	}
	rapid.Check(t, func(rt *rapid.T) {
		values := url.Values(rapid.MapOfN(rapid.StringMatching(`[A-Za-zü\[\].&= ]{1,8}`), rapid.SliceOfN(rapid.SampledFrom(hostileText), 1, 3), 0, 5).Draw(rt, "values"))
		var got tape.Tape
		err := readForm(&r, &got, values.Encode(), Repeat, s)
		if nul := strings.Contains(values.Encode(), "%00"); nul != (err != nil) || err == nil && !reflect.DeepEqual(lists(&got), values) {
			t.Fatalf("%q: %s, %v", values.Encode(), got.AppendJSON(nil, 0), err)
		}
	})
}

func lists(t *tape.Tape) url.Values {
	out := url.Values{}
	each(t, 0, func(i int) {
		each(t, i, func(c int) { out.Add(string(t.Key(i)), string(t.Text(c))) })
	})
	return out
}
