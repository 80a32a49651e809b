package contract

import (
	"iter"
	"slices"

	"sallyport/internal/tape"
)

// kids gives the nodes of a container's elements or members.
func kids(t *tape.Tape, i int) iter.Seq[int] {
	return func(yield func(int) bool) {
		if t.Nodes[i].Kind < tape.Array {
			return
		}
		for kid, end := i+1, int(t.Nodes[i].Next); kid < end; kid = int(t.Nodes[kid].Next) {
			if !yield(kid) {
				return
			}
		}
	}
}

// without is a tape without some of its members and elements, given in ascending order; the
// tape itself where there are none.
func without(t *tape.Tape, drop []int, lim tape.Limits) *tape.Tape {
	if len(drop) == 0 {
		return t
	}
	var b tape.Builder
	out := new(tape.Tape)
	b.Start(out, lim)
	copyWithout(&b, t, 0, drop)
	if b.Done() != nil {
		return nil // a part of what a tape holds fits a tape
	}
	return out
}

func copyWithout(b *tape.Builder, t *tape.Tape, i int, drop []int) {
	n := &t.Nodes[i]
	switch n.Kind {
	case tape.Array:
		b.BeginArray()
	case tape.Object:
		b.BeginObject()
	default:
		b.Copy(t, i)
		return
	}
	for kid := range kids(t, i) {
		if _, dropped := slices.BinarySearch(drop, kid); dropped {
			continue
		}
		if n.Kind == tape.Object {
			b.Key(t.Key(kid))
		}
		copyWithout(b, t, kid, drop)
	}
	b.End()
}
