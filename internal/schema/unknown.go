package schema

import "sallyport/internal/tape"

// maxUnknown is how many unknown places are named.
const maxUnknown = 20

// unknowns names the places that the schema does not know, each once. Answers of one
// operation mostly have the same ones: the list of the last time is given again where it is
// still right, so that nothing is allocated. Whoever writes the reduced value notes the places
// on the way; where he did not go, or the list changes, a walk over the value finds them.
type unknowns struct {
	m     *Machine
	list  []string
	met   uint32 // of list, as bits
	fresh bool   // list is being made
	other bool   // a place that is not in list was met, or list is full
}

// done gives the list; missed: not every place was noted.
func (u *unknowns) done(missed bool) []string {
	m := u.m
	if missed {
		*u = unknowns{m: m, list: m.strange}
		u.walk(m.at)
	}
	if u.other || u.met != 1<<len(u.list)-1 {
		*u = unknowns{m: m, fresh: true}
		u.walk(m.at)
		m.strange = u.list
	}
	return u.list
}

// walk looks at what is in a container; m.text holds its own place.
func (u *unknowns) walk(i uint32) {
	m := u.m
	if i == m.at {
		m.text = m.text[:0]
	}
	box, base := &m.nodes[i], len(m.text)
	if box.Kind < tape.Array {
		return
	}
	for k := i + 1; k < box.Next && !u.other; k = m.nodes[k].Next {
		if _, k = m.dirty.skip(m.nodes, k, box.Next); k >= box.Next {
			break
		}
		s := m.state[k]
		if s&bad != 0 || s == known && !m.dirty.below(k, m.nodes[k].Next) {
			continue
		}
		m.text = appendStep(m.text, m.t, box.Kind, k)
		if s&known == 0 {
			u.note()
		} else {
			u.walk(k)
		}
		m.text = m.text[:base]
	}
}

// note takes in the place in m.text.
func (u *unknowns) note() {
	for k := range u.list {
		if u.list[k] == string(u.m.text) {
			u.met |= 1 << k
			return
		}
	}
	if u.fresh && len(u.list) < maxUnknown {
		u.list = append(u.list, string(u.m.text))
		return
	}
	u.other = true
}

// appendStep appends the name of a member, or that it is any element, by what it is in.
func appendStep(dst []byte, t *tape.Tape, box tape.Kind, k uint32) []byte {
	if box == tape.Array {
		return append(dst, "[]"...)
	}
	return appendName(dst, t.Key(int(k)))
}

// appendName is writeName at the end of a place.
func appendName(dst, name []byte) []byte {
	if !oddName(name) {
		if len(dst) > 0 {
			dst = append(dst, '.')
		}
		return append(dst, name...)
	}
	return append(append(append(dst, '{'), tape.ShowName(string(name))...), '}')
}
