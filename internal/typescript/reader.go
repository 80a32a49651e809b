package typescript

import (
	"fmt"
	"slices"

	"sallyport/internal/contract"
)

// reader turns schemas into shapes: of what a caller may send, or of what comes back
// through a lens. It keeps what it has read, so that schemas in circles end.
type reader struct {
	request bool
	noNull  bool // a form or a query, which cannot carry null
	known   map[string]*reading
}

// reading is the shape of some schemas through a lens. shape is nil where nothing is
// seen; misses says that some values of the schemas are not seen.
type reading struct {
	shape  *shape
	misses bool
}

func newReader(request, noNull bool) *reader {
	return &reader{request: request, noNull: noNull, known: map[string]*reading{}}
}

// value is the shape of what fits all of ss, as far as it is seen.
func (r *reader) value(ss []*contract.Schema, l *lens) reading {
	if l == nil {
		return reading{misses: true}
	}
	key := fmt.Sprintf("%p", l)
	for _, s := range ss {
		key += fmt.Sprintf(" %p", s)
	}
	if k, ok := r.known[key]; ok {
		return *k
	}
	k := &reading{shape: &shape{}} // for those below that lead back here
	r.known[key] = k
	got := r.read(ss, l)
	if got.shape == nil {
		*k = got
		return got
	}
	*k.shape = *got.shape
	k.misses = got.misses
	return *k
}

// read is value without memory. Some of it may be nil: kinds that are not seen.
func (r *reader) read(ss []*contract.Schema, l *lens) reading {
	parts := allParts(ss)
	kinds, null := kindsOf(parts), r.null(parts)
	var groups []*shape
	misses := false
	for _, p := range parts {
		for _, list := range [][]*contract.Schema{p.AnyOf, p.OneOf} {
			if len(list) > 0 {
				got := r.alternatives(list, l)
				groups, misses = append(groups, got.shape), misses || got.misses
			}
		}
	}
	listed := r.listed(parts, kinds, l)
	switch {
	case listed != nil:
		return reading{shape: unionOf(bothOf(append(groups, listed)...), null)}
	case len(groups) == 0 && len(kinds) == 0 && null == nil:
		return r.anything(l)
	case len(groups) == 0:
		return r.kinds(kinds, parts, l, null)
	}
	if o := r.object(parts, l); len(o.members) > 0 || o.others != nil {
		groups = append(groups, o)
	}
	if null != nil && !l.whole() {
		null, misses = nil, true
	}
	return reading{shape: unionOf(bothOf(groups...), null), misses: misses}
}

func (r *reader) alternatives(list []*contract.Schema, l *lens) reading {
	var all []*shape
	misses := false
	for _, s := range list {
		got := r.value([]*contract.Schema{s}, l)
		all, misses = append(all, got.shape), misses || got.misses || got.shape == nil
	}
	return reading{shape: unionOf(all...), misses: misses}
}

// kinds is the union of the JSON types that a schema allows.
func (r *reader) kinds(kinds []string, parts []*contract.Schema, l *lens, null *shape) reading {
	var all []*shape
	misses := false
	for _, k := range kinds {
		var s *shape
		switch {
		case k == "array":
			s = r.list(parts, l)
		case k == "object":
			s = r.closed(r.object(parts, l))
		case l.whole() && (k == "integer" || k == "number"):
			s = wordOf("number")
		case l.whole():
			s = wordOf(k)
		}
		all, misses = append(all, s), misses || s == nil
	}
	if null != nil && l.whole() {
		all = append(all, null)
	}
	return reading{shape: unionOf(all...), misses: misses || null != nil && !l.whole()}
}

func (r *reader) list(parts []*contract.Schema, l *lens) *shape {
	var items []*contract.Schema
	for _, p := range parts {
		if p.Items != nil {
			items = append(items, p.Items)
		}
	}
	element := l.element()
	if element == nil {
		return nil
	}
	if len(items) == 0 {
		return listOf(orUnknown(r.anything(element).shape))
	}
	if got := r.value(items, element); got.shape != nil {
		return listOf(got.shape)
	}
	return listOf(wordOf("never")) // of each element nothing is seen
}

