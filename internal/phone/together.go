package phone

import "slices"

// pattern is one of a plan: what it fits, and how many digits it may have (none named: any).
type pattern struct {
	lengths []int32
	digits  digits
}

func (p *pattern) fits(national string) bool {
	return (len(p.lengths) == 0 || slices.Contains(p.lengths, int32(len(national)))) && p.digits.whole(national)
}

// together asks all patterns of a plan at once: one table whose states stand for those of all
// of them, so that a number is read once and not once for each.
type together struct {
	next    [][10]uint16
	fits    []uint16       // by state: the patterns that fit where the number ends
	lengths [maxLen]uint16 // by length: the patterns that allow it
	apart   []pattern      // where there is no table
}

// maxLen is more digits than any number has.
const maxLen = 18

func merged(list []pattern) (t together) {
	for i := range list {
		for n := range t.lengths {
			if len(list[i].lengths) == 0 || slices.Contains(list[i].lengths, int32(n)) {
				t.lengths[n] |= 1 << i
			}
		}
	}
	if !t.fill(list) {
		return together{apart: list}
	}
	return t
}

func (t *together) fill(list []pattern) bool {
	type places [16]uint16
	var first places
	for i := range list {
		if list[i].digits.other != nil {
			return false
		}
		first[i] = 1
	}
	numbers, all := map[places]uint16{{}: 0, first: 1}, []places{{}, first}
	t.next, t.fits = make([][10]uint16, 2), make([]uint16, 2)
	for at := 1; at < len(all); at++ {
		if at > maxStates {
			return false
		}
		for i := range list {
			if list[i].digits.fits[all[at][i]] {
				t.fits[at] |= 1 << i
			}
		}
		for digit := range 10 {
			var to places
			for i := range list {
				to[i] = list[i].digits.next[all[at][i]][digit]
			}
			n, known := numbers[to]
			if !known {
				n = uint16(len(all))
				numbers[to], all = n, append(all, to)
				t.next, t.fits = append(t.next, [10]uint16{}), append(t.fits, 0)
			}
			t.next[at][digit] = n
		}
	}
	return true
}

// which are the patterns that a national number fits, by their places; it holds digits only.
func (t *together) which(national string) (fits uint16) {
	if t.apart != nil {
		for i := range t.apart {
			if t.apart[i].fits(national) {
				fits |= 1 << i
			}
		}
		return fits
	}
	if len(national) >= maxLen {
		return 0
	}
	at := uint16(1)
	for i := 0; i < len(national) && at != 0; i++ {
		at = t.next[at][national[i]-'0']
	}
	return t.fits[at] & t.lengths[len(national)]
}
