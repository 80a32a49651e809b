package wire

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// forms are 256 different bodies of about ten names, as a shop writes them for Stripe.
func forms() [][]byte {
	out := make([][]byte, 256)
	for i := range out {
		body := fmt.Sprintf("amount=%d&currency=%s&confirm=%t&description=Order+%d", 100+i*37, []string{"eur", "usd", "gbp"}[i%3], i%2 == 0, i*7919)
		body += fmt.Sprintf("&metadata[order]=%d&metadata[shop]=shop%%20%d", i, i%5)
		for j := range i % 3 {
			body += fmt.Sprintf("&types[]=%s", []string{"card", "ideal"}[j])
		}
		for j := range i%2 + 1 {
			body += fmt.Sprintf("&lines[%d][quantity]=%d&lines[%d][price][unit]=%d", j, i%9+1, j, i*13)
		}
		if i%4 == 0 {
			body += "&off_session=one_off&fee="
		}
		out[i] = []byte(body)
	}
	return out
}

// BenchmarkForm: reading alone, with the check, and writing; beside them what the standard
// library takes to split the same bodies, and to look at the same values in JSON.
func BenchmarkForm(b *testing.B) {
	p, id := program(b, orderSchema)
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
