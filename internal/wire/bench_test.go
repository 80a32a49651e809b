package wire

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"github.com/stripe/stripe-mock/embedded"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// paymentIntents is the form of Stripe's official description that shops send most.
func paymentIntents(b *testing.B) (*schema.Program, schema.ID) {
	b.Helper()
	var doc tape.Tape
	if err := doc.Parse(embedded.OpenAPISpec, tape.Limits{}); err != nil {
		b.Fatal(err)
	}
	node, ok := doc.Resolve("/paths/~1v1~1payment_intents/post/requestBody/content/application~1x-www-form-urlencoded/schema")
	if !ok {
		b.Fatal("the description has no such form")
	}
	c := schema.NewCompiler(&doc, "", schema.Config{Dialect: schema.OpenAPI30})
	id, err := c.Compile(node)
	if err != nil {
		b.Fatal(err)
	}
	p, err := c.Finish()
	if err != nil {
		b.Fatal(err)
	}
	return p, id
}

// forms are 256 different bodies of ten to fourteen names, in different orders.
func forms() [][]byte {
	out := make([][]byte, 256)
	for i := range out {
		parts := []string{
			fmt.Sprintf("amount=%d&currency=%s", 100+i*37, []string{"eur", "usd", "gbp"}[i%3]),
			fmt.Sprintf("description=Order+%d", i*7919), fmt.Sprintf("metadata[order]=%d&metadata[shop]=shop%%20%d", i, i%5),
			fmt.Sprintf("receipt_email=eve%d%%40shop.example", i), "automatic_payment_methods[enabled]=true", fmt.Sprintf("customer=cus_%d", i*31),
			fmt.Sprintf("confirm=%t", i%2 == 0),
		}
		if i%2 == 0 {
			parts = append(parts, fmt.Sprintf("shipping[name]=Eve&shipping[address][city]=K%%C3%%B6ln&shipping[address][line1]=%d", i))
		}
		if i%3 == 0 {
			parts = append(parts, "payment_method_types[]=card&payment_method_types[]=ideal")
		}
		if i%4 == 0 {
			parts = append(parts, "off_session=one_off&capture_method=manual")
		}
		body := ""
		for j := range parts {
			body += "&" + parts[(i+j)%len(parts)]
		}
		out[i] = []byte(body[1:])
	}
	return out
}

// BenchmarkForm: reading alone, with the check, and writing; beside them what the standard
// library takes to split the same bodies, and to look at the same values in JSON.
func BenchmarkForm(b *testing.B) {
	p, id := paymentIntents(b)
	s := p.Shape(id)
	bodies := forms()
	var r Reader
	var t tape.Tape
	var build tape.Builder
	var w Writer
	read := func(b *testing.B, i int) {
		build.Start(&t, tape.Limits{})
		if err := r.Form(&build, bodies[i&255], Brackets, s); err != nil {
			b.Fatal(err)
		}
		if err := build.Done(); err != nil {
			b.Fatal(err)
		}
	}
	values := make([][]byte, len(bodies))
	for i := range bodies {
		read(b, i)
		values[i] = t.AppendJSON(nil, 0)
	}
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			read(b, i)
		}
	})
	b.Run("read and check", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			read(b, i)
			m := p.Get()
			if m.Check(&t, 0, id, schema.Request) != schema.Valid {
				b.Fatalf("%s", bodies[i&255])
			}
			m.Put()
		}
	})
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		read(b, 0)
		var out []byte
		for b.Loop() {
			var err error
			if out, err = w.Form(out[:0], &t, 0, Brackets, s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net/url ParseQuery", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := url.ParseQuery(string(bodies[i&255])); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding/json Valid", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			json.Valid(values[i&255])
		}
	})
}
