package wire

import (
	"bytes"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// joiner writes the styles that put several values into one text.
type joiner struct {
	w      *Writer
	style  Style
	wire   string
	in     In
	escape bool // percent-encode values
}

// Path appends a path parameter to a path, percent-encoded. A value that a parser on the way
// could take for another path is refused.
func (w *Writer) Path(dst []byte, t *tape.Tape, node int, p *Param) ([]byte, error) {
	w.start(dst, t, p.Style, false)
	w.single(node, p, InPath)
	return w.end(dst)
}

// PathMisfits lists what Path would refuse.
func (w *Writer) PathMisfits(t *tape.Tape, node int, p *Param) []Misfit {
	w.start(w.scratch[:0], t, p.Style, false)
	w.single(node, p, InPath)
	w.scratch = w.out
	return w.found()
}

// Header appends the value of a header parameter: printable ASCII, not encoded.
func (w *Writer) Header(dst []byte, t *tape.Tape, node int, p *Param) ([]byte, error) {
	w.start(dst, t, p.Style, false)
	w.single(node, p, InHeader)
	return w.end(dst)
}

// HeaderMisfits lists what Header would refuse.
func (w *Writer) HeaderMisfits(t *tape.Tape, node int, p *Param) []Misfit {
	w.start(w.scratch[:0], t, p.Style, false)
	w.single(node, p, InHeader)
	w.scratch = w.out
	return w.found()
}

// Cookie appends a cookie parameter to a Cookie header, with "; " before it unless dst is
// empty. Values are percent-encoded.
func (w *Writer) Cookie(dst []byte, t *tape.Tape, node int, p *Param) ([]byte, error) {
	var text []byte
	text, err := w.Query(nil, t, node, p)
	if err != nil {
		return dst, err
	}
	if len(dst) > 0 && len(text) > 0 {
		dst = append(dst, ';', ' ')
	}
	text = bytes.ReplaceAll(text, []byte("&"), []byte("; "))
	return append(dst, bytes.ReplaceAll(text, []byte(","), []byte("%2C"))...), nil
}

// CookieMisfits lists what Cookie would refuse.
func (w *Writer) CookieMisfits(t *tape.Tape, node int, p *Param) []Misfit {
	return w.QueryMisfits(t, node, p)
}

func (w *Writer) single(node int, p *Param, in In) {
	d := joiner{w: w, style: p.Style, wire: p.Wire, in: in, escape: in == InPath}
	if p.Style == JSON {
		text := w.t.AppendJSON(nil, node)
		if d.fits(node, text) {
			d.put(text)
		}
		return
	}
	start := len(w.out)
	switch p.Style {
	case Label, LabelExploded:
		d.raw(".")
	case Matrix:
		d.raw(";" + escapedName(p.Wire) + "=")
	case MatrixExploded:
		d.raw(";")
	}
	v := viewOf(p.Shape)
	d.value(node, v)
	if in == InPath && len(w.misfits) == 0 && !pathValue(w.out[start:]) {
		w.misfit(node, pathFound, pathWant)
	}
}

const (
	pathFound = "a value that changes the path"
	pathWant  = "a value without slashes and control characters that is not empty, . or .."
)

func escapedName(name string) string { return string(appendEscaped(nil, []byte(name))) }

// raw writes what belongs to the style.
func (d *joiner) raw(s string) {
	if !d.w.check {
		d.w.out = append(d.w.out, s...)
	}
}

// put writes text of the value.
func (d *joiner) put(text []byte) {
	switch {
	case d.w.check:
	case d.escape:
		d.w.out = appendEscaped(d.w.out, text)
	default:
		d.w.out = append(d.w.out, text...)
	}
}

// between writes the style's delimiter. In a query a space and a bar are percent-encoded,
// because a query cannot hold them.
func (d *joiner) between() {
	switch c := d.style.item(); c {
	case ' ':
		d.raw("%20")
	case '|':
		d.raw("%7C")
	case ';':
		d.raw(";")
	default:
		d.raw(string(rune(c)))
	}
}

func (d *joiner) value(node int, s view) {
	switch d.w.t.Nodes[node].Kind {
	case tape.Array:
		d.array(node, s)
	case tape.Object:
		d.object(node, s)
	default:
		d.scalar(node, s)
	}
}

// scalar writes one value that stands alone.
func (d *joiner) scalar(node int, s view) {
	text := d.w.t.Text(node)
	switch {
	case d.w.t.Nodes[node].Kind == tape.Null:
		d.w.misfit(node, "null or a structure", "a plain value")
		return
	case !d.fits(node, text):
		return
	case !isWhole(s, text):
		d.w.misfit(node, "a plain value, which would be read as several", "an array")
		return
	case d.style == MatrixExploded && bytes.IndexByte(text, ';') >= 0:
		d.w.misfit(node, "a value with a semicolon", "a value without one")
		return
	case d.style == MatrixExploded:
		d.raw(escapedName(d.wire) + "=")
	case d.style == Matrix && bytes.IndexByte(text, ';') >= 0:
		d.w.misfit(node, "a value with a semicolon", "a value without one")
		return
	}
	d.put(text)
}

// fits reports whether text can stand in the parameter's place at all.
func (d *joiner) fits(node int, text []byte) bool {
	switch {
	case d.in == InPath && !pathText(text, d.style):
		d.w.misfit(node, pathFound, pathWant)
	case d.in == InHeader && !headerText(text):
		d.w.misfit(node, "characters that a header cannot carry", "printable ASCII without spaces at the ends")
	case bytes.IndexByte(text, 0) >= 0:
		d.w.misfit(node, "a NUL character", "text without NUL")
	default:
		return true
	}
	return false
}

func (d *joiner) array(node int, s view) {
	n := &d.w.t.Nodes[node]
	switch {
	case n.Count == 0:
		d.w.misfit(node, "an empty array", "at least one element")
		return
	case !s.may(schema.Array) || isWhole(s, d.joined(node)):
		d.w.misfit(node, "an array, which would be read as a plain value", "a plain value")
		return
	}
	for c := node + 1; c < int(n.Next); c = int(d.w.t.Nodes[c].Next) {
		if c > node+1 {
			d.between()
		}
		if d.element(c) {
			if d.style == MatrixExploded {
				d.raw(escapedName(d.wire) + "=")
			}
			d.put(d.w.t.Text(c))
		}
	}
}

// joined is an array's text as a reader would see it before splitting it. It is asked for
// only where a plain value is possible as well.
func (d *joiner) joined(node int) (text []byte) {
	for c := node + 1; c < int(d.w.t.Nodes[node].Next); c = int(d.w.t.Nodes[c].Next) {
		if c > node+1 {
			text = append(text, d.style.item())
		}
		text = append(text, d.w.t.Text(c)...)
	}
	return text
}

// element checks one of several values.
func (d *joiner) element(node int) bool {
	text := d.w.t.Text(node)
	switch {
	case d.w.t.Nodes[node].Kind == tape.Null || d.w.t.Nodes[node].Kind >= tape.Array:
		d.w.misfit(node, "null or a structure", "a plain value")
	case bytes.IndexByte(text, d.style.item()) >= 0:
		name := map[byte]string{',': "comma", ' ': "space", '|': "bar", '.': "dot", ';': "semicolon"}[d.style.item()]
		d.w.misfit(node, "an element with a "+name, "elements without "+name+"s")
	case d.style == Matrix && bytes.IndexByte(text, ';') >= 0:
		d.w.misfit(node, "an element with a semicolon", "elements without semicolons")
	default:
		return d.fits(node, text)
	}
	return false
}

// object writes R,1,G,2 or R=1,G=2.
func (d *joiner) object(node int, s view) {
	n := &d.w.t.Nodes[node]
	if n.Count == 0 || !s.may(schema.Object) || s.may(schema.Array|schema.String) {
		d.w.misfit(node, "null or a structure", "a plain value")
		return
	}
	equals := byte(',')
	if d.style.pairs() {
		equals = '='
	} else {
		equals = d.style.item()
	}
	from := len(d.w.members)
	for i, m := range d.w.ordered(node, s) {
		if i > 0 {
			d.between()
		}
		name := d.w.t.Key(m.node)
		if len(name) == 0 || bytes.IndexByte(name, equals) >= 0 || bytes.IndexByte(name, d.style.item()) >= 0 || bytes.IndexByte(name, ';') >= 0 {
			d.w.misfit(m.node, "a name that is empty or has a delimiter", "a name that the style can carry")
			continue
		}
		if !d.fits(m.node, name) || !d.element(m.node) {
			continue
		}
		d.put(name)
		if d.style.pairs() {
			d.raw("=")
		} else {
			d.between()
		}
		d.put(d.w.t.Text(m.node))
	}
	d.w.members = d.w.members[:from]
}

// pathText refuses what would leave its segment at some parser on the way.
func pathText(s []byte, style Style) bool {
	return (style >= Label || pathValue(s)) && bytes.IndexFunc(s, func(c rune) bool {
		return c < 0x20 || c == 0x7f || c == '/' || c == '\\'
	}) < 0
}

func pathValue(s []byte) bool { return len(s) > 0 && string(s) != "." && string(s) != ".." }

func headerText(s []byte) bool {
	for _, c := range s {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(bytes.TrimSpace(s)) == len(s)
}
