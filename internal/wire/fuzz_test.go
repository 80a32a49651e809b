package wire

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// FuzzForm: any bytes are read or refused; what is read, and passes the check, is written and
// read as the same value; a form that net/url cannot read is not read.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"amount=5&currency=eur&metadata[a]=b&lines[0][quantity]=1", "types[]=a&types[]=b&any[0]=1&any[x][]=2", "nested[0][0]=1&bank[number]=%00", "a=%c0%ae&=&&;"} {
		f.Add(s, true)
	}
	f.Add("types=a&types=b&tags=&numbers=5", false)
	p, id := program(f, orderSchema)
	var r Reader
	f.Fuzz(func(t *testing.T, body string, brackets bool) {
		style := Repeat
		if brackets {
			style = Brackets
		}
		var v tape.Tape
		if readForm(&r, &v, body, style, p.Shape(id)) != nil {
			return
		}
		if _, err := url.ParseQuery(body); err != nil {
			t.Fatalf("%q is accepted, but net/url says %v", body, err)
		}
		m := p.Get()
		defer m.Put()
		if c := formCarrier(style, p.Shape(id)); !c.law(t, &v) && m.Check(&v, 0, id, schema.Request) == schema.Valid {
			t.Fatalf("%q was read as %s, which passes the check and cannot be written: %v", body, v.AppendJSON(nil, 0), c.misfits(&v))
		}
	})
}

// FuzzParameter is FuzzForm for all the other styles.
func FuzzParameter(f *testing.F) {
	schemas := []string{listOfText, colour, textOrList, `{"type":["number","string"]}`, `{}`, `{"type":["array","object"],"items":{"type":"number"},"additionalProperties":{}}`}
	for i, s := range []string{"c=a,b", ".R=1.G=2", ";c=a;c=b", "R,1,G,2", "c[R]=1", "c=%7B%7D", "c=a%20b|c"} {
		for style := range 12 {
			f.Add(s, uint8(style), uint8(i))
		}
	}
	shapes := make([]schema.Shape, len(schemas))
	for i := range schemas {
		shapes[i] = schemaOf(f, schemas[i])
	}
	ins := []In{Brackets: InQuery, Repeat: InQuery, Commas: InQuery, Spaces: InQuery, Pipes: InQuery, JSON: InHeader, Simple: InPath,
		SimpleExploded: InHeader, Label: InPath, LabelExploded: InPath, Matrix: InPath, MatrixExploded: InPath}
	f.Fuzz(func(t *testing.T, text string, style, which uint8) {
		p := Param{Name: "color", Wire: "c", Style: Style(style % 12), Shape: shapes[int(which)%len(shapes)]}
		in := ins[p.Style]
		if in == InQuery && which&128 != 0 && p.Style != Brackets && p.Style != Spaces {
			in = InCookie
		}
		var v tape.Tape
		if _, err := readParam(&v, in, &p, text); err != nil || v.Nodes[0].Count == 0 {
			return
		}
		paramCarrier(in, p).law(t, &v)
	})
}

// FuzzMultipart: any bytes are read or refused, and what is read is written and read again.
func FuzzMultipart(f *testing.F) {
	m := uploads(f)
	f.Add(crlf("--x\n"+disposition+"\"purpose\"\n\na\n--x--\n"), "x")
	f.Add(crlf("--x\n"+disposition+"file; filename=\"a.pdf\"\nContent-Type: application/pdf\n\na\n--x\n"+disposition+"\"file_link_data[create]\"\n\ntrue\n--x--"), "x")
	f.Fuzz(func(t *testing.T, body, boundary string) {
		if !validBoundary(boundary) {
			return
		}
		var r Reader
		var w Writer
		var v, again tape.Tape
		files, err := readParts(&r, &v, body, boundary, m)
		if err != nil {
			return
		}
		out, b, err := w.Multipart(nil, &v, 0, m, files)
		if err != nil {
			return
		}
		if _, err := readParts(&r, &again, string(out), b, m); err != nil || !same(&v, &again) {
			t.Fatalf("%q was read as %s, written as %q and read as %s, %v", body, v.AppendJSON(nil, 0), out, again.AppendJSON(nil, 0), err)
		}
	})
}

