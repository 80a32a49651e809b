package tape

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

const (
	hashStart = 0x9e3779b97f4a7c15
	hashWord  = 0xa0761d6478bd642f
	hashThird = 0xe7037ed1a0b428db
	hashLast  = 0x8ebc6af09c88c6e3
)

// Hash is the function of names in nodes: thirty-two bytes at once, the last piece filled up
// with zeros, so that a scan hashes a name of any usual length without a branch. It never
// changes between processes, because compiled programs are kept on disk; so names can be made
// that collide, and whoever looks names up by it must bound its probes.
func Hash[T ~string | ~[]byte](name T) uint32 { return uint32(longHash(name)) }

// HashIn is the Hash of a part of a text, quicker where there are 32 bytes from its beginning on.
func HashIn(text []byte, from, to uint32) uint32 {
	size := to - from
	if size > 32 || uint64(from)+32 > uint64(len(text)) {
		return Hash(text[from:to])
	}
	w, first := text[from:from+32], &firsts[size]
	return uint32(mix(hashStart, binary.LittleEndian.Uint64(w)&first[0], binary.LittleEndian.Uint64(w[8:])&first[1],
		binary.LittleEndian.Uint64(w[16:])&first[2], binary.LittleEndian.Uint64(w[24:])&first[3]))
}

// longHash is Hash with all its bits.
func longHash[T ~string | ~[]byte](name T) uint64 {
	h := uint64(hashStart)
	for ; len(name) > 32; name = name[32:] {
		h = mix(h, word(name), word(name[8:]), word(name[16:]), word(name[24:]))
	}
	w := heads(name)
	return mix(h, w[0], w[1], w[2], w[3])
}

// heads is a name's first 32 bytes as words, filled up with zeros.
func heads[T ~string | ~[]byte](name T) (w [4]uint64) {
	n := len(name)
	if n <= 8 {
		w[0] = word(name)
		return w
	}
	w[0], w[1] = word(name), word(name[8:])
	if n > 16 {
		w[2] = word(name[16:])
	}
	if n > 24 {
		w[3] = word(name[24:])
	}
	return w
}

// mix takes in four words; the two products do not wait for each other.
func mix(h, w0, w1, w2, w3 uint64) uint64 {
	hi, lo := bits.Mul64(h^w0, hashWord^w1)
	high, low := bits.Mul64(hashThird^w2, hashLast^w3)
	return hi ^ lo ^ high ^ low
}

// word is the first eight bytes of s, filled up with zeros.
func word[T ~string | ~[]byte](s T) uint64 {
	if len(s) >= 8 {
		return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	}
	if n := len(s); n >= 4 {
		end := s[n-4:]
		return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			(uint64(end[0])|uint64(end[1])<<8|uint64(end[2])<<16|uint64(end[3])<<24)<<(8*(n-4)&63)
	}
	var w uint64
	for i := 0; i < len(s); i++ {
		w |= uint64(s[i]) << (8 * i & 63)
	}
	return w
}

func word32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// nameTable finds the members of one object that have the same name. It is first keyed by
// Hash; where too many names meet in one place, which chance does not do, it starts again
// with a hash that the sender cannot know. So it takes linear time for any names.
type nameTable struct {
	slots []slot
	round uint32 // slots of other rounds are empty
	steps int    // taken since Parse began: inserted and passed names, for the tests' count
	seed  maphash.Seed
	keyed bool // seed is set
}

type slot struct{ round, node, hash uint32 }

func (n *nameTable) bytes() int { return 12 * cap(n.slots) }

// twin returns a member of object obj whose name stands there before, or -1.
func (t *Tape) twin(obj int) int {
	count := int(t.Nodes[obj].Count)
	if count < 2 {
		return -1
	}
	if count <= 4 {
		return t.twinOfFew(obj)
	}
	if count <= 64 && t.apart(obj) {
		return -1
	}
	if i, clear := t.twinBy(obj, false); clear {
		return i
	}
	i, _ := t.twinBy(obj, true)
	return i
}

// apart reports whether the hashes alone show that no two names of object obj are the
// same; that costs a quarter of looking them up.
func (t *Tape) apart(obj int) bool {
	var met [64]uint64
	nodes := t.Nodes
	for i, end := obj+1, int(nodes[obj].Next); i < end; i = int(nodes[i].Next) {
		h := nodes[i].Hash
		word, bit := h>>6&63, uint64(1)<<(h&63)
		if met[word]&bit != 0 {
			return false
		}
		met[word] |= bit
	}
	return true
}

func (t *Tape) twinOfFew(obj int) int {
	end := t.Nodes[obj].Next
	for i := t.Nodes[obj+1].Next; i < end; i = t.Nodes[i].Next {
		for j := uint32(obj) + 1; j < i; j = t.Nodes[j].Next {
			if t.Nodes[i].Hash == t.Nodes[j].Hash && string(t.Key(int(i))) == string(t.Key(int(j))) {
				return int(i)
			}
		}
	}
	return -1
}

// twinBy tries one of the two hashes; clear is false when it met too many collisions to go on.
func (t *Tape) twinBy(obj int, seeded bool) (member int, clear bool) {
	end, count := t.Nodes[obj].Next, t.Nodes[obj].Count
	slots, round := t.names.start(int(count))
	mask, spare := uint32(len(slots)-1), int(count)+32
	for i := uint32(obj) + 1; i < end; i = t.Nodes[i].Next {
		h := t.Nodes[i].Hash
		if seeded {
			h = uint32(maphash.Bytes(t.names.key(), t.Key(int(i))))
		}
		at := h & mask
		t.names.steps++
		for slots[at].round == round {
			if slots[at].hash == h && string(t.Key(int(i))) == string(t.Key(int(slots[at].node))) {
				return int(i), true
			}
			if spare--; spare < 0 && !seeded {
				return -1, false
			}
			at = (at + 1) & mask
			t.names.steps++
		}
		slots[at] = slot{round, i, h}
	}
	return -1, true
}

func (n *nameTable) key() maphash.Seed {
	if !n.keyed {
		n.seed, n.keyed = maphash.MakeSeed(), true
	}
	return n.seed
}

// start gives an empty table for so many names, at most half full.
func (n *nameTable) start(count int) ([]slot, uint32) {
	size := 1 << bits.Len(uint(2*count-1))
	if len(n.slots) < size {
		n.slots, n.round = make([]slot, size), 0
	}
	if n.round++; n.round == 0 {
		clear(n.slots)
		n.round = 1
	}
	return n.slots[:size], n.round
}
