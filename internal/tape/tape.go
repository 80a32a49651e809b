// Package tape is a JSON value as a flat list of nodes: the one representation of request
// and response bodies, of parameters and of API documents while they are compiled.
//
// It guarantees: Parse accepts exactly RFC 8259 in valid UTF-8 without a byte order mark,
// duplicate names (compared decoded) or lone surrogates, within the bounds of Limits, in
// time linear in the text whatever the text is; numbers stay as they were written; a tape
// that is used again allocates nothing once it has grown; an error leaves an empty tape.
// A tape built by a Builder keeps the same promises. A guided reading looks names up and
// judges kinds of values on the way; it makes the same tape.
//
// It does not know schemas, forms or what is sensitive, and compares no numbers.
package tape

import "fmt"

// Kind is the JSON type of a node. The zero Kind is no value at all.
type Kind uint8

// The kinds of JSON values.
const (
	Invalid Kind = iota
	Null
	False
	True
	Number
	String
	Array
	Object
)

// String gives the kind in the words of JSON Schema ("boolean" for True and False).
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case False, True:
		return "boolean"
	case Number:
		return "number"
	case String:
		return "string"
	case Array:
		return "array"
	case Object:
		return "object"
	}
	return "invalid"
}

// Flags say how a value or its name was written.
type Flags uint8

// The flags of a node.
const (
	Escaped    Flags = 1 << iota // the string's source has escapes
	KeyEscaped                   // the member's name has escapes in the source
	Whole                        // the number is -?digits and not -0
)

// Node is one value. Its children follow it: the first child of a container i stands at
// i+1, the one after child c at Nodes[c].Next, and the last child's Next is Nodes[i].Next.
type Node struct {
	Kind  Kind
	Flags Flags
	// Off and End span the value in Src: a string's content without its quotes, a number's
	// or literal's text, a container from its bracket to behind the closing one (0, 0 where
	// the tape is not Raw).
	Off, End uint32
	Next     uint32 // index of the node behind this value and all in it
	// KeyOff and KeyEnd span a member's name: in Src, or decoded in the tape's own memory
	// when KeyEscaped. Use Tape.Key.
	KeyOff, KeyEnd uint32
	Hash           uint32 // Hash of the decoded member name; 0 where there is no name
	Count          uint32 // elements or members; private to the tape for strings
}

// Tape is one JSON value. Nodes and Src are for reading only; node 0 is the root. The zero
// Tape is empty. A tape may be read by many goroutines at once while none writes it.
type Tape struct {
	Nodes []Node
	// Src is the text that spans point into: the bytes given to Parse, which are kept and
	// must not change while the tape is used, or memory of the tape's own.
	Src []byte
	// Raw is set when Src is the JSON text of exactly this value: containers have spans.
	Raw bool

	arena []byte // decoded names, and decoded strings behind their length
	owned bool   // Src is the tape's own memory
	spare []byte // memory for Src to be built in
	names nameTable

	// While a text is read:
	stops []byte
	open  []frame
	met   []uint64 // members that were there beyond the 64th of their rules, as bits, of all open containers
	finds Finds    // of readings that are not guided
}

// Limits bound a text; a zero field means the default.
type Limits struct {
	Bytes    int // of the text: 16 MiB; at most MaxBytes
	Depth    int // of nesting: 64
	Elements int // of one array, members of one object: 10,000
	Nodes    int // values in all: 1,048,576
	Digits   int // characters of one number: 128
	Exponent int // of one number, either sign: 308
}

// MaxBytes is the longest text whatever Limits say, so that every span fits 32 bits.
const MaxBytes = 1 << 30

func (l Limits) orDefault() Limits {
	set := func(v *int, otherwise int) {
		if *v <= 0 {
			*v = otherwise
		}
	}
	set(&l.Bytes, 16<<20)
	set(&l.Depth, 64)
	set(&l.Elements, 10_000)
	set(&l.Nodes, 1<<20)
	set(&l.Digits, 128)
	set(&l.Exponent, 308)
	l.Bytes = min(l.Bytes, MaxBytes)
	return l
}

// SyntaxError is why a text or a built value is not acceptable. Its words never hold a value.
type SyntaxError struct {
	Offset int    // in bytes from the start of the text; 0 for a built value
	What   string // what was found
	TooBig bool   // a well-formed number beyond what is compared exactly
}

// Error says what was found and where.
func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.What) }

// Empty reports whether there is no value: before the first use, after Reset or an error.
func (t *Tape) Empty() bool { return len(t.Nodes) == 0 }

// Reset empties the tape and lets go of the text; memory is kept for the next use, unless
// it has grown beyond keep bytes.
func (t *Tape) Reset(keep int) {
	if cap(t.Nodes)*nodeBytes+cap(t.arena)+cap(t.spare)+t.names.bytes()+8*cap(t.met)+cap(t.stops)+frameBytes*cap(t.open) > keep {
		*t = Tape{}
		return
	}
	t.clear()
}

const nodeBytes = 32

func (t *Tape) clear() {
	if t.owned {
		t.spare = t.Src[:0]
	}
	t.Nodes, t.Src, t.arena = t.Nodes[:0], nil, t.arena[:0]
	t.Raw, t.owned, t.names.steps = false, false, 0
}

// Key is the decoded name of member i, empty for an element or the root. It points into
// the tape and must not be changed.
func (t *Tape) Key(i int) []byte {
	n := &t.Nodes[i]
	if n.Flags&KeyEscaped != 0 {
		return t.arena[n.KeyOff:n.KeyEnd:n.KeyEnd]
	}
	return t.Src[n.KeyOff:n.KeyEnd:n.KeyEnd]
}

// Text is the decoded string i, the number as it was written, or the literal's word; nil
// for containers. It points into the tape and must not be changed.
func (t *Tape) Text(i int) []byte {
	n := &t.Nodes[i]
	switch {
	case n.Flags&Escaped != 0:
		end := n.Count + word32(t.arena[n.Count-4:])
		return t.arena[n.Count:end:end]
	case n.Kind >= Array:
		return nil
	}
	return t.Src[n.Off:n.End:n.End]
}

// Find returns the member of that name in object obj. It walks over the members: look up
// many names of one large object another way.
func (t *Tape) Find(obj int, name string) (i int, ok bool) {
	n := &t.Nodes[obj]
	if n.Kind != Object {
		return 0, false
	}
	h := Hash(name)
	for i, end := uint32(obj)+1, n.Next; i < end; i = t.Nodes[i].Next {
		if t.Nodes[i].Hash == h && string(t.Key(int(i))) == name {
			return int(i), true
		}
	}
	return 0, false
}
