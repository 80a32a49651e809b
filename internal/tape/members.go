package tape

import (
	"encoding/binary"
	"math/bits"
)

// Most of a text are members whose name has at most 32 bytes and whose value is a string or a
// literal. They are read one after the other by steps that do not depend on what they are,
// because to guess wrongly what comes next costs as much as forty steps; the first member that
// is anything else is left to read.

// cursor is where the quick way over an object's members stands, and what it needs to know.
type cursor struct {
	src, stops []byte
	nodes      []Node
	at         uint64 // behind the first quote of a name; when it ends, see way
	used       uint64 // nodes
	left       uint64 // how many members may still come behind this one

	// Of the object's rule.
	slots   []uint16
	members []Member
	other   *judge   // of members that are not listed; nil where those are strays
	met     []uint64 // which members were there, as bits
	shift   uint64

	required, unlisted uint64 // as in frame
	rule               uint64 // of a value that is left
	todo               uint64 // of later
	later              [16]todo

	digits   uint64      // at most so many of a number
	tail     [tails]byte // the end of the text, and zeros
	tailFrom uint64      // where it begins in the text
}

// todo is a value that was read and does not simply fit, or has a mark.
type todo struct {
	rule, node uint32
	act        Act
	_          uint32
}

// way is how the quick way ended.
type way uint64

const (
	atName  way = iota // there is a name that it cannot read; at is where it began
	atValue            // it read a name, but not its value; at is where that begins
	behind             // it read a value, and no name comes next; at is behind the value
)

// ahead is how many bytes of text are looked at from a name's first byte on: a name of at
// most 32, its quote, the colon, a space, and 17 bytes of the value.
const ahead = 56

// endLen is how much of the text's end is copied, so that as much may be looked at there.
const (
	endLen = 64
	tails  = endLen + ahead
)

func (c *cursor) start(src, stops []byte, lim *Limits) {
	c.src, c.stops, c.digits = src, stops, uint64(min(16, lim.Digits))
	from := max(0, len(src)-endLen)
	c.tailFrom = uint64(from)
	copy(c.tail[:], src[from:])
}

// start is what a value's first byte says of strings and literals. Of every other value word
// and mask say that it is none of them.
type start struct {
	word, mask uint64 // of the value's first bytes
	stop       uint64 // a mask: where the value's end depends on the next stop
	size       uint64 // bytes, without those before that stop
	quote      uint32 // 1 for a string
	notString  uint32 // a mask
	shift      uint8  // of a rule's acts
	last       byte   // the value's last byte
	kind       Kind
	what       uint8
	_          [20]byte // fills a line of the processor's cache
}

var starts = func() (c [256]start) {
	for k := range c {
		c[k] = start{word: 1, what: noValue}
	}
	set := func(bytes string, what uint8) {
		for _, b := range []byte(bytes) {
			c[b].what = what
		}
	}
	set(" \t\n\r", aSpace)
	set("{[", aContainer)
	set("123456789", aDigit)
	set("-0", aNumber)
	c['"'] = start{stop: 63, size: 2, quote: 1, last: '"', shift: 2 * uint8(String), kind: String, what: aString}
	literal := func(word uint64, size uint64, last byte, kind Kind) start {
		return start{word: word, mask: 1<<(8*size) - 1, size: size, last: last, shift: 2 * uint8(kind), kind: kind, what: aLiteral, notString: 1<<32 - 1}
	}
	c['n'] = literal('n'|'u'<<8|'l'<<16|'l'<<24, 4, 'l', Null)
	c['t'] = literal('t'|'r'<<8|'u'<<16|'e'<<24, 4, 'e', True)
	c['f'] = literal('f'|'a'<<8|'l'<<16|'s'<<24|'e'<<32, 5, 'e', False)
	return c
}()

