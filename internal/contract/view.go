package contract

import "fmt"

// View is which fields of an answer a caller receives. It is immutable and safe for
// concurrent use; nil means every field that the contract knows.
type View struct {
	paths []Path
	root  *lens
}

// Paths lists what was asked for. The slice must not be changed.
func (v *View) Paths() []Path { return v.paths }

// lens is what is seen at one place: all of it, or some members.
type lens struct {
	all     bool // everything below, except what is marked secret
	secrets bool // and that too
	kids    map[string]*lens
	every   *lens
}

// everything sees all.
var everything = &lens{all: true, secrets: true}

// whole reports whether a value itself is seen, not only members of it.
func (l *lens) whole() bool { return l != nil && l.all }

// child is what is seen of a member; nil: nothing.
func (l *lens) child(name string, secret bool) *lens {
	if l == nil {
		return nil
	}
	if kid, ok := l.kids[name]; ok {
		return kid
	}
	if !l.all || secret && !l.secrets {
		return nil
	}
	return &lens{all: true, secrets: l.secrets}
}

func (l *lens) element() *lens {
	switch {
	case l == nil:
		return nil
	case l.every != nil:
		return l.every
	case l.all:
		return l
	}
	return nil
}

// secret reports whether a member must be named to be seen.
func secret(kids []*Schema) bool {
	for _, s := range kids {
		if s.rules.secret {
			return true
		}
	}
	return false
}

// View makes a view of the success answer. nil returns everything that the contract
// knows. A path names a field with all below it; fields marked secret are seen only
// when they are named themselves. Elements of arrays are written data[].id, because a
// single element cannot be cut out of an array without moving the others.
func (o *Operation) View(returns []Path) (*View, error) {
	if returns == nil {
		return nil, nil
	}
	root := &lens{}
	s := o.Schema(o.success)
	for _, p := range returns {
		field, err := o.LookupReply(p)
		if err != nil {
			return nil, err
		}
		steps := p.steps
		if rootName(s) != "" {
			steps = steps[1:]
		}
		l := root
		for _, step := range steps {
			if step.Name == "" && step.Index != Every {
				return nil, fmt.Errorf("%s: write [] for every element instead of [%d]", p, step.Index)
			}
			l = l.grow(step)
		}
		l.all, l.secrets = true, l.secrets || field.rules.secret
	}
	root.spread()
	return &View{paths: returns, root: root}, nil
}

func (l *lens) grow(step Step) *lens {
	if step.Name == "" {
		if l.every == nil {
			l.every = &lens{}
		}
		return l.every
	}
	if l.kids == nil {
		l.kids = map[string]*lens{}
	}
	if l.kids[step.Name] == nil {
		l.kids[step.Name] = &lens{}
	}
	return l.kids[step.Name]
}

// spread hands "all" down to what is named below it, so that naming a field and a
// secret inside it gives both.
func (l *lens) spread() {
	for _, kid := range l.kids {
		kid.all = kid.all || l.all
		kid.secrets = kid.secrets || l.secrets
		kid.spread()
	}
	if l.every != nil {
		l.every.all = l.every.all || l.all
		l.every.secrets = l.every.secrets || l.secrets
		l.every.spread()
	}
}
