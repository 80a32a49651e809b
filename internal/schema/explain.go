package schema

import (
	"bytes"
	"slices"

	"sallyport/internal/tape"
)

// Explain says why the value of the last Check does not fit: the first max faults in the
// order of the tape, only where the lens sees them. None means that everything is well that
// the lens sees. Of alternatives that all fail, the faults of one are told: the one that the
// discriminator or the tag selects, else the one with the fewest. Values under a mark, in
// maps, and of answers are never shown.
//
// It takes no more than a third of the work of a Check: of a value made to cost more the faults
// met until then are told, and what was not looked at counts as unknown.
//
// Afterwards Known and Marks speak of everything that could be judged, and AppendReduced
// leaves out values whose type is wrong.
func (m *Machine) Explain(lens *Lens, max int) []Fault {
	if m.verdict == Valid {
		return nil
	}
	decided := m.verdict == Invalid
	m.explained = true
	m.rewind()
	m.left = baseSteps + tellPerByte*m.size()
	m.sweep(m.at, m.root)
	e := explainer{m: m, max: max}
	if decided {
		e.walk([]ID{m.root}, m.at, lens, false)
	}
	switch {
	case len(e.faults) > 0:
	case !decided || m.left < 0:
		e.add(m.at, Fault{Rule: "complexity", Found: "a value with too many possible readings", Want: "a simpler value"})
	case lens.clear():
		e.add(m.at, Fault{Rule: "schema", Found: e.found(m.at, true), Want: "a value that fits every part of the schema at once"})
	}
	return e.faults
}

// explainer walks a value against all schemas that apply to it at once, and goes on behind
// faults.
type explainer struct {
	m      *Machine
	max    int
	faults []Fault
	trial  bool // only count
	broken int  // faults of a trial
	strays int  // unknown names of a trial
}

// add reports a fault at a node.
func (e *explainer) add(t uint32, f Fault) {
	if e.trial {
		e.broken++
		return
	}
	if len(e.faults) >= e.max {
		return
	}
	f.Node = int(t)
	f.Path = append(e.m.path(int(t)), f.Path...)
	e.faults = append(e.faults, f)
}

// full reports whether further faults would not be told.
func (e *explainer) full() bool { return !e.trial && len(e.faults) >= e.max }

// silent takes in a fault for which no words are needed: one that the lens does not see, of a
// trial, or beyond those that are told.
func (e *explainer) silent(see *Lens) bool {
	if see != nil && e.trial {
		e.broken++
	}
	return see == nil || e.trial || e.full()
}

// fault reports what stands at a node, where the lens sees it.
func (e *explainer) fault(t uint32, see *Lens, hide bool, rule string, want func() string) {
	if !e.silent(see) {
		e.add(t, Fault{Rule: rule, Found: e.found(t, hide), Want: want()})
	}
}

// walk judges a value by schemas that all apply to it.
func (e *explainer) walk(ss []ID, t uint32, see *Lens, hide bool) {
	m := e.m
	if m.left -= visitSteps * (1 + len(ss)); m.left < 0 {
		return
	}
	hide = hide || m.Marks(int(t)) != 0
	scopes := len(m.scopes)
	defer func() { m.scopes = m.scopes[:scopes] }()
	parts, fits := e.expand(ss, t, see, hide)
	if !fits {
		m.set(t, m.state[t]|bad)
		return
	}
	nd := &m.nodes[t]
	for _, id := range parts {
		n := &m.p.nodes[id]
		if kind := typeOf(nd); n.types&kind == 0 && !m.wholeAnyway(t, n, kind) {
			e.fault(t, see, hide, "type", func() string { return m.p.describe(id) })
			m.set(t, m.state[t]|bad)
			return
		}
		if n.enum != 0 && !m.inEnum(t, &m.p.enums[n.enum]) {
			rule := "enum"
			if m.p.enums[n.enum].isConst {
				rule = "const"
			}
			e.fault(t, see, hide, rule, func() string { return m.p.describe(id) })
		}
	}
	switch nd.Kind {
	case tape.Object:
		e.object(parts, t, see, hide)
	case tape.Array:
		e.array(parts, t, see, hide)
	case tape.String, tape.Number:
		for _, id := range parts {
			n := &m.p.nodes[id]
			if m.fitsScalar(t, n) || e.silent(see) {
				continue
			}
			found, rule, want := e.scalar(n, t, hide)
			e.add(t, Fault{Rule: rule, Found: found, Want: want})
		}
	}
}

// expand lists the schemas that apply to a value: ss, their parts, and the alternatives that
// fit. fits is false when it fits no alternative, which was told.
func (e *explainer) expand(ss []ID, t uint32, see *Lens, hide bool) (parts []ID, fits bool) {
	m := e.m
	fits = true
	var add func(id ID)
	add = func(id ID) {
		n := &m.p.nodes[id]
		if m.nodes[t].Kind == tape.Null && n.flags&nullWins != 0 || slices.Contains(parts, id) || m.left < 0 || len(parts) > maxNested {
			return
		}
		m.left -= visitSteps
		parts = append(parts, id)
		if n.flags&scoped != 0 {
			m.enter(n)
		}
		for _, c := range m.p.combs[n.comb : n.comb+n.combs] {
			chosen, ok := e.part(&c, t, see, hide)
			fits = fits && ok
			for _, id := range chosen {
				add(id)
			}
		}
	}
	for _, id := range ss {
		add(id)
	}
	return parts, fits
}

