package outbound

import (
	"cmp"
	"slices"
)

// schedule counts the calls that stop counting at the beginning of a slot, in the order
// of slots. It holds only slots that count something: a bucket that sees few calls costs
// few bytes, and none more than the slots of its window. The zero schedule is ready.
type schedule []ending

type ending struct{ slot, calls int64 }

func (s schedule) find(slot int64) (int, bool) {
	if n := len(s); n > 0 && s[n-1].slot < slot { // as a rule the newest is the latest
		return n, false
	}
	return slices.BinarySearchFunc(s, slot, func(e ending, slot int64) int { return cmp.Compare(e.slot, slot) })
}

func (s *schedule) add(slot int64) {
	i, ok := s.find(slot)
	if !ok {
		*s = slices.Insert(*s, i, ending{slot: slot})
	}
	(*s)[i].calls++
}

// remove takes one call of a slot out; false: there is none.
func (s *schedule) remove(slot int64) bool {
	i, ok := s.find(slot)
	if !ok {
		return false
	}
	if (*s)[i].calls--; (*s)[i].calls == 0 {
		*s = slices.Delete(*s, i, i+1)
	}
	return true
}

// until drops the slots up to now and returns how many calls they counted.
func (s *schedule) until(now int64) int {
	n, calls := 0, int64(0)
	for n < len(*s) && (*s)[n].slot <= now {
		calls += (*s)[n].calls
		n++
	}
	if n > 0 {
		*s = slices.Delete(*s, 0, n)
	}
	return int(calls)
}

func (s schedule) first() (slot int64, ok bool) {
	if len(s) == 0 {
		return 0, false
	}
	return s[0].slot, true
}
