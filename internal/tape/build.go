package tape

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Builder writes a tape from another source than JSON text: a form, XML, a Go tree. The
// first fault is kept and told by Done; calls after it do nothing. A built tape has
// decoded text only: no node is Escaped, and the tape is not Raw.
type Builder struct {
	t      *Tape
	lim    Limits
	open   uint32
	depth  int
	name   Node // the name of the next member
	named  bool
	closed bool // the root is complete
	err    error
}

// Start empties t and begins to write its value; the zero Limits are the defaults.
func (b *Builder) Start(t *Tape, lim Limits) {
	t.clear()
	t.Src, t.owned, t.spare = t.spare[:0], true, nil
	*b = Builder{t: t, lim: lim.orDefault(), open: none}
}

// Done ends the value. After an error the tape is empty; the error is a *SyntaxError
// where the source is to blame.
func (b *Builder) Done() error {
	if b.err == nil && !b.closed {
		b.err = fmt.Errorf("build a tape: the value is not complete")
	}
	if b.err != nil {
		b.t.clear()
	}
	return b.err
}

// Err is the first fault so far.
func (b *Builder) Err() error { return b.err }

func (b *Builder) fail(what string) { b.failBig(what, false) }

func (b *Builder) failBig(what string, tooBig bool) {
	if b.err == nil {
		b.err = &SyntaxError{What: what, TooBig: tooBig}
	}
}

// text appends s to the tape's memory and says where it stands.
func text[T ~string | ~[]byte](b *Builder, s T) (from, to uint32) {
	from = uint32(len(b.t.Src))
	if len(b.t.Src)+len(s) > b.lim.Bytes {
		b.fail(fmt.Sprintf("a text of more than %d bytes", b.lim.Bytes))
		return from, from
	}
	b.t.Src = append(b.t.Src, s...)
	if added := b.t.Src[from:]; !ascii(added) && !utf8.Valid(added) {
		b.fail("not valid UTF-8")
	}
	return from, uint32(len(b.t.Src))
}

// ascii is what most names and values are; it is found faster than UTF-8 is checked.
func ascii(s []byte) bool {
	for len(s) >= 8 {
		if binary.LittleEndian.Uint64(s)&highs != 0 {
			return false
		}
		s = s[8:]
	}
	var all byte
	for _, c := range s {
		all |= c
	}
	return all < utf8.RuneSelf
}

// Key names the next member; the bytes are copied.
func (b *Builder) Key(name []byte) { key(b, name) }

// KeyHashed is Key for a name whose Hash is known.
func (b *Builder) KeyHashed(name []byte, hash uint32) {
	if b.nameable() {
		b.name.KeyOff, b.name.KeyEnd = text(b, name)
		b.name.Hash = hash
	}
}

// Append puts a text into the tape's memory, for names and values that are parts of it, and
// says where it begins there. A part must begin and end between characters.
func (b *Builder) Append(s []byte) (at uint32) {
	if b.err == nil {
		at, _ = text(b, s)
	}
	return at
}

// KeyAt is KeyHashed for a part of what was appended.
func (b *Builder) KeyAt(from, to, hash uint32) {
	if b.nameable() {
		b.name = Node{KeyOff: from, KeyEnd: to, Hash: hash}
	}
}

// StringAt adds a string that is a part of what was appended.
func (b *Builder) StringAt(from, to uint32) { b.add(Node{Kind: String, Off: from, End: to}) }

// NumberAt is Number for a part of what was appended.
func (b *Builder) NumberAt(from, to uint32) {
	if b.err == nil {
		if f, ok := b.number(b.t.Src[from:to]); ok {
			b.add(Node{Kind: Number, Flags: f, Off: from, End: to})
		}
	}
}

// KeyString names the next member.
func (b *Builder) KeyString(name string) { key(b, name) }

func key[T ~string | ~[]byte](b *Builder, name T) {
	if !b.nameable() {
		return
	}
	b.name.KeyOff, b.name.KeyEnd = text(b, name)
	b.name.Hash = Hash(name)
}

// nameable reports whether a name may stand here, and takes it as given.
func (b *Builder) nameable() bool {
	switch {
	case b.err != nil:
		return false
	case b.named || b.open == none || b.t.Nodes[b.open].Kind != Object:
		b.err = fmt.Errorf("build a tape: a name where no member begins")
		return false
	}
	b.named = true
	return true
}

// add appends a node below the open container.
func (b *Builder) add(n Node) {
	if b.err != nil {
		return
	}
	if len(b.t.Nodes) >= b.lim.Nodes {
		b.fail(fmt.Sprintf("more than %d values", b.lim.Nodes))
		return
	}
	if b.open == none {
		if b.closed {
			b.err = fmt.Errorf("build a tape: a second value")
			return
		}
		b.closed = n.Kind < Array
	} else if !b.below(&n) {
		return
	}
	if n.Kind < Array {
		n.Next = uint32(len(b.t.Nodes) + 1)
	}
	b.t.Nodes = append(b.t.Nodes, n)
}