// part gives the schemas of one keyword that apply.
func (e *explainer) part(c *comb, t uint32, see *Lens, hide bool) (apply []ID, fits bool) {
	m := e.m
	switch c.op {
	case opAll:
		return []ID{ID(c.a)}, true
	case opDynamic:
		return []ID{m.dynamic(c)}, true
	case opDepends:
		if m.nodes[t].Kind == tape.Object && m.has(t, m.p.texts[c.a]) {
			return []ID{ID(c.b)}, true
		}
	case opNot:
		if e.holds(ID(c.a), t) {
			e.fault(t, see, hide, "not", func() string {
				return "a value that does not fit what the schema excludes: " + m.p.describe(ID(c.a))
			})
		}
	case opIf:
		next := c.c
		if e.holds(ID(c.a), t) {
			next = c.b
			apply = append(apply, ID(c.a))
		}
		if next != noLimit {
			apply = append(apply, ID(next))
		}
		return apply, true
	case opAny, opOne:
		return e.choose(&m.p.alts[c.a], t, see, hide, c.op == opOne && m.mode != Response)
	}
	return nil, true
}

// holds is the exact verdict of a schema on a value, without any trace.
func (e *explainer) holds(id ID, t uint32) bool {
	b := e.m.try()
	ok := e.m.eval(t, id, false)
	e.m.fail(b)
	return ok
}

// choose picks the alternatives that a value fits, or the one whose faults are told.
func (e *explainer) choose(a *altRule, t uint32, see *Lens, hide, one bool) (chosen []ID, fits bool) {
	m := e.m
	nd := &m.nodes[t]
	all := m.p.branches[a.branches : a.branches+a.n]
	var candidates []branch
	for _, b := range all {
		if b.types&m.mayBe(nd) != 0 {
			candidates = append(candidates, b)
		}
	}
	if len(candidates) == 0 {
		e.fault(t, see, true, "type", func() string { return m.p.describeAll(all) })
		return nil, false
	}
	for _, b := range candidates {
		if e.holds(b.id, t) {
			chosen = append(chosen, b.id)
		}
	}
	switch {
	case one && len(chosen) > 1:
		if !e.silent(see) {
			e.add(t, Fault{Rule: "oneOf", Found: "a value that fits several alternatives", Want: "exactly one of: " + m.p.describeAll(all)})
		}
		return chosen, true
	case len(chosen) > 0:
		return chosen, true
	case m.mode == Response && !see.clear():
		for _, b := range candidates {
			if broken, _ := e.count(b.id, t, see, hide); broken == 0 {
				chosen = append(chosen, b.id)
			}
		}
		if len(chosen) > 0 {
			return chosen, true
		}
	}
	return e.worst(a, t, candidates, see, hide)
}

// worst picks the alternative whose faults are told, of those that all fail.
func (e *explainer) worst(a *altRule, t uint32, candidates []branch, see *Lens, hide bool) (chosen []ID, fits bool) {
	m := e.m
	nd := &m.nodes[t]
	all := m.p.branches[a.branches : a.branches+a.n]
	if a.disc != (span{}) && nd.Kind == tape.Object {
		if id, known := e.discriminated(a, t); known {
			return []ID{id}, true
		} else if i, ok := m.member(t, tape.Hash(m.p.str(a.disc)), a.disc); ok && a.mappingN > 0 && m.nodes[i].Kind == tape.String {
			e.fault(i, see.Child(m.t.Key(int(i)), m.hides(i)), hide || m.Marks(int(i)) != 0, "discriminator", func() string { return "one of " + inWords(e.mapped(a)) })
			return nil, false
		}
	}
	if may := m.tagged(t, a, nd); may != ^uint64(0) {
		var tagged []branch
		for k, b := range all {
			if k < 64 && may>>k&1 != 0 && b.types&m.mayBe(nd) != 0 {
				tagged = append(tagged, b)
			}
		}
		if len(tagged) > 0 {
			candidates = tagged
		}
	}
	best, least, strays := candidates[0].id, 0, 0
	for k, b := range candidates {
		if len(candidates) == 1 {
			break
		}
		broken, unknown := e.count(b.id, t, see, hide)
		if k == 0 || broken < least || broken == least && unknown < strays {
			best, least, strays = b.id, broken, unknown
		}
	}
	return []ID{best}, true
}

// count tells how many faults and unknown names an alternative has, without any trace.
func (e *explainer) count(id ID, t uint32, see *Lens, hide bool) (broken, strays int) {
	b := e.m.try()
	k := explainer{m: e.m, trial: true}
	k.walk([]ID{id}, t, see, hide)
	e.m.fail(b)
	return k.broken, k.strays
}

// discriminated is the alternative that the discriminator's member names.
func (e *explainer) discriminated(a *altRule, t uint32) (ID, bool) {
	m := e.m
	i, ok := m.member(t, tape.Hash(m.p.str(a.disc)), a.disc)
	if !ok || m.nodes[i].Kind != tape.String {
		return 0, false
	}
	text := m.t.Text(int(i))
	for _, k := range m.p.keyed[a.mapping : a.mapping+a.mappingN] {
		if bytes.Equal(m.p.str(m.p.texts[k.key]), text) {
			return m.p.branches[a.branches+uint32(k.id)].id, true
		}
	}
	return 0, false
}

func (e *explainer) mapped(a *altRule) []string {
	var out []string
	for _, k := range e.m.p.keyed[a.mapping : a.mapping+a.mappingN] {
		if s := e.m.p.quoted(e.m.p.texts[k.key]); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
