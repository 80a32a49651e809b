package wire

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// TestFormatDocument runs the examples of docs/formats/form.md.
func TestFormatDocument(t *testing.T) {
	page, err := os.ReadFile("../../docs/formats/form.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(json schema|example)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 30 || blocks[0][1] != "json schema" {
		t.Fatalf("%d blocks were found, or the schema is not the first", len(blocks))
	}
	s := schemaOf(t, blocks[0][2])
	for i, b := range blocks[1:] {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			e := example{lines: map[string][]string{}, shape: s}
			for _, line := range strings.Split(strings.TrimSuffix(b[2], "\n"), "\n") {
				key, value, ok := strings.Cut(line, ":")
				if !ok {
					t.Fatalf("the line %q is no key: value", line)
				}
				e.lines[key] = append(e.lines[key], strings.TrimPrefix(value, " "))
			}
			e.run(t)
		})
	}
}

// example is one block of the page.
type example struct {
	lines map[string][]string
	shape schema.Shape
}

func (e *example) one(key string) string { return strings.Join(e.lines[key], "") }

func (e *example) run(t *testing.T) {
	if text := e.one("schema"); text != "" {
		e.shape = schemaOf(t, text)
	}
	c, source := e.carrier(t)
	var v tape.Tape
	if text := e.one("value"); text != "" {
		if e.one("in") != "" {
			text = `{"color":` + text + `}`
		}
		if err := v.Parse([]byte(text), tape.Limits{}); err != nil {
			t.Fatal(err)
		}
	} else {
		err := c.read(&v, source)
		if want := e.one("error"); want != "" {
			var p *problem.Error
			if !errors.As(err, &p) || p.Detail != want {
				t.Errorf("error %v; want %s", err, want)
			}
			return
		}
		at, _ := v.Find(0, "color")
		if err != nil || string(v.AppendJSON(nil, at)) != e.one("json") {
			t.Fatalf("read %s, %v; want %s", v.AppendJSON(nil, at), err, e.one("json"))
		}
	}
	var found []string
	for _, m := range c.misfits(&v) {
		found = append(found, fmt.Sprintf("%s found %s, want %s", strings.TrimPrefix(v.Pointer(m.Node), "/color"), m.Found, m.Want))
	}
	if want := e.lines["misfit"]; len(want) > 0 && !reflect.DeepEqual(found, want) {
		t.Errorf("misfits %q\nwant %q", found, want)
	}
	if want, ok := e.lines["written"]; ok {
		if got, err := c.write(&v); err != nil || got != want[0] {
			t.Errorf("written %s, %v", got, err)
		}
	}
}

// carrier is the way over the wire that the example is about, and what stands on it.
func (e *example) carrier(t *testing.T) (carrier, string) {
	switch {
	case e.one("in") != "":
		in := map[string]In{"query": InQuery, "path": InPath, "header": InHeader, "cookie": InCookie}[e.one("in")]
		var explode *bool
		if text := e.one("explode"); text != "" {
			yes := text == "true"
			explode = &yes
		}
		style, err := StyleOf(in, e.one("style"), explode)
		if err != nil {
			t.Fatal(err)
		}
		return paramCarrier(in, Param{Name: "color", Wire: "c", Style: style, Shape: e.shape}), e.one("wire")
	case e.one("multipart") != "":
		name, kind, _ := strings.Cut(e.one("multipart"), "=")
		m, err := NewMultipart(e.shape, []Field{{Name: name, Style: Repeat, File: kind == "file"}})
		if err != nil {
			t.Fatal(err)
		}
		var r Reader
		c := multipartCarrier(m)
		c.read = func(into *tape.Tape, text string) error {
			_, err := readParts(&r, into, text, "b", m)
			return err
		}
		return c, strings.Join(e.lines["body"], "\r\n")
	case e.one("xml") != "":
		return xmlCarrierOf(e.one("xml"), e.shape), e.one("wire")
	case e.one("style") == "repeat":
		return formCarrier(Repeat, e.shape), e.one("form")
	}
	return formCarrier(Brackets, e.shape), e.one("form")
}
