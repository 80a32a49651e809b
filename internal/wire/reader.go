package wire

import (
	"bytes"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// Reader reads forms, queries and parameters. Its buffers are used again, so it is not for
// concurrent use. The zero Reader is ready. It keeps nothing of what it has read.
type Reader struct {
	text   []byte // decoded names and values
	pairs  []pair
	cuts   []uint32 // where the brackets of names stand
	places []place
	values []value
	table  table
	slots  []int32 // the elements of arrays that are being read
	json   tape.Tape
	raw    []byte

	params *Params
	style  Style
	code   problem.Code

	based bool // the tape has all of text, from base on
	base  uint32
}

func (r *Reader) start(code problem.Code, style Style) {
	if cap(r.text)+cap(r.raw)+cap(r.pairs)*24+cap(r.cuts)*4+cap(r.places)*48+cap(r.values)*12+cap(r.table.slots)*16 > keepBytes {
		*r = Reader{}
	}
	r.json.Reset(keepBytes)
	r.code, r.style, r.params, r.based = code, style, nil, false
	r.pairs, r.cuts, r.slots = r.pairs[:0], r.cuts[:0], r.slots[:0]
	r.startPlaces()
}

// Form reads a body of type application/x-www-form-urlencoded as one object, added to b.
// Style is Brackets or Repeat. The members stand in the order in which the form names them;
// those that s does not know are there as well. The error is a *problem.Error of code
// bad_body, or what b said.
func (r *Reader) Form(b *tape.Builder, body []byte, style Style, s schema.Shape) error {
	r.start(problem.BadBody, style)
	if err := r.split(body); err != nil {
		return err
	}
	for _, p := range r.pairs {
		k, err := r.formPlace(p)
		if err != nil {
			return err
		}
		if k == 0 || !r.addValue(k, p.value) {
			return r.twoWays(p.key)
		}
	}
	v := viewOf(s)
	r.base, r.based = b.Append(r.text), true
	if err := r.object(b, 0, v); err != nil {
		return err
	}
	return r.blame(b)
}

// formPlace finds the place that a form's name means.
func (r *Reader) formPlace(p pair) (int32, error) {
	if r.style != Brackets {
		return r.below(0, p.key)
	}
	cuts := r.cuts[p.cut:p.cutEnd]
	if len(cuts) == 0 {
		return r.below(0, p.key)
	}
	if !r.paired(p.key, cuts) {
		return 0, refuse(r.code, "the form has a name with unbalanced brackets")
	}
	k, err := r.below(0, span{p.key.off, cuts[0]})
	for ; err == nil && k != 0 && len(cuts) > 0; cuts = cuts[2:] {
		k, err = r.below(k, span{cuts[0] + 1, cuts[1]})
	}
	return k, err
}

// paired is balanced for a name whose brackets are known.
func (r *Reader) paired(key span, cuts []uint32) bool {
	steps := len(cuts) / 2
	if cuts[0] == key.off || len(cuts)%2 != 0 || steps > maxDepth-2 {
		return false
	}
	next := cuts[0]
	for k := 0; k+1 < len(cuts); k += 2 {
		open, end := cuts[k], cuts[k+1]
		if open != next || r.text[open] != '[' || r.text[end] != ']' {
			return false
		}
		next = end + 1
	}
	return next == key.end
}

// balanced reports whether rest is a number of [steps], not too many, behind a name.
func (r *Reader) balanced(root, rest span) bool {
	if root.off == root.end {
		return false
	}
	if bytes.IndexByte(r.text[root.off:root.end], ']') >= 0 {
		return false
	}
	for depth, text := 1, r.text[rest.off:rest.end]; len(text) > 0; depth++ {
		end := bytes.IndexByte(text, ']')
		if text[0] != '[' || end < 0 || depth >= maxDepth-1 || bytes.IndexByte(text[1:end], '[') >= 0 {
			return false
		}
		text = text[end+1:]
	}
	return true
}

// below is child with its errors; 0 without an error: up holds a value already.
func (r *Reader) below(up int32, name span) (int32, error) {
	if r.places[up].values > 0 {
		return 0, nil
	}
	k := r.child(up, name)
	if k == 0 {
		return 0, refuse(r.code, "more than %d names and indexes", maxPlaces)
	}
	return k, nil
}

// descend follows [name][0][] from place k.
func (r *Reader) descend(k int32, rest span) (int32, error) {
	for rest.off < rest.end && k != 0 {
		end := rest.off + 1
		for r.text[end] != ']' {
			end++
		}
		var err error
		if k, err = r.below(k, span{rest.off + 1, end}); err != nil {
			return 0, err
		}
		rest.off = end + 1
	}
	return k, nil
}

// cutKey splits root[name][0][] before its first bracket. ok is false for unbalanced or
// stray brackets, and for too many.
func (r *Reader) cutKey(key span) (root, rest span, ok bool) {
	open := bytes.IndexByte(r.text[key.off:key.end], '[')
	if open < 0 {
		return key, span{}, r.balanced(key, span{})
	}
	root, rest = span{key.off, key.off + uint32(open)}, span{key.off + uint32(open), key.end}
	return root, rest, r.balanced(root, rest)
}

func (r *Reader) twoWays(key span) error {
	root, _, _ := r.cutKey(key)
	return refuse(r.code, "the form names %s both as a value and as a structure", tape.ShowName(string(r.text[root.off:root.end])))
}

// read adds what stands at place k.
func (r *Reader) read(b *tape.Builder, k int32, s view) error {
	p := &r.places[k]
	if p.count > 0 {
		return r.structure(b, k, s)
	}
	text := r.textOf(p.first)
	switch {
	case r.style == JSON && p.values == 1 && r.values[p.first].kind != fileValue:
		return r.readJSON(b, r.where(k), text)
	case r.style == Repeat && s.may(schema.Array) && (p.values > 1 || r.values[p.first].kind != textValue || !isWhole(s, text)):
		return r.list(b, k, s)
	case p.values > 1:
		where := r.where(k)
		return problem.New(r.code, "%s stands %d times", where, p.values).WithHint("%s takes one value", where)
	case r.style > Repeat:
		d := delimited{style: r.style, b: b}
		if fault := d.value(text, s); fault != "" {
			return refuse(r.code, "%s %s", r.where(k), fault)
		}
		return nil
	}
	r.addText(b, p.first, s)
	return nil
}

// addText adds the text of a value.
func (r *Reader) addText(b *tape.Builder, v int32, s view) {
	if r.values[v].kind == fileValue {
		b.Bytes(r.textOf(v))
		return
	}
	if !r.based {
		addScalar(b, r.textOf(v), s)
		return
	}
	at := r.values[v].text
	switch scalarKind(r.text[at.off:at.end], s) {
	case tape.True:
		b.Bool(true)
	case tape.False:
		b.Bool(false)
	case tape.Number:
		b.NumberAt(r.base+at.off, r.base+at.end)
	default:
		b.StringAt(r.base+at.off, r.base+at.end)
	}
}

func (r *Reader) textOf(v int32) []byte {
	s := r.values[v].text
	return r.text[s.off:s.end]
}

// list reads all values at a place as elements.
func (r *Reader) list(b *tape.Builder, k int32, s view) error {
	b.BeginArray()
	v := r.places[k].first
	for i := range int(r.places[k].values) {
		if r.values[v].kind == jsonValue {
			if err := r.readJSON(b, r.where(k), r.textOf(v)); err != nil {
				return err
			}
		} else {
			item := s.item(i)
			r.addText(b, v, item)
		}
		v = r.values[v].next
	}
	b.End()
	return nil
}

// structure reads what is below a place: an array written a[]= or a[0]=, or an object.
func (r *Reader) structure(b *tape.Builder, k int32, s view) error {
	if appended := r.appended(k); appended != 0 {
		switch {
		case r.places[k].count > 1:
			return refuse(r.code, "%s mixes [] with other indexes", r.where(k))
		case r.places[appended].count > 0:
			where := r.where(k)
			return problem.New(r.code, "%s[] has members, so it is not clear which belong together", where).
				WithHint("write %s[0][…], %s[1][…]", where, where)
		}
		return r.list(b, appended, s)
	}
	if !s.may(schema.Array) || s.may(schema.Object) && !r.allIndexes(k) {
		return r.object(b, k, s)
	}
	return r.array(b, k, s)
}

// appended is the place named [] below k, or 0.
func (r *Reader) appended(k int32) int32 {
	for kid := r.places[k].kids; kid != 0; kid = r.places[kid].next {
		if p := &r.places[kid]; p.name.off == p.name.end {
			return kid
		}
	}
	return 0
}

func (r *Reader) allIndexes(k int32) bool {
	for kid := r.places[k].kids; kid != 0; kid = r.places[kid].next {
		if index(r.nameOf(kid)) < 0 {
			return false
		}
	}
	return true
}

func (r *Reader) array(b *tape.Builder, k int32, s view) error {
	count, from := int(r.places[k].count), len(r.slots)
	for range count {
		r.slots = append(r.slots, 0)
	}
	for kid := r.places[k].kids; kid != 0; kid = r.places[kid].next {
		r.places[kid].element = true
		if i := index(r.nameOf(kid)); i >= 0 && i < count {
			r.slots[from+i] = kid
		}
	}
	b.BeginArray()
	for i := range count {
		kid := r.slots[from+i]
		if kid == 0 {
			return problem.New(r.code, "%s has %d elements but none at [%d]", r.where(k), count, i).
				WithHint("write the indexes 0, 1, 2, … without gaps")
		}
		item := s.item(i)
		if err := r.read(b, kid, item); err != nil {
			return err
		}
	}
	b.End()
	r.slots = r.slots[:from]
	return nil
}

func (r *Reader) object(b *tape.Builder, k int32, s view) error {
	b.BeginObject()
	for kid := r.places[k].kids; kid != 0; kid = r.places[kid].next {
		name := r.nameOf(kid)
		hash := r.places[kid].hash
		below, _ := s.memberOf(hash, name)
		if at := r.places[kid].name; r.based {
			b.KeyAt(r.base+at.off, r.base+at.end, hash)
		} else {
			b.KeyHashed(name, hash)
		}
		if err := r.read(b, kid, below); err != nil {
			return err
		}
	}
	b.End()
	return nil
}

// readJSON reads a parameter whose content is application/json.
func (r *Reader) readJSON(b *tape.Builder, where string, text []byte) error {
	if err := r.json.Parse(text, tape.Limits{Depth: maxDepth - 1}); err != nil {
		return refuse(r.code, "%s is not acceptable JSON: %v", where, err)
	}
	b.Copy(&r.json, 0)
	return nil
}

// addScalar reads text as the type that s wants. A string stays a string where s takes that
// string; else it becomes true, false or a number if it is written exactly so; else it stays
// a string, and the check will refuse it.
func addScalar(b *tape.Builder, text []byte, s view) {
	switch scalarKind(text, s) {
	case tape.True:
		b.Bool(true)
	case tape.False:
		b.Bool(false)
	case tape.Number:
		b.Number(text)
	default:
		b.Bytes(text)
	}
}

func scalarKind(text []byte, s view) tape.Kind {
	if !s.may(schema.Number|schema.Boolean) || s.takes(text) {
		return tape.String
	}
	if s.may(schema.Boolean) {
		switch string(text) {
		case "true":
			return tape.True
		case "false":
			return tape.False
		}
	}
	if s.may(schema.Number) {
		switch shapeOf(text) {
		case plainInteger:
			return tape.Number
		case otherNumber:
			if s.may(schema.Fraction) {
				return tape.Number
			}
		}
	}
	return tape.String
}

// isWhole reports whether text that could be a list is one value: where s takes it as a
// string, it is that string.
func isWhole(s view, text []byte) bool {
	return !s.may(schema.Array|schema.Object) || s.takes(text)
}
