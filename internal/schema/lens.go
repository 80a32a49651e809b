package schema

import "sallyport/internal/tape"

// Lens is what a caller sees at one place: all of it, or some members. nil sees nothing.
// A lens is built once and is then read only.
type Lens struct {
	All     bool // everything below, except what is marked secret
	Secrets bool // and that too
	Kids    map[string]*Lens
	Every   *Lens // each element of an array

	few []fewKid // Kids once more where they are few, for quick looking up
}

type fewKid struct {
	hash uint32
	name string
	lens *Lens
}

// fewKids is how many names are found faster one after the other than in a map.
const fewKids = 12

var (
	everything = &Lens{All: true, Secrets: true}
	allPublic  = &Lens{All: true}
)

// Everything is the lens that sees all, secrets too. It must not be changed.
func Everything() *Lens { return everything }

// Whole reports whether a value itself is seen, not only members of it.
func (l *Lens) Whole() bool { return l != nil && l.All }

// clear reports whether everything below is seen, whatever its names and marks.
func (l *Lens) clear() bool {
	return l != nil && l.All && l.Secrets && len(l.Kids) == 0 && l.Every == nil
}

// Child is what is seen of a member; nil: nothing. A secret member is seen only where it
// is named, or where secrets are.
func (l *Lens) Child(name []byte, secret bool) *Lens {
	if l == nil {
		return nil
	}
	if kid, ok := l.Kids[string(name)]; ok {
		return kid
	}
	switch {
	case !l.All || secret && !l.Secrets:
		return nil
	case l.Secrets:
		return everything
	}
	return allPublic
}

// child is Child for a member on a tape.
func (l *Lens) child(t *tape.Tape, i uint32, secret bool) *Lens {
	if l == nil || len(l.Kids) > 0 && len(l.few) != len(l.Kids) {
		return l.Child(t.Key(int(i)), secret)
	}
	hash := t.Nodes[i].Hash
	for k := range l.few {
		if l.few[k].hash == hash && l.few[k].name == string(t.Key(int(i))) {
			return l.few[k].lens
		}
	}
	switch {
	case !l.All || secret && !l.Secrets:
		return nil
	case l.Secrets:
		return everything
	}
	return allPublic
}

// Element is what is seen of each element of an array; nil: nothing.
func (l *Lens) Element() *Lens {
	switch {
	case l == nil:
		return nil
	case l.Every != nil:
		return l.Every
	case l.All && l.Secrets:
		return everything
	case l.All:
		return allPublic
	}
	return nil
}

// Grow returns the lens of a member, made where there is none. With an empty name and
// every set it is that of each element.
func (l *Lens) Grow(name string, every bool) *Lens {
	if every {
		if l.Every == nil {
			l.Every = &Lens{}
		}
		return l.Every
	}
	if l.Kids == nil {
		l.Kids = map[string]*Lens{}
	}
	if l.Kids[name] == nil {
		l.Kids[name] = &Lens{}
	}
	return l.Kids[name]
}

// Spread hands All and Secrets down to what is named below, so that naming a field and a
// secret inside it gives both. Call it once on the root of a finished lens.
func (l *Lens) Spread() {
	l.few = l.few[:0]
	for name, kid := range l.Kids {
		kid.inherit(l)
		if len(l.Kids) <= fewKids {
			l.few = append(l.few, fewKid{tape.Hash(name), name, kid})
		}
	}
	if l.Every != nil {
		l.Every.inherit(l)
	}
}

func (l *Lens) inherit(up *Lens) {
	l.All = l.All || up.All
	l.Secrets = l.Secrets || up.Secrets
	l.Spread()
}
