package openapi

import (
	"strings"

	"sallyport/internal/tape"
)

// writer writes JSON compactly; commas come by themselves.
type writer struct{ out []byte }

func (w *writer) separate() {
	if n := len(w.out); n > 0 {
		switch w.out[n-1] {
		case '{', '[', ':':
		default:
			w.out = append(w.out, ',')
		}
	}
}

func (w *writer) open(c byte) {
	w.separate()
	w.out = append(w.out, c)
}

func (w *writer) close(c byte) { w.out = append(w.out, c) }

func (w *writer) key(name string) {
	w.separate()
	w.out = append(tape.AppendString(w.out, strings.ToValidUTF8(name, "\uFFFD")), ':')
}

func (w *writer) str(s string) {
	w.separate()
	w.out = tape.AppendString(w.out, strings.ToValidUTF8(s, "\uFFFD"))
}

func (w *writer) raw(json []byte) {
	w.separate()
	w.out = append(w.out, json...)
}

func (w *writer) member(name, text string) {
	if text != "" {
		w.key(name)
		w.str(text)
	}
}

func (w *writer) flag(name string, v bool) {
	if v {
		w.key(name)
		w.raw([]byte("true"))
	}
}

func (w *writer) texts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	w.key(name)
	w.open('[')
	for _, s := range list {
		w.str(s)
	}
	w.close(']')
}

// notes writes x-sallyport: what the document says itself, and what was found out.
func (w *writer) notes(own node, mark Mark, name string) {
	if !own.isObject() && mark.Data == "" && !mark.ID && !mark.URL && name == "" {
		return
	}
	w.key("x-sallyport")
	w.open('{')
	if !own.get("data").ok() {
		w.member("data", mark.Data)
	}
	if !own.get("id").ok() {
		w.flag("id", mark.ID)
	}
	if !own.get("url").ok() {
		w.flag("url", mark.URL)
	}
	if !own.get("name").ok() {
		w.member("name", name)
	}
	for key, v := range own.members() {
		w.key(key)
		w.raw(v.json())
	}
	w.close('}')
}

// lineWidth is how long a line of the contract may be before a value is broken up.
const lineWidth = 140

// Pretty writes JSON for people: what fits stands on one line.
func Pretty(compact []byte) ([]byte, error) {
	var t tape.Tape
	if err := t.Parse(compact, limits()); err != nil {
		return nil, err
	}
	p := printer{t: &t, out: make([]byte, 0, len(compact)*3/2)}
	p.value(0, 0, 0)
	return append(p.out, '\n'), nil
}

type printer struct {
	t   *tape.Tape
	out []byte
}

// value writes node i; before is what already stands on the line behind the indentation.
func (p *printer) value(i, indent, before int) {
	n := &p.t.Nodes[i]
	if n.Kind < tape.Array || int(n.Count) == 0 || before+2*indent+int(n.End-n.Off)+int(n.Next)-i < lineWidth {
		p.flat(i)
		return
	}
	opening, closing := byte('['), byte(']')
	if n.Kind == tape.Object {
		opening, closing = '{', '}'
	}
	p.out = append(p.out, opening)
	for c := i + 1; c < int(n.Next); c = int(p.t.Nodes[c].Next) {
		if c > i+1 {
			p.out = append(p.out, ',')
		}
		p.line(indent + 1)
		from := len(p.out)
		if n.Kind == tape.Object {
			p.out = append(tape.AppendString(p.out, p.t.Key(c)), ':', ' ')
		}
		p.value(c, indent+1, len(p.out)-from)
	}
	p.line(indent)
	p.out = append(p.out, closing)
}

func (p *printer) line(indent int) {
	p.out = append(p.out, '\n')
	for range indent {
		p.out = append(p.out, ' ', ' ')
	}
}

// flat writes a value on one line.
func (p *printer) flat(i int) {
	n := &p.t.Nodes[i]
	if n.Kind < tape.Array {
		p.out = p.t.AppendJSON(p.out, i)
		return
	}
	opening, closing := byte('['), byte(']')
	if n.Kind == tape.Object {
		opening, closing = '{', '}'
	}
	p.out = append(p.out, opening)
	for c := i + 1; c < int(n.Next); c = int(p.t.Nodes[c].Next) {
		if c > i+1 {
			p.out = append(p.out, ',', ' ')
		}
		if n.Kind == tape.Object {
			p.out = append(tape.AppendString(p.out, p.t.Key(c)), ':', ' ')
		}
		p.flat(c)
	}
	p.out = append(p.out, closing)
}
