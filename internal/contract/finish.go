package contract

import "slices"

// finish completes the references with annotations and lifts the marks of
// alternatives, so that a field counts as secret if any of its shapes is.
func (l *loader) finish() {
	pending := map[*Schema]wrapper{}
	for _, w := range l.later {
		pending[w.into] = w
	}
	for _, w := range l.later {
		l.follow(w, pending, 0)
	}
	l.lift()
}

func (l *loader) follow(w wrapper, pending map[*Schema]wrapper, depth int) {
	if _, open := pending[w.into]; !open {
		return
	}
	if depth > 32 {
		l.fault(w.node, "", "references go round in a circle")
		return
	}
	if next, open := pending[w.target]; open {
		l.follow(next, pending, depth+1)
	}
	delete(pending, w.into)
	*w.into = *w.target
	if t := l.text(w.node, "title"); t != "" {
		w.into.Title = t
	}
	if t := l.text(w.node, "description"); t != "" {
		w.into.Description = t
	}
	if i := l.member(w.node, "default"); i >= 0 {
		w.into.Default = l.plain(i)
	}
	if i := l.member(w.node, "example"); i >= 0 {
		w.into.Example = l.plain(i)
	}
	w.note.mark(w.into)
}

// lift gives every schema the marks of its parts and alternatives, so that a field
// counts as secret if any of its shapes is, and checks what needs finished schemas.
func (l *loader) lift() {
	all := make([]*Schema, 0, len(l.schemas)+len(l.later))
	for _, s := range l.schemas {
		all = append(all, s)
	}
	for _, w := range l.later {
		all = append(all, w.into)
	}
	state, isPart := map[*Schema]int{}, map[*Schema]bool{}
	for _, s := range all {
		l.liftOne(s, state)
		for _, part := range alternatives(s) {
			isPart[part] = true
		}
	}
	for _, s := range all {
		s.rules.secret = holdsSecret(s, 0)
		if !isPart[s] {
			l.impossible(s)
		}
	}
}

func alternatives(s *Schema) []*Schema { return slices.Concat(s.AllOf, s.AnyOf, s.OneOf, s.rules.also) }

const (
	lifting = 1
	lifted  = 2
)

func (l *loader) liftOne(s *Schema, state map[*Schema]int) {
	switch state[s] {
	case lifting:
		l.faultAt("/components/schemas", "a schema contains itself through allOf, anyOf or oneOf (%q)", firstOf(s.Title, s.Description))
		return
	case lifted:
		return
	}
	state[s] = lifting
	for _, part := range alternatives(s) {
		l.liftOne(part, state)
		s.Data = stronger(s.Data, part.Data)
		s.ID, s.URL = s.ID || part.ID, s.URL || part.URL
		s.SelectsAccount = s.SelectsAccount || part.SelectsAccount
	}
	whole := append([]*Schema{s}, alternatives(s)...)
	s.Kind, s.Grants = oneKind(whole, kindOf), oneKind(whole, grantOf)
	state[s] = lifted
}

// holdsSecret reports whether a field, or each element of it, is marked secret.
func holdsSecret(s *Schema, depth int) bool {
	if s.Data == Secret || depth > 8 {
		return s.Data == Secret
	}
	for _, items := range elements(flatten([]*Schema{s})) {
		if holdsSecret(items, depth+1) {
			return true
		}
	}
	return false
}

// impossible refuses a required name that no part lists: no value could hold it.
func (l *loader) impossible(s *Schema) {
	parts := flatten([]*Schema{s})
	for _, p := range parts {
		for _, name := range p.Required {
			if kids, _ := members(parts, name); len(kids) == 0 && !free(parts) {
				l.faultAt("/components/schemas", "%q is required but not in properties (%s)", name, inWords(propertyNames(parts)))
			}
		}
	}
}

// stronger picks the mark that asks for more care.
func stronger(a, b Sensitivity) Sensitivity {
	for _, s := range []Sensitivity{Secret, Card, Personal} {
		if a == s || b == s {
			return s
		}
	}
	return Plain
}