func (b *Builder) below(n *Node) bool {
	box := &b.t.Nodes[b.open]
	if object := box.Kind == Object; object != b.named {
		b.err = fmt.Errorf("build a tape: a member without a name, or an element with one")
		return false
	}
	if box.Count++; box.Count > uint32(b.lim.Elements) {
		if box.Kind == Object {
			b.fail(fmt.Sprintf("an object of more than %d names", b.lim.Elements))
		} else {
			b.fail(fmt.Sprintf("an array of more than %d elements", b.lim.Elements))
		}
		return false
	}
	if b.named {
		n.KeyOff, n.KeyEnd, n.Hash = b.name.KeyOff, b.name.KeyEnd, b.name.Hash
		b.named = false
	}
	return true
}

// BeginObject opens an object; its members follow, then End.
func (b *Builder) BeginObject() { b.begin(Object) }

// BeginArray opens an array; its elements follow, then End.
func (b *Builder) BeginArray() { b.begin(Array) }

func (b *Builder) begin(k Kind) {
	if b.depth++; b.depth > b.lim.Depth {
		b.fail(fmt.Sprintf("nested deeper than %d levels", b.lim.Depth))
		return
	}
	at := uint32(len(b.t.Nodes))
	b.add(Node{Kind: k, Next: b.open})
	b.open = at
}

// End closes what was opened last.
func (b *Builder) End() {
	switch {
	case b.err != nil:
		return
	case b.open == none || b.named:
		b.err = fmt.Errorf("build a tape: nothing to end here")
		return
	}
	box := &b.t.Nodes[b.open]
	parent := box.Next
	box.Next = uint32(len(b.t.Nodes))
	if box.Kind == Object {
		if i := b.t.twin(int(b.open)); i >= 0 {
			b.fail("the name " + ShowName(string(b.t.Key(i))) + " stands twice in one object")
			return
		}
	}
	b.open = parent
	b.depth--
	b.closed = parent == none
}

// String adds a string.
func (b *Builder) String(s string) { scalar(b, String, 0, s) }

// Bytes adds a string; the bytes are copied.
func (b *Builder) Bytes(s []byte) { scalar(b, String, 0, s) }

func scalar[T ~string | ~[]byte](b *Builder, k Kind, f Flags, s T) {
	if b.err != nil {
		return
	}
	n := Node{Kind: k, Flags: f}
	n.Off, n.End = text(b, s)
	b.add(n)
}

// Number adds a number as it is written; text that JSON does not allow is a fault.
func (b *Builder) Number(s []byte) {
	if f, ok := b.number(s); ok {
		scalar(b, Number, f, s)
	}
}

// number reads the grammar of a number.
func (b *Builder) number(s []byte) (f Flags, ok bool) {
	if len(s) == 0 || s[0] != '-' && s[0]-'0' > 9 {
		b.fail("a number that JSON does not allow")
		return 0, false
	}
	end, whole, err := number(s, 0, &b.lim)
	switch {
	case err != nil:
		fault := err.(*SyntaxError)
		b.failBig(fault.What, fault.TooBig)
		return 0, false
	case end != len(s):
		b.fail("a number that JSON does not allow")
		return 0, false
	case whole:
		f = Whole
	}
	return f, true
}

// Bool adds true or false.
func (b *Builder) Bool(v bool) {
	if v {
		scalar(b, True, 0, "true")
		return
	}
	scalar(b, False, 0, "false")
}

// Null adds null.
func (b *Builder) Null() { scalar(b, Null, 0, "null") }

// Value adds a Go tree: string, json.Number, bool, nil, Go integers and floats, []any,
// map[string]any (its members in the order of their names), []string and map[string]string;
// anything else by its JSON form.
func (b *Builder) Value(v any) {
	switch v := v.(type) {
	case nil:
		b.Null()
	case string:
		b.String(v)
	case json.Number:
		b.Number([]byte(v))
	case bool:
		b.Bool(v)
	case int:
		b.Number(strconv.AppendInt(nil, int64(v), 10))
	case int64:
		b.Number(strconv.AppendInt(nil, v, 10))
	case []any:
		list(b, v)
	case []string:
		list(b, v)
	case map[string]any:
		members(b, v)
	case map[string]string:
		members(b, v)
	default:
		b.foreign(v)
	}
}

func list[E any](b *Builder, v []E) {
	b.BeginArray()
	for i := range v {
		if b.err != nil {
			return
		}
		b.Value(v[i])
	}
	b.End()
}

func members[E any](b *Builder, v map[string]E) {
	b.BeginObject()
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if b.err != nil {
			return
		}
		b.KeyString(name)
		b.Value(v[name])
	}
	b.End()
}

func (b *Builder) foreign(v any) {
	src, err := json.Marshal(v)
	if err != nil {
		b.err = fmt.Errorf("build a tape: a value of a type that JSON does not have: %w", err)
		return
	}
	var t Tape
	if err := t.Parse(src, b.lim); err != nil {
		b.fail(err.(*SyntaxError).What)
		return
	}
	b.Copy(&t, 0)
}

// Copy adds value i of another tape.
func (b *Builder) Copy(from *Tape, i int) {
	if b.err != nil {
		return
	}
	switch n := &from.Nodes[i]; n.Kind {
	case Array, Object:
		b.begin(n.Kind)
		for c := i + 1; c < int(n.Next) && b.err == nil; c = int(from.Nodes[c].Next) {
			if n.Kind == Object {
				b.Key(from.Key(c))
			}
			b.Copy(from, c)
		}
		b.End()
	default:
		scalar(b, n.Kind, n.Flags&Whole, from.Text(i))
	}
}
