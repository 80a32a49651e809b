package schema

import (
	"encoding/binary"

	"sallyport/internal/tape"
)

// dirt lists the nodes, in their order, that do not simply stay: what is written is the text
// with them taken out, so that writers look at little else.
type dirt []uint32

// next is the first node of the list from i on; noLimit: there is none.
func (d dirt) next(i uint32) uint32 {
	low, high := 0, len(d)
	for low < high {
		if mid := (low + high) / 2; d[mid] < i {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == len(d) {
		return noLimit
	}
	return d[low]
}

// below reports whether any node of the list lies in a container that ends before next.
func (d dirt) below(i, next uint32) bool { return d.next(i+1) < next }

// skip goes from child k of a container over all that have nothing of the list in them. last
// is the last of them, 0 where there is none; next is the one behind it.
func (d dirt) skip(nodes []tape.Node, k, end uint32) (last, next uint32) {
	at := d.next(k)
	if at >= end {
		at = noLimit
	}
	for k < end && at >= nodes[k].Next {
		last, k = k, nodes[k].Next
	}
	return last, k
}

const (
	allKnown8 = 0x0101010101010101 * uint64(known)
	byte8     = 0x0101010101010101
)

// findDirt lists the nodes that are unknown, or bad, or have one of some marks.
func (m *Machine) findDirt(marks Mark) dirt {
	out := m.dirty[:0]
	i, end := int(m.at), int(m.nodes[m.at].Next)
	marked := marks != 0 && len(m.marks) > 0
	for ; i < end; i++ {
		for i+8 <= end && binary.LittleEndian.Uint64(m.state[i:]) == allKnown8 &&
			(!marked || binary.LittleEndian.Uint64(m.marks[i:])&(byte8*uint64(marks)) == 0) {
			i += 8
		}
		if i < end && (m.state[i] != known || marked && m.marks[i]&uint8(marks) != 0) {
			out = append(out, uint32(i))
		}
	}
	m.dirty = out
	return out
}

// appendRun writes the children of a container from first to last, as they stand in the text.
// A name that has escapes there is written anew where it begins the piece.
func appendRun(dst []byte, t *tape.Tape, first, last uint32) []byte {
	from, ok := t.Member(int(first))
	if !ok {
		dst = append(tape.AppendString(dst, t.Key(int(first))), ':')
		from, _ = t.Span(int(first))
	}
	_, to := t.Span(int(last))
	return append(dst, t.Src[from:to]...)
}
