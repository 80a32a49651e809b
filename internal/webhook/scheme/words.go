package scheme

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// words are where a signed event says what it is.
type words struct{ id, kind, object []pointer }

// pointer leads to a value: a form's or JSON's field, a header that the signature covers is not
// one. It is a JSON pointer (RFC 6901) into the body, or query:NAME.
type pointer struct {
	query string
	steps []string
}

func parsePointer(s string) (pointer, error) {
	if name, ok := strings.CutPrefix(s, "query:"); ok && name != "" {
		return pointer{query: name}, nil
	}
	if !strings.HasPrefix(s, "/") {
		return pointer{}, errors.New("a pointer begins with a slash, or with query: and a name")
	}
	steps := strings.Split(s[1:], "/")
	for i, step := range steps {
		steps[i] = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
	}
	return pointer{steps: steps}, nil
}

// read finds the words in a request that is proved already. A body that cannot be read has
// none: it is signed all the same, and the site may know what it is.
func (w words) read(r Request, v *Verified) {
	if len(w.id)+len(w.kind)+len(w.object) == 0 {
		return
	}
	d := &document{r: r}
	for _, f := range []struct {
		at   []pointer
		into *string
	}{{w.id, &v.ID}, {w.kind, &v.Type}, {w.object, &v.Object}} {
		for _, p := range f.at {
			if *f.into == "" {
				*f.into = d.find(p)
			}
		}
	}
}

// document is a body that is read once, when something of it is asked for.
type document struct {
	r     Request
	tree  any
	form  url.Values
	tried bool
}

func (d *document) find(p pointer) string {
	if p.query != "" {
		_, q, _ := strings.Cut(d.r.URL, "?")
		values, err := url.ParseQuery(q)
		if err != nil || len(values[p.query]) != 1 {
			return ""
		}
		return values.Get(p.query)
	}
	d.parse()
	if d.form != nil {
		if len(p.steps) == 1 && len(d.form[p.steps[0]]) == 1 {
			return d.form.Get(p.steps[0])
		}
		return ""
	}
	at := d.tree
	for _, step := range p.steps {
		switch node := at.(type) {
		case map[string]any:
			at = node[step]
		case []any:
			if step != "0" || len(node) == 0 {
				return ""
			}
			at = node[0]
		default:
			return ""
		}
	}
	switch v := at.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func (d *document) parse() {
	if d.tried {
		return
	}
	d.tried = true
	// By the bytes, not by the content type, which no signature covers.
	if b := bytes.TrimLeft(d.r.Body, " \t\r\n"); len(b) > 0 && b[0] != '{' && b[0] != '[' && isForm(d.r.Header) {
		form, err := url.ParseQuery(string(d.r.Body))
		if err != nil {
			form = url.Values{}
		}
		d.form = form
		return
	}
	if unique(d.r.Body) {
		dec := json.NewDecoder(bytes.NewReader(d.r.Body))
		dec.UseNumber()
		if dec.Decode(&d.tree) != nil {
			d.tree = nil
		}
	}
}

func isForm(h http.Header) bool {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && t == "application/x-www-form-urlencoded"
}

// maxDepth bounds how deep a body may be nested.
const maxDepth = 64

// unique reports whether a body is one JSON value in which no object has a key twice: with two
// of a name, two readers may see two events.
func unique(body []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	type level struct {
		keys  map[string]bool
		value bool // the next token of an object is a value
	}
	var open []level
	for n := 0; ; n++ {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return n > 0 && len(open) == 0
		}
		if err != nil || n > 0 && len(open) == 0 { // a second value
			return false
		}
		delim, isDelim := t.(json.Delim)
		if n := len(open); n > 0 && open[n-1].keys != nil && (!isDelim || delim == '{' || delim == '[') {
			if at := &open[n-1]; !at.value {
				name, _ := t.(string)
				if at.keys[name] {
					return false
				}
				at.keys[name], at.value = true, true
				continue
			} else {
				at.value = false
			}
		}
		switch {
		case isDelim && (delim == '{' || delim == '['):
			var l level
			if delim == '{' {
				l.keys = map[string]bool{}
			}
			if open = append(open, l); len(open) > maxDepth {
				return false
			}
		case isDelim:
			open = open[:len(open)-1]
		}
	}
}
