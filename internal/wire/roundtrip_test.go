package wire

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// hostileText is text that some reader or other takes for something else.
var hostileText = []string{"", "5", "-0", "1e3", "007", "true", "null", "[]", "a[b]=c", "a&b", "a;b", "a,b", "a|b", "a b", "a+b", "%41", "ü\u2028\U0001F600",
	"a\r\nb", "\t", "\x00", "..", "a/b", "\"\\", "<a>&amp;]]>", " a ", "--sallyport", "one_off", "now", "all", "eur", "."}

// anyValue makes a value that more or less has the shape.
func anyValue(t *rapid.T, v view, depth int) any {
	kinds := []schema.Types{schema.Null, schema.Boolean, schema.Integer, schema.Fraction, schema.String, schema.Array, schema.Object}
	types := v.types
	if rapid.IntRange(0, 19).Draw(t, "stray") == 0 || types == 0 {
		types = schema.AllTypes
	}
	var possible []schema.Types
	for _, k := range kinds {
		if types&k != 0 && (depth > 0 || k&scalars != 0) {
			possible = append(possible, k)
		}
	}
	if len(possible) == 0 {
		return nil
	}
	switch rapid.SampledFrom(possible).Draw(t, "kind") {
	case schema.Null:
		return nil
	case schema.Boolean:
		return rapid.Bool().Draw(t, "bool")
	case schema.Integer:
		return json.Number(strconv.Itoa(rapid.IntRange(-1, 200).Draw(t, "i")))
	case schema.Fraction:
		return json.Number(rapid.SampledFrom([]string{"0.1", "1.50", "1e2", "-0", "3", "9007199254740993.1"}).Draw(t, "n"))
	case schema.String:
		return rapid.OneOf(rapid.SampledFrom(hostileText), rapid.StringN(0, 6, 20)).Draw(t, "text")
	case schema.Array:
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "len"))
		for i := range list {
			list[i] = anyValue(t, v.item(i), depth-1)
		}
		return list
	}
	return anyObject(t, v, depth)
}

