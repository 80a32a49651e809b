package schema

import (
	"slices"

	"sallyport/internal/tape"
)

// object explains the members of an object.
func (e *explainer) object(parts []ID, t uint32, see *Lens, hide bool) {
	m := e.m
	nd := &m.nodes[t]
	open := e.free(parts)
	for i := t + 1; i < nd.Next; i = m.nodes[i].Next {
		name := m.t.Key(int(i))
		kids, listed, refused := e.members(parts, i)
		if open && len(kids) == 0 {
			kids = []ID{Anything}
		}
		if len(kids) == 0 || refused && m.mode != Response || !listed && m.mode == Request && m.isProto(i) {
			e.unknown(parts, t, i, refused)
			continue
		}
		m.know(i)
		secret := m.hides(i)
		kid := see.Child(name, secret)
		e.name(parts, i, kid)
		if open && len(kids) == 1 && kids[0] == Anything && !listed {
			e.anything(i)
			continue
		}
		e.member(kids, i, kid, hide || !listed)
	}
	e.required(parts, t, see)
	for _, id := range parts {
		o := &m.p.objs[m.p.nodes[id].obj]
		if see.Whole() && (nd.Count < o.min || nd.Count > o.max) {
			rule := "minProperties"
			if nd.Count > o.max {
				rule = "maxProperties"
			}
			e.add(t, Fault{Rule: rule, Found: count(nd.Count, "name"), Want: between(o.min, o.max, "names")})
		}
	}
}

// member explains a value to which several schemas apply, each as a root of its own: what
// they forbid together may be allowed by neither.
func (e *explainer) member(kids []ID, i uint32, see *Lens, hide bool) {
	before, broken := len(e.faults), e.broken
	e.walk(kids, i, see, hide)
	if len(kids) < 2 || len(e.faults) > before || e.broken > broken || see == nil || e.m.mode == Response {
		return
	}
	for _, id := range kids {
		b := e.m.try()
		ok := e.m.eval(i, id, true)
		e.m.fail(b)
		if !ok {
			e.walk([]ID{id}, i, see, hide)
			return
		}
	}
}

// anything lets a value through whole, except __proto__ in a request.
func (e *explainer) anything(t uint32) {
	m := e.m
	if m.mode == Request {
		for i := t + 1; i < m.nodes[t].Next; i++ {
			if m.isProto(i) {
				e.stranger(i, nil)
			}
		}
	}
	m.knowBelow(t)
}

// free reports whether parts leave members and elements entirely open.
func (e *explainer) free(parts []ID) bool {
	open := false
	for _, id := range parts {
		f := e.m.p.nodes[id].flags
		if f&speaks != 0 {
			return false
		}
		open = open || f&opens != 0
	}
	return open
}

// members gives the schemas of one member over all parts. refused: a part allows no such
// name.
func (e *explainer) members(parts []ID, i uint32) (kids []ID, listed, refused bool) {
	m := e.m
	c := &m.nodes[i]
	add := func(id ID) {
		if !slices.Contains(kids, id) {
			kids = append(kids, id)
		}
	}
	for _, id := range parts {
		o := &m.p.objs[m.p.nodes[id].obj]
		x := &m.p.exts[o.ext]
		found := false
		if at := m.lookup(i, o, c); at != noLimit && m.p.props[at].listed {
			add(m.p.props[at].id)
			found, listed = true, true
		}
		for _, k := range m.p.keyed[x.patterns : x.patterns+x.patternsN] {
			if m.matches(k.key, m.t.Key(int(i))) {
				add(k.id)
				found = true
			}
		}
		switch {
		case found || !o.hasOther:
		case o.other == Nothing:
			refused = true
		default:
			add(o.other)
		}
	}
	if len(kids) > 0 {
		return kids, listed, refused
	}
	for _, id := range parts {
		x := &m.p.exts[m.p.objs[m.p.nodes[id].obj].ext]
		switch {
		case !x.uneval:
		case x.unevalP == Nothing:
			refused = true
		default:
			add(x.unevalP)
		}
	}
	return kids, listed, refused
}

// unknown is a member that no part speaks of.
func (e *explainer) unknown(parts []ID, t, i uint32, refused bool) {
	m := e.m
	switch {
	case m.mode == Response || m.mode == Strict && !refused:
		return
	case e.trial && t == m.at:
		e.strays++
	case e.trial:
		e.broken++
	case !e.full():
		e.stranger(i, e.listed(parts))
	}
}

// stranger reports an unknown name.
func (e *explainer) stranger(i uint32, allowed []string) {
	if e.trial || e.full() {
		e.broken++
		return
	}
	want := "no names here"
	if len(allowed) > 0 {
		want = "one of " + inWords(allowed)
	}
	name := string(e.m.t.Key(int(i)))
	e.add(i, Fault{Rule: "closed", Found: "the unknown name " + tape.ShowName(name), Want: want, Near: Nearest(name, allowed)})
}

// listed are the names that parts list.
func (e *explainer) listed(parts []ID) []string {
	var out []string
	seen := map[string]bool{}
	for _, id := range parts {
		o := &e.m.p.objs[e.m.p.nodes[id].obj]
		for _, pr := range e.m.p.props[o.props:o.propsEnd] {
			if name := string(e.m.p.str(pr.name)); pr.listed && !seen[name] {
				seen[name] = true
				out = append(out, name)
			}
		}
	}
	return out
}

