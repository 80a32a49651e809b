package tape

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// Any bytes: what we accept encoding/json accepts with the same value; what only we
// refuse has one of the reasons that Parse documents, and the reason is there.
func FuzzParse(f *testing.F) {
	for _, text := range suite(f) {
		if len(text) < 1<<12 {
			f.Add(text)
		}
	}
	f.Add([]byte(`{"amount":1900,"currency":"eur","metadata":{"a\u0062c":"d"},"list":[1,-0,1e5,true,null]}`))
	v, again := new(Tape), new(Tape)
	f.Fuzz(func(t *testing.T, src []byte) {
		err := v.Parse(src, Limits{})
		if err != nil {
			explain(t, src, err)
			return
		}
		if !json.Valid(src) {
			t.Fatalf("accepted %q", src)
		}
		checkShape(t, v)
		want := decoded(t, src)
		if got := v.Value(0); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %#v, want %#v", src, got, want)
		}
		text := v.AppendJSON(nil, 0)
		if err := again.Parse(text, Limits{Bytes: 1 << 28}); err != nil {
			t.Fatalf("%q: written as %q: %v", src, text, err)
		}
		if got := again.Value(0); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: written as %q", src, text)
		}
		rebuilt(t, v, again)
	})
}

// rebuilt copies a tape by every other way and compares.
func rebuilt(t *testing.T, v, into *Tape) {
	want := v.AppendJSON(nil, 0)
	var b Builder
	b.Start(into, Limits{})
	b.Copy(v, 0)
	if err := b.Done(); err != nil {
		t.Fatalf("%s: copied: %v", want, err)
	}
	checkShape(t, into)
	if got := into.AppendJSON(nil, 0); !bytes.Equal(got, want) {
		t.Fatalf("%s copied as %s", want, got)
	}
	b.Start(into, Limits{})
	b.Value(v.Value(0))
	if err := b.Done(); err != nil {
		t.Fatalf("%s: built: %v", want, err)
	}
	if !reflect.DeepEqual(into.Value(0), v.Value(0)) {
		t.Fatalf("%s built as %s", want, into.AppendJSON(nil, 0))
	}
}

var half = regexp.MustCompile(`\\u[dD][89a-fA-F]`)

// explain ends the test unless a refusal is right: the text is no JSON, or it is one of
// the intended differences.
func explain(t *testing.T, src []byte, err error) {
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(src) {
		t.Fatalf("%q: %v", src, err)
	}
	if !json.Valid(src) {
		return
	}
	ok := false
	switch what := syntax.What; {
	case strings.Contains(what, "stands twice"):
		ok = twice(src)
	case strings.Contains(what, "surrogate"):
		ok = half.Match(src)
	case strings.Contains(what, "UTF-8"):
		ok = !utf8.Valid(src)
	case strings.Contains(what, "nested deeper"):
		ok = bytes.Count(src, []byte("["))+bytes.Count(src, []byte("{")) > 64
	case strings.Contains(what, "more than 10000"):
		ok = bytes.Count(src, []byte(",")) >= 10_000
	case syntax.TooBig:
		ok = regexp.MustCompile(`[0-9.eE+-]{129}|[eE][+-]?0*([1-9][0-9]{3}|[4-9][0-9]{2}|3[1-9][0-9]|309)`).Match(src)
	}
	if !ok {
		t.Fatalf("%q refused: %v", src, err)
	}
}

// twice finds a duplicate name the slow way.
func twice(src []byte) bool {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var open []map[string]bool // nil for arrays
	name := false              // whether the next token is a name
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) || err != nil {
			return false
		}
		switch token {
		case json.Delim('{'):
			open, name = append(open, map[string]bool{}), true
			continue
		case json.Delim('['):
			open, name = append(open, nil), false
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
			name = len(open) > 0 && open[len(open)-1] != nil
			continue
		}
		if len(open) == 0 || open[len(open)-1] == nil {
			continue
		}
		if name {
			if open[len(open)-1][token.(string)] {
				return true
			}
			open[len(open)-1][token.(string)] = true
		}
		name = !name
	}
}
