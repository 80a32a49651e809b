package wire

import (
	"hash/maphash"
	"math/bits"
	"strconv"
	"strings"

	"sallyport/internal/tape"
)

// place is one name or index of a form: a node of the tree that the pairs describe, before
// the schema has been asked what it is. Place 0 is the root.
type place struct {
	name    span
	hash    uint32 // tape.Hash of the name
	up      int32
	kids    int32 // the first of those below, 0 for none
	last    int32 // the last of them
	next    int32 // the next one beside this
	count   int32 // how many are below
	values  int32 // how many values stand here
	first   int32 // the first of them
	newest  int32 // the last of them
	param   int32 // at the root of parameters: which one, counted from 1
	element bool  // it was read as an element of an array
}

// value is one of several values at a place.
type value struct {
	text span
	next int32
	kind valueKind
}

// valueKind is how a value's text was written.
type valueKind uint8

const (
	textValue valueKind = iota
	jsonValue           // a part of a multipart body
	fileValue           // bytes, here in base64
)

// fewKids is up to how many names one place is searched by walking over them.
const fewKids = 16

// table finds the kids of places that have more than fewKids. It is keyed with a seed that
// no sender knows, so that names which collide cannot be made.
type table struct {
	slots []tableSlot
	used  int
	seed  maphash.Seed
	keyed bool
}

type tableSlot struct {
	hash uint64
	kid  int32
}

func (r *Reader) startPlaces() {
	r.places = append(r.places[:0], place{})
	r.values = r.values[:0]
	if r.table.used > 0 {
		clear(r.table.slots)
		r.table.used = 0
	}
}

// child finds the place called name below up, or makes it; 0 when there are too many.
func (r *Reader) child(up int32, name span) int32 {
	text := r.text[name.off:name.end]
	hash := tape.HashIn(r.text[:cap(r.text)], name.off, name.end)
	box := &r.places[up]
	if box.last != 0 && r.isNamed(box.last, hash, text) {
		return box.last // names that belong together stand together
	}
	if box.count <= fewKids {
		for k := box.kids; k != 0; k = r.places[k].next {
			if r.isNamed(k, hash, text) {
				return k
			}
		}
	} else if k := r.table.find(r, up, hash, text); k != 0 {
		return k
	}
	return r.newChild(up, name, hash)
}

func (r *Reader) newChild(up int32, name span, hash uint32) int32 {
	if len(r.places) >= maxPlaces {
		return 0
	}
	k := int32(len(r.places))
	r.places = append(r.places, place{name: name, hash: hash, up: up})
	box := &r.places[up]
	if box.last == 0 {
		box.kids = k
	} else {
		r.places[box.last].next = k
	}
	box.last = k
	box.count++
	switch {
	case box.count == fewKids+1:
		for k := box.kids; k != 0; k = r.places[k].next {
			r.table.add(r, k)
		}
	case box.count > fewKids:
		r.table.add(r, k)
	}
	return k
}

func (r *Reader) isNamed(k int32, hash uint32, name []byte) bool {
	p := &r.places[k]
	s := p.name
	return p.hash == hash && string(r.text[s.off:s.end]) == string(name)
}

func (r *Reader) nameOf(k int32) []byte {
	s := r.places[k].name
	return r.text[s.off:s.end]
}

func (t *table) hash(up int32, name []byte) uint64 {
	if !t.keyed {
		t.seed, t.keyed = maphash.MakeSeed(), true
	}
	hi, lo := bits.Mul64(maphash.Bytes(t.seed, name)^uint64(up), 0x9e3779b97f4a7c15)
	return hi ^ lo
}

func (t *table) find(r *Reader, up int32, hash uint32, name []byte) int32 {
	h := t.hash(up, name)
	for at := int(h) & (len(t.slots) - 1); t.slots[at].kid != 0; at = (at + 1) & (len(t.slots) - 1) {
		if s := t.slots[at]; s.hash == h && r.places[s.kid].up == up && r.isNamed(s.kid, hash, name) {
			return s.kid
		}
	}
	return 0
}

func (t *table) add(r *Reader, kid int32) {
	if 2*(t.used+1) > len(t.slots) {
		old := t.slots
		t.slots = make([]tableSlot, max(64, 2*len(old)))
		for _, s := range old {
			if s.kid != 0 {
				t.put(s)
			}
		}
	}
	t.put(tableSlot{t.hash(r.places[kid].up, r.nameOf(kid)), kid})
	t.used++
}

func (t *table) put(s tableSlot) {
	at := int(s.hash) & (len(t.slots) - 1)
	for t.slots[at].kid != 0 {
		at = (at + 1) & (len(t.slots) - 1)
	}
	t.slots[at] = s
}

// addValue puts a value at a place; false: it has something below it already.
func (r *Reader) addValue(k int32, text span) bool {
	p := &r.places[k]
	if p.count > 0 {
		return false
	}
	at := int32(len(r.values))
	r.values = append(r.values, value{text: text})
	if p.values == 0 {
		p.first = at
	} else {
		r.values[p.newest].next = at
	}
	p.newest = at
	p.values++
	return true
}

// where writes the way to a place for an error.
func (r *Reader) where(k int32) string {
	p := &r.places[k]
	if k == 0 {
		return "the form"
	}
	name := string(r.nameOf(k))
	if p.param > 0 {
		return r.params.list[p.param-1].Name
	}
	head := ""
	if p.up != 0 {
		head = r.where(p.up)
	}
	if p.element {
		return head + "[" + name + "]"
	}
	if !pathName(name) || tape.ShowName(name)[0] != '"' {
		name = "{" + tape.ShowName(name) + "}"
	}
	if head == "" {
		return name
	}
	return head + "." + name
}

// pathName reports whether the grammar of parameter paths can write a name.
func pathName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '$' || c == ':')
	}) < 0
}

// index reads a name as an index without leading zeros; -1 for every other name.
func index(name []byte) int {
	if shapeOf(name) != plainInteger || name[0] == '-' {
		return -1
	}
	n, err := strconv.Atoi(string(name))
	if err != nil {
		return 1 << 40 // a whole number, but beyond every array
	}
	return n
}