// name checks a member's name against propertyNames.
func (e *explainer) name(parts []ID, i uint32, see *Lens) {
	m := e.m
	for _, id := range parts {
		x := &m.p.exts[m.p.objs[m.p.nodes[id].obj].ext]
		if x.hasNames && see != nil && !m.fitsName(m.t.Key(int(i)), x.names) {
			e.add(i, Fault{Rule: "propertyNames", Found: "the name " + tape.ShowName(string(m.t.Key(int(i)))), Want: "a name that is " + m.p.describeName(x.names)})
		}
	}
}

// required reports missing members that the lens would see.
func (e *explainer) required(parts []ID, t uint32, see *Lens) {
	if see == nil || e.full() {
		return
	}
	m := e.m
	var told []string
	miss := func(name span, rule, why string) {
		if m.has(t, name) {
			return
		}
		text := string(m.p.str(name))
		if slices.Contains(told, text) {
			return
		}
		kids := e.property(parts, name)
		if see.Child([]byte(text), m.p.hides(kids)) == nil {
			return
		}
		told = append(told, text)
		if e.trial {
			e.broken++
			return
		}
		e.add(t, Fault{Path: []Step{{Name: text, Index: -1}}, Rule: rule, Found: "nothing", Want: why + m.p.describeIDs(kids)})
	}
	for _, id := range parts {
		o := &m.p.objs[m.p.nodes[id].obj]
		for _, pr := range m.p.props[o.props:o.propsEnd] {
			if pr.required {
				miss(pr.name, "required", "this is required: ")
			}
		}
		x := &m.p.exts[o.ext]
		for _, l := range m.p.lists[x.dependent : x.dependent+x.dependentN] {
			if !m.has(t, l.name) {
				continue
			}
			for _, name := range m.p.texts[l.names : l.names+l.n] {
				miss(name, "dependentRequired", "this is required beside "+string(m.p.str(l.name))+": ")
			}
		}
	}
}

// property gives the schemas of a member by name, whether it is there or not.
func (e *explainer) property(parts []ID, name span) []ID {
	p := e.m.p
	hash, text := tape.Hash(p.str(name)), p.str(name)
	var kids []ID
	for _, id := range parts {
		if kid, ok := p.property(&p.nodes[id], hash, text); ok {
			kids = append(kids, kid)
		}
	}
	return kids
}

func (p *Program) hides(ids []ID) bool {
	for _, id := range ids {
		if p.nodes[id].mark&hidden != 0 {
			return true
		}
	}
	return false
}

// array explains the elements of an array.
func (e *explainer) array(parts []ID, t uint32, see *Lens, hide bool) {
	m := e.m
	nd := &m.nodes[t]
	if see.Whole() {
		for _, id := range parts {
			e.counts(&m.p.arrs[m.p.nodes[id].arr], t)
		}
	}
	seen, open := see.Element(), e.free(parts)
	k := uint32(0)
	for i := t + 1; i < nd.Next; i, k = m.nodes[i].Next, k+1 {
		kids := e.elements(parts, i, k)
		switch {
		case len(kids) > 0:
			m.know(i)
			e.member(kids, i, seen, hide)
		case open:
			m.know(i)
			e.anything(i)
		case m.mode == Request && m.state[i]&known == 0:
			if seen != nil {
				e.add(i, Fault{Rule: "closed", Found: "an element too many", Want: "only the elements that the schema describes"})
			}
		}
	}
}

// counts reports what is wrong with an array as a whole.
func (e *explainer) counts(a *arrRule, t uint32) {
	m := e.m
	n := m.nodes[t].Count
	if n < a.min || n > a.max {
		rule := "minItems"
		if n > a.max {
			rule = "maxItems"
		}
		e.add(t, Fault{Rule: rule, Found: count(n, "element"), Want: between(a.min, a.max, "elements")})
	}
	if a.unique && !m.unique(t) {
		e.add(t, Fault{Rule: "uniqueItems", Found: "the same element twice", Want: "different elements"})
	}
	if !a.hasContains {
		return
	}
	fits := uint32(0)
	for i := t + 1; i < m.nodes[t].Next; i = m.nodes[i].Next {
		b := m.try()
		if m.eval(i, a.contains, true) {
			m.keep()
			m.know(i)
			fits++
		} else {
			m.fail(b)
		}
	}
	if fits < a.minContains || fits > a.maxContains {
		rule := "contains"
		if fits > a.maxContains {
			rule = "maxContains"
		}
		e.add(t, Fault{Rule: rule, Found: count(fits, "element") + " that " + verb(fits) + " " + m.p.describe(a.contains),
			Want: between(a.minContains, a.maxContains, "such elements")})
	}
}

func verb(n uint32) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// elements gives the schemas of element i, the k-th, over all parts.
func (e *explainer) elements(parts []ID, i, k uint32) (kids []ID) {
	m := e.m
	add := func(id ID) {
		if !slices.Contains(kids, id) {
			kids = append(kids, id)
		}
	}
	for _, id := range parts {
		a := &m.p.arrs[m.p.nodes[id].arr]
		switch {
		case k < a.prefixN:
			add(m.p.ids[a.prefix+k])
		case a.hasItems:
			add(a.items)
		}
	}
	if len(kids) > 0 || m.state[i]&known != 0 {
		return kids
	}
	for _, id := range parts {
		if a := &m.p.arrs[m.p.nodes[id].arr]; a.uneval {
			add(a.unevaluatedI)
		}
	}
	return kids
}