// portableMembers reads members as long as it can. It relies on stops, and on room for a node.
func portableMembers(c *cursor) way {
	src, stops, i := c.src, c.stops, c.at
	text, base := src, uint64(0)
	for {
		if i+ahead > uint64(len(src)) {
			if i >= uint64(len(src)) {
				c.at = i
				return atName
			}
			text, base = c.tail[:], c.tailFrom
		}
		window := text[i-base : i-base+ahead]
		size := zerosBelow(binary.LittleEndian.Uint64(stops[i>>3:]) >> (i & 7))
		if size > 32 || binary.LittleEndian.Uint16(window[size:]) != '"'|':'<<8 {
			c.at = i
			return atName
		}
		first := &firsts[size]
		w0 := binary.LittleEndian.Uint64(window) & first[0]
		w1 := binary.LittleEndian.Uint64(window[8:]) & first[1]
		w2 := binary.LittleEndian.Uint64(window[16:]) & first[2]
		w3 := binary.LittleEndian.Uint64(window[24:]) & first[3]
		hash := mix(hashStart, w0, w1, w2, w3)
		j := c.other
		if k := uint64(c.slots[(hash>>(c.shift&63))&uint64(len(c.slots)-1)]); k != 0 {
			m := &c.members[k-1]
			seen := &c.met[(k-1)>>6]
			bit := uint64(1) << ((k - 1) & 63)
			if (m.head[0]^w0)|(m.head[1]^w1)|(m.head[2]^w2)|(m.head[3]^w3)|uint64(m.size^uint32(size))|*seen&bit != 0 || m.Rule == Stray {
				c.at = i
				return atName
			}
			*seen |= bit
			c.required += uint64(m.Required)
			j = &m.judge
		} else if j == nil {
			c.at = i
			return atName
		} else {
			c.unlisted++
		}
		at := size + 2
		if window[at] == ' ' {
			at++
		}
		is := &starts[window[at]]
		word := binary.LittleEndian.Uint64(window[at:])
		from := i + at
		to := from + is.size + zerosBelow(binary.LittleEndian.Uint64(stops[(from+1)>>3:])>>((from+1)&7))&is.stop
		n := &c.nodes[c.used]
		n.KeyOff, n.KeyEnd, n.Hash = uint32(i), uint32(i+size), uint32(hash)
		var act Act
		if to < uint64(len(src)) && (word^is.word)&is.mask|uint64(src[to-1]^is.last) == 0 {
			n.Kind, n.Flags = is.kind, 0
			n.Off, n.End = uint32(from)+is.quote, uint32(to)-is.quote
			short := int64(uint32(to-from-2)|is.notString) - int64(j.Short) // below zero: a string that fits
			act = Act(j.Acts>>is.shift&3) &^ Act(short>>63)
		} else {
			if is.what == aDigit {
				to = from + 1 + digitsFirst(window[at+1:])
			}
			if is.what != aDigit || to-from > c.digits || to >= uint64(len(src)) || !endsNumber(src[to]) {
				n.Flags = 0
				c.at, c.rule = from, uint64(j.rule)
				return atValue
			}
			n.Kind, n.Flags = Number, Whole
			n.Off, n.End = uint32(from), uint32(to)
			act = Act(j.Acts>>(2*wholeNumber)) & 3
		}
		n.Count, n.Next = 0, uint32(c.used+1)
		if uint32(act)|j.Mark != 0 {
			c.later[c.todo&15] = todo{rule: j.rule, node: uint32(c.used), act: act}
			c.todo++
		}
		c.used++
		i = to
		if src[i] != ',' {
			break
		}
		if to++; to < uint64(len(src)) && src[to] <= ' ' {
			to = uint64(skip(src, int(to)))
		}
		if to >= uint64(len(src)) || src[to] != '"' || c.left == 0 || c.used >= uint64(len(c.nodes)) || c.todo == 16 {
			break
		}
		c.left--
		i = to + 1
	}
	c.at = i
	return behind
}

// digitsFirst is how many of the first 16 bytes are digits, until there is another.
func digitsFirst(text []byte) uint64 {
	n := zerosBelow(nonDigits(binary.LittleEndian.Uint64(text))) / 8
	if n == 8 {
		n += zerosBelow(nonDigits(binary.LittleEndian.Uint64(text[8:]))) / 8
	}
	return n
}

// endsNumber reports whether a number may end before a byte; whoever reads on refuses what
// cannot stand behind any value.
func endsNumber(c byte) bool { return c <= ',' && c != '+' || c == '}' || c == ']' }

// zerosBelow is how many bits are below the lowest that is set. Counting bits is quicker than
// finding one on many processors.
func zerosBelow(w uint64) uint64 { return uint64(bits.OnesCount64((w - 1) &^ w)) }