func orUnknown(s *shape) *shape {
	if s == nil {
		return &shape{}
	}
	return s
}

func (r *reader) object(parts []*contract.Schema, l *lens) *shape {
	out := &shape{kind: object}
	listed := propertyNames(parts)
	for _, name := range listed {
		r.member(out, parts, name, l)
	}
	var others []*contract.Schema
	for _, p := range parts {
		if p.Additional != nil {
			others = append(others, p.Additional)
		}
	}
	if len(others) == 0 {
		return out
	}
	for _, name := range sortedKeys(l.kids) {
		if !slices.Contains(listed, name) {
			r.member(out, parts, name, l)
		}
	}
	if below := l.child("", holdsSecret(others)); l.whole() && below != nil {
		out.others = r.value(others, below).shape
	}
	out.widen()
	return out
}

// closed is an object of a request that has no members at all: TypeScript lets
// everything pass as {}.
func (r *reader) closed(o *shape) *shape {
	if r.request && len(o.members) == 0 && o.others == nil {
		o.others = wordOf("never")
	}
	return o
}

// widen makes the type of other names one that also fits the listed members, as
// TypeScript wants it.
func (s *shape) widen() {
	if s.others == nil || len(s.members) == 0 {
		return
	}
	all := []*shape{s.others}
	optional := false
	for _, m := range s.members {
		all, optional = append(all, m.shape), optional || m.optional
	}
	if optional {
		all = append(all, wordOf("undefined"))
	}
	s.others = unionOf(all...)
}

func (r *reader) member(out *shape, parts []*contract.Schema, name string, l *lens) {
	var kids []*contract.Schema
	required := false
	for _, p := range parts {
		if s, ok := p.Properties[name]; ok {
			kids = append(kids, s)
		} else if p.Additional != nil {
			kids = append(kids, p.Additional)
		}
		required = required || requires(p, name)
	}
	got := r.value(kids, l.child(name, holdsSecret(kids)))
	if got.shape == nil {
		return
	}
	out.members = append(out.members, member{name: name, optional: !required || got.misses, shape: got.shape, doc: r.words(kids)})
}

// anything is what a schema without a rule allows.
func (r *reader) anything(l *lens) reading {
	if l.whole() {
		return reading{shape: &shape{}}
	}
	var all []*shape
	if len(l.kids) > 0 {
		o := &shape{kind: object}
		for _, name := range sortedKeys(l.kids) {
			if got := r.anything(l.kids[name]); got.shape != nil {
				o.members = append(o.members, member{name: name, optional: true, shape: got.shape})
			}
		}
		all = append(all, o)
	}
	if l.every != nil {
		all = append(all, listOf(orUnknown(r.anything(l.every).shape)))
	}
	return reading{shape: unionOf(all...), misses: true}
}

// listed is the union of an enumeration; nil: there is none. What is listed is a value
// that is seen as a whole or not at all.
func (r *reader) listed(parts []*contract.Schema, kinds []string, l *lens) *shape {
	var all []*shape
	found := false
	for _, p := range parts {
		values := p.Enum
		if p.HasConst {
			values = []any{p.Const}
		}
		if values == nil {
			continue
		}
		var some []*shape
		for _, v := range values {
			if l.whole() && (len(kinds) == 0 || v == nil && !r.noNull || slices.ContainsFunc(kinds, func(k string) bool { return isKind(v, k) })) {
				some = append(some, literalOf(v))
			}
		}
		if found = true; len(some) > 0 {
			all = append(all, unionOf(some...))
		}
	}
	if !found || !l.whole() {
		return nil
	}
	if len(all) == 0 {
		return wordOf("never")
	}
	return bothOf(all...)
}

// null is the word null where the schema allows it and the wire can carry it.
func (r *reader) null(parts []*contract.Schema) *shape {
	allowed := false
	for _, p := range parts {
		if len(p.Types) > 0 && !p.Nullable {
			return nil
		}
		allowed = allowed || p.Nullable
	}
	if !allowed || r.noNull {
		return nil
	}
	return wordOf("null")
}
