package wire

import (
	"bytes"

	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// delimited reads the styles that write several values into one text.
type delimited struct {
	style Style
	wire  string // the parameter's name, which matrix writes into the text
	b     *tape.Builder
}

// read adds one value; fault says in words why it cannot.
func (d *delimited) read(text []byte, s view) (fault string) {
	switch d.style {
	case Label, LabelExploded:
		if len(text) == 0 || text[0] != '.' {
			return "does not begin with a dot, as style label does"
		}
		text = text[1:]
	case Matrix, MatrixExploded:
		return d.matrix(text, s)
	}
	return d.value(text, s)
}

func (d *delimited) value(text []byte, s view) (fault string) {
	switch {
	case isWhole(s, text):
		addScalar(d.b, text, s)
	case s.may(schema.Array):
		d.b.BeginArray()
		i := 0
		for word := range bytes.SplitSeq(text, []byte{d.style.item()}) {
			item := s.item(i)
			addScalar(d.b, word, item)
			i++
		}
		d.b.End()
	case d.style.pairs():
		return d.object(text, s)
	default:
		return d.flatObject(text, s)
	}
	return ""
}

// object reads R=1,G=2.
func (d *delimited) object(text []byte, s view) (fault string) {
	d.b.BeginObject()
	for word := range bytes.SplitSeq(text, []byte{d.style.item()}) {
		name, value, ok := bytes.Cut(word, []byte("="))
		if !ok || len(name) == 0 {
			return "has a member that is not written name=value"
		}
		d.member(name, value, s)
	}
	d.b.End()
	return ""
}

// flatObject reads R,1,G,2.
func (d *delimited) flatObject(text []byte, s view) (fault string) {
	d.b.BeginObject()
	var name []byte
	i := 0
	for word := range bytes.SplitSeq(text, []byte{d.style.item()}) {
		if i++; i%2 == 1 {
			name = word
			continue
		}
		if len(name) == 0 {
			return "has a member without a name"
		}
		d.member(name, word, s)
	}
	if i%2 == 1 {
		return "has a name without a value; names and values take turns"
	}
	d.b.End()
	return ""
}

func (d *delimited) member(name, value []byte, s view) {
	kid, _ := s.member(name)
	d.b.Key(name)
	addScalar(d.b, value, kid)
}

// matrix reads ;a=x,y, ;a=x;a=y and ;R=1;G=2.
func (d *delimited) matrix(text []byte, s view) (fault string) {
	if len(text) == 0 || text[0] != ';' {
		return "does not begin with a semicolon, as style matrix does"
	}
	text = text[1:]
	if d.style == MatrixExploded && s.may(schema.Object) && !s.may(schema.Array|schema.String) {
		return d.object(text, s)
	}
	only, named := d.cutName(text)
	switch {
	case !named:
		return "does not name itself, as style matrix does"
	case d.style == Matrix || bytes.IndexByte(only, ';') < 0 && isWhole(s, only):
		if bytes.IndexByte(only, ';') >= 0 {
			return "has a semicolon"
		}
		return d.value(only, s)
	case !s.may(schema.Array):
		return "has a semicolon"
	}
	d.b.BeginArray()
	i := 0
	for word := range bytes.SplitSeq(text, []byte(";")) {
		value, named := d.cutName(word)
		if !named {
			return "does not name every element, as style matrix does"
		}
		item := s.item(i)
		addScalar(d.b, value, item)
		i++
	}
	d.b.End()
	return ""
}

// cutName takes the parameter's name off ;name=value; ;name is the empty value.
func (d *delimited) cutName(word []byte) (value []byte, ok bool) {
	value, ok = bytes.CutPrefix(word, []byte(d.wire))
	if !ok || len(value) == 0 {
		return nil, ok
	}
	return value[1:], value[0] == '='
}
