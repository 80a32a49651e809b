package typescript

import (
	"slices"

	"sallyport/internal/contract"
)

// lens is what a caller sees at one place of an answer: all of it, or some members. It
// is made of paths by the rules of contract.View, which a test holds it against. nil
// sees nothing.
type lens struct {
	all     bool // everything below, except what is marked secret
	secrets bool // and that too
	kids    map[string]*lens
	every   *lens
}

func (l *lens) whole() bool { return l != nil && l.all }

// The two lenses below a place that is seen as a whole: one each, so that a reader knows
// them again.
var (
	seesAll     = &lens{all: true, secrets: true}
	seesRegular = &lens{all: true}
)

func (l *lens) child(name string, secret bool) *lens {
	if kid, ok := l.kids[name]; ok {
		return kid
	}
	switch {
	case !l.all || secret && !l.secrets:
		return nil
	case l.secrets:
		return seesAll
	}
	return seesRegular
}

func (l *lens) element() *lens {
	switch {
	case l.every != nil:
		return l.every
	case l.all:
		return l
	}
	return nil
}

// view is the lens of what a rule returns.
func view(op *contract.Operation, returns []contract.Path) *lens {
	root := &lens{}
	object := answersObject(op)
	for _, p := range returns {
		steps := p.Steps()
		if !object {
			steps = steps[1:] // its name is "body"
		}
		l := root
		for _, step := range steps {
			l = l.grow(step)
		}
		field, err := op.LookupReply(p)
		l.all, l.secrets = true, l.secrets || err == nil && holdsSecret([]*contract.Schema{field})
	}
	root.spread()
	return root
}

func answersObject(op *contract.Operation) bool {
	return slices.ContainsFunc(flatten([]*contract.Schema{op.Schema(op.SuccessStatus())}), func(s *contract.Schema) bool {
		anything := len(s.Types)+len(s.Enum)+len(s.AllOf)+len(s.AnyOf)+len(s.OneOf) == 0 && s.Items == nil && !s.HasConst && !s.Nullable
		return slices.Contains(s.Types, "object") || len(s.Properties) > 0 || anything
	})
}

func (l *lens) grow(step contract.Step) *lens {
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

// spread hands "all" down to what is named below it.
func (l *lens) spread() {
	below := func(kid *lens) {
		kid.all, kid.secrets = kid.all || l.all, kid.secrets || l.secrets
		kid.spread()
	}
	for _, kid := range l.kids {
		below(kid)
	}
	if l.every != nil {
		below(l.every)
	}
}

// result is what comes back of an operation: nothing (null), or the fields that a rule
// returns, for each way in which the call can succeed.
func result(op *contract.Operation, returns []contract.Path) *shape {
	seen := view(op, returns)
	r := newReader(false, false)
	var all []*shape
	for _, status := range op.Successes() {
		got := reading{misses: true}
		if s := op.Schema(status); s != nil {
			got = r.value([]*contract.Schema{s}, seen)
		}
		if all = append(all, got.shape); got.misses {
			all = append(all, wordOf("null"))
		}
	}
	return orUnknown(unionOf(all...))
}