// FuzzXML is FuzzMultipart for XML.
func FuzzXML(f *testing.F) {
	s := schemaOf(f, petSchema)
	f.Add(`<pet xmlns="http://a.example/pet" id="7"><name>Rex &amp; &#x46;</name><photo>a</photo><tags><tag rank="1">x</tag></tags></pet>`)
	f.Add(`<?xml version="1.0"?><p:pet xmlns:p="http://a.example/pet"><!-- --><p:name><![CDATA[<]]></p:name></p:pet>`)
	f.Add(`<!DOCTYPE x><pet/>`)
	f.Fuzz(func(t *testing.T, body string) {
		var v tape.Tape
		if readXML(&v, body, s) == nil {
			xmlCarrier(s).law(t, &v)
		}
	})
}

// TestHostileBodies: bodies of a mebibyte that aim at time and memory take a bounded share of
// both. The bound is generous, because machines that run tests are slow.
func TestHostileBodies(t *testing.T) {
	fill := func(part string) string { return strings.Repeat(part, 1<<20/len(part)) }
	counted := func(make func(i int) string) string {
		var b strings.Builder
		for i := 0; b.Len() < 1<<20; i++ {
			b.WriteString(make(i))
		}
		return b.String()
	}
	number := func(i int) string {
		return string([]byte{byte('a' + i%26), byte('a' + i/26%26), byte('a' + i/676%26), byte('a' + i/17576%26)})
	}
	p, id := program(t, orderSchema)
	for name, body := range map[string]string{
		"one deep name":         "a" + fill("[0]") + "=1",
		"names as deep as may":  counted(func(i int) string { return "a" + strings.Repeat("["+number(i)+"]", 60) + "=1&" }),
		"many names":            counted(func(i int) string { return number(i) + "=&" }),
		"many entries":          counted(func(i int) string { return "metadata[" + number(i) + "]=&" }),
		"many in few places":    counted(func(i int) string { return number(i%100) + "[" + number(i) + "]=&" }),
		"as many as may be":     counted(func(i int) string { return "metadata[" + number(i%9_999) + strings.Repeat("x", 80) + "]=&" })[:9_998*95],
		"one array":             fill("types[]=a&"),
		"an array by index":     counted(func(i int) string { return "types[" + number(i) + "]=&" }),
		"brackets":              fill("[") + "=",
		"closing brackets":      "a" + fill("]") + "=",
		"escapes":               "description=" + fill("%41"),
		"ampersands":            fill("&"),
		"equals":                fill("="),
		"one value":             "description=" + fill("a"),
		"a number":              "amount=" + fill("9"),
		"large index":           "types[1000000000]=a",
		"the same index":        fill("types[0]=a&"),
		"value and structure":   fill("lines=1&lines[0][quantity]=1&"),
		"backslashes and nulls": fill("%00"),
	} {
		t.Run(name, func(t *testing.T) {
			var r Reader
			var v tape.Tape
			began := time.Now()
			err := readForm(&r, &v, body, Brackets, p.Shape(id))
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("%v, %v", took, err)
			} else {
				t.Logf("%v, %d values, %v", took, len(v.Nodes), err)
			}
		})
	}
}

// TestHostileXML is TestHostileBodies for XML.
func TestHostileXML(t *testing.T) {
	fill := func(part string) string { return strings.Repeat(part, 1<<20/len(part)) }
	s := schemaOf(t, petSchema)
	for name, body := range map[string]string{
		"deep":             fill("<a>"),
		"wide":             "<a>" + fill("<b/>") + "</a>",
		"attributes":       "<a " + fill(`b="" `) + "/>",
		"other attributes": "<a " + fill(`b`) + `=""/>`,
		"namespaces":       fill(`<a xmlns="b">`),
		"prefixes":         "<a" + strings.Repeat(` xmlns:b="c"`, 9_000) + ">" + strings.Repeat(`<x:b/>`, 1_000) + "</a>",
		"text":             "<pet>" + fill("x") + "</pet>",
		"references":       "<pet>" + fill("&#65;") + "</pet>",
		"comments":         "<pet>" + fill("<!-- -->") + "</pet>",
		"CDATA":            "<pet>" + fill("<![CDATA[]]>") + "</pet>",
		"an open tag":      "<" + fill("a"),
		"entities":         `<!DOCTYPE a [<!ENTITY b "` + fill("c") + `">]><a>&b;</a>`,
	} {
		t.Run(name, func(t *testing.T) {
			var v tape.Tape
			began := time.Now()
			err := readXML(&v, body, s)
			if took := time.Since(began); took > 2*time.Second || err == nil {
				t.Errorf("%v, %v", took, err)
			} else {
				t.Logf("%v, %v", took, err)
			}
		})
	}
}