func anyObject(t *rapid.T, v view, depth int) map[string]any {
	m := map[string]any{}
	names := []string{"a", "0", "1", "a b", "ü", "x.y", "a=b&c", "][", "", "A", "id"}
	if listed := v.Names(); len(listed) > 0 {
		names = append(names[:3:3], listed...)
		for range rapid.IntRange(0, 5).Draw(t, "listed") {
			name := rapid.SampledFrom(listed).Draw(t, "name")
			kid, _ := v.member([]byte(name))
			m[name] = anyValue(t, kid, depth-1)
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "names") {
		name := rapid.SampledFrom(names).Draw(t, "name")
		kid, _ := v.member([]byte(name))
		m[name] = anyValue(t, kid, depth-1)
	}
	return m
}

func built(t testing.TB, v any) *tape.Tape {
	t.Helper()
	var b tape.Builder
	var out tape.Tape
	b.Start(&out, tape.Limits{})
	b.Value(v)
	if err := b.Done(); err != nil {
		t.Fatal(err)
	}
	return &out
}

// carrier is one way over the wire.
type carrier struct {
	write   func(v *tape.Tape) (string, error)
	misfits func(v *tape.Tape) []Misfit
	read    func(into *tape.Tape, text string) error
}

// law is what holds for every carrier and every value: either it is refused, and the check
// that comes before says so; or it is read back as the same text at the same places. So
// values that differ in more than the type of a scalar have different bytes. What was read is
// written as the same bytes again, and read as exactly the same value.
func (c carrier) law(t testing.TB, v *tape.Tape) (written bool) {
	t.Helper()
	text, err := c.write(v)
	if refused := len(c.misfits(v)) > 0; refused != (err != nil) {
		t.Fatalf("%s: misfits %v, but writing said %v", v.AppendJSON(nil, 0), c.misfits(v), err)
	}
	if err != nil {
		return false
	}
	var back, again tape.Tape
	if err := c.read(&back, text); err != nil || !sameText(v, 0, &back, 0) {
		t.Fatalf("%s\nwas written as %q\nand read as %s, %v", v.AppendJSON(nil, 0), text, back.AppendJSON(nil, 0), err)
	}
	second, err := c.write(&back)
	if err != nil || second != text {
		t.Fatalf("%s: written as %q, and what was read of it as %q, %v", v.AppendJSON(nil, 0), text, second, err)
	}
	if err := c.read(&again, second); err != nil || !same(&back, &again) {
		t.Fatalf("%q was read as %s and as %s", text, back.AppendJSON(nil, 0), again.AppendJSON(nil, 0))
	}
	return true
}

func formCarrier(style Style, s schema.Shape) carrier {
	var r Reader
	var w Writer
	return carrier{
		write: func(v *tape.Tape) (string, error) {
			out, err := w.Form(nil, v, 0, style, s)
			return string(out), err
		},
		misfits: func(v *tape.Tape) []Misfit { return w.FormMisfits(v, 0, style, s) },
		read:    func(into *tape.Tape, text string) error { return readForm(&r, into, text, style, s) },
	}
}

func multipartCarrier(m *Multipart) carrier {
	var r Reader
	var w Writer
	boundary := ""
	return carrier{
		write: func(v *tape.Tape) (string, error) {
			out, b, err := w.Multipart(nil, v, 0, m, nil)
			if err == nil {
				boundary = b
			}
			return string(out), err
		},
		misfits: func(v *tape.Tape) []Misfit { return w.MultipartMisfits(v, 0, m, nil) },
		read: func(into *tape.Tape, text string) error {
			_, err := readParts(&r, into, text, boundary, m)
			return err
		},
	}
}

func xmlCarrier(s schema.Shape) carrier { return xmlCarrierOf("root", s) }

func xmlCarrierOf(root string, s schema.Shape) carrier {
	var r Reader
	var w Writer
	return carrier{
		write: func(v *tape.Tape) (string, error) {
			out, err := w.XML(nil, v, 0, root, s)
			return string(out), err
		},
		misfits: func(v *tape.Tape) []Misfit { return w.XMLMisfits(v, 0, root, s) },
		read: func(into *tape.Tape, text string) error {
			var b tape.Builder
			b.Start(into, tape.Limits{})
			if err := r.XML(&b, []byte(text), root, s); err != nil {
				return err
			}
			return b.Done()
		},
	}
}

// paramCarrier writes objects of one member, the parameter.
func paramCarrier(in In, p Param) carrier {
	return carrier{
		write:   func(v *tape.Tape) (string, error) { return writeParam(v, in, &p) },
		misfits: func(v *tape.Tape) []Misfit { return misfits(v, in, &p) },
		read: func(into *tape.Tape, text string) error {
			if in == InPath {
				text = unescaped(text)
			}
			_, err := readParam(into, in, &p, text)
			return err
		},
	}
}

// unescaped is a path segment as the router hands it on.
func unescaped(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if c, ok := unhex([]byte(s), i+1); ok && s[i] == '%' {
			out = append(out, c)
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// many runs a law over generated values until enough of them went all the way.
func many(t *testing.T, c carrier, make func(t *rapid.T) any) {
	t.Helper()
	written := 0
	rapid.Check(t, func(rt *rapid.T) {
		for range 10 {
			if c.law(t, built(t, make(rt))) {
				written++
			}
		}
	})
	if written < 15 {
		t.Errorf("only %d values went all the way", written)
	}
}

func TestFormRoundTrip(t *testing.T) {
	for name, style := range map[string]Style{"brackets": Brackets, "repeat": Repeat} {
		t.Run(name, func(t *testing.T) {
			s := schemaOf(t, orderSchema)
			many(t, formCarrier(style, s), func(t *rapid.T) any { return anyObject(t, viewOf(s), 4) })
		})
	}
}

func TestMultipartRoundTrip(t *testing.T) {
	m := uploads(t)
	many(t, multipartCarrier(m), func(t *rapid.T) any {
		v := anyObject(t, m.shape, 4)
		if rapid.Bool().Draw(t, "file") {
			delete(v, "pages")
			delete(v, "file")
			content := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "content")
			v["pages"] = []any{base64.StdEncoding.EncodeToString(content), ""}
		}
		return v
	})
}

func TestXMLRoundTrip(t *testing.T) {
	for name, text := range map[string]string{"pet": petSchema, "order": orderSchema} {
		t.Run(name, func(t *testing.T) {
			s := schemaOf(t, text)
			many(t, xmlCarrier(s), func(t *rapid.T) any { return anyObject(t, viewOf(s), 4) })
		})
	}
}

func TestParameterRoundTrip(t *testing.T) {
	styles := map[In][]Style{InQuery: {Brackets, Repeat, Commas, Spaces, Pipes, JSON}, InPath: {Simple, SimpleExploded, Label, LabelExploded, Matrix, MatrixExploded},
		InHeader: {Simple, SimpleExploded, JSON}, InCookie: {Repeat, Commas}}
	schemas := []string{listOfText, listOfNumbers, colour, textOrList, `{"type":"string"}`, `{"type":["number","string"]}`, `{"type":"boolean"}`, `{}`,
		`{"type":"object","additionalProperties":{"type":"string"}}`, `{"type":["array","object"],"items":{"type":"number"},"additionalProperties":{}}`}
	for in, list := range styles {
		t.Run(in.String(), func(t *testing.T) {
			written := 0
			rapid.Check(t, func(rt *rapid.T) {
				for range 10 {
					p := Param{Name: "color", Wire: rapid.SampledFrom([]string{"c", "c[]", "a b", "ü", "c,d"}).Draw(rt, "wire"), Style: rapid.SampledFrom(list).Draw(rt, "style"),
						Shape: schemaOf(t, rapid.SampledFrom(schemas).Draw(rt, "schema"))}
					if in == InCookie || p.Style == Brackets {
						p.Wire = "c"
					}
					v := built(t, map[string]any{"color": anyValue(rt, viewOf(p.Shape), 2)})
					if paramCarrier(in, p).law(t, v) {
						written++
					}
				}
			})
			if written < 30 {
				t.Errorf("only %d values went all the way", written)
			}
		})
	}
}
