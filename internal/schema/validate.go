package schema

import (
	"fmt"

	"sallyport/internal/tape"
)

// validator holds tables that were read against each other, so that no check can leave them,
// run without end, or find another member than it looks for.
type validator struct {
	p   *Program
	err error
}

// validate checks everything that a check relies on.
func (p *Program) validate(roots []ID) error {
	v := &validator{p: p}
	v.defaults()
	for i := range p.nodes {
		n := &p.nodes[i]
		v.index("enum", n.enum, len(p.enums))
		v.index("str", n.str, len(p.strs))
		v.index("num", n.num, len(p.nums))
		v.index("arr", n.arr, len(p.arrs))
		v.index("obj", n.obj, len(p.objs))
		v.rangeOf("comb", n.comb, n.combs, len(p.combs))
	}
	v.scalars()
	v.containers()
	v.parts()
	for _, list := range [][]ID{roots, p.roots} {
		for _, id := range list {
			v.id(id)
		}
	}
	if v.err == nil {
		v.circles()
	}
	return v.err
}

func (v *validator) fail(format string, args ...any) {
	if v.err == nil {
		v.err = fmt.Errorf(format, args...)
	}
}

func (v *validator) index(what string, i uint32, n int) {
	if int64(i) >= int64(n) {
		v.fail("%s %d of %d", what, i, n)
	}
}

func (v *validator) rangeOf(what string, from, n uint32, size int) {
	if uint64(from)+uint64(n) > uint64(size) {
		v.fail("%s %d+%d of %d", what, from, n, size)
	}
}

func (v *validator) id(id ID) { v.index("schema", uint32(id), len(v.p.nodes)) }

func (v *validator) has(has bool, id ID) {
	if has {
		v.id(id)
	}
}

func (v *validator) span(s span) {
	if s.off > s.end || int64(s.end) > int64(len(v.p.text)) {
		v.fail("text %d to %d of %d", s.off, s.end, len(v.p.text))
	}
}

// defaults checks what stands at index 0 of each table.
func (v *validator) defaults() {
	p := v.p
	d := newProgram()
	if len(p.nodes) < 2 || len(p.enums) == 0 || len(p.strs) == 0 || len(p.nums) == 0 || len(p.arrs) == 0 || len(p.objs) == 0 || len(p.exts) == 0 {
		v.fail("a table is empty")
		return
	}
	if p.nodes[0] != d.nodes[0] || p.nodes[1] != d.nodes[1] || p.arrs[0] != d.arrs[0] || p.objs[0] != d.objs[0] || p.exts[0] != d.exts[0] {
		v.fail("the defaults are others")
	}
	if len(p.check) != len(p.formats) {
		v.fail("%d formats with %d rules", len(p.formats), len(p.check))
	}
}

func (v *validator) scalars() {
	p := v.p
	for i := range p.enums {
		e := &p.enums[i]
		v.rangeOf("texts", e.strs, e.strCount, len(p.texts))
		v.rangeOf("texts", e.nums, e.numCount, len(p.texts))
		v.rangeOf("texts", e.shown, e.shownN, len(p.texts))
		v.rangeOf("values", e.trees, e.treeN, len(p.ids))
		if v.err != nil {
			return
		}
		for _, k := range p.ids[e.trees : e.trees+e.treeN] {
			v.index("value", uint32(k), len(p.valueAt))
		}
	}
	for i := range p.strs {
		v.index("pattern", p.strs[i].pattern, len(p.patSrc)+1)
		v.index("format", p.strs[i].format, len(p.formats)+1)
	}
	for i := range p.nums {
		n := &p.nums[i]
		v.index("format", n.format, len(p.formats)+1)
		v.span(n.lowText)
		v.span(n.highText)
		v.span(n.multiple)
	}
	for _, list := range [][]span{p.texts, p.patSrc, p.formats} {
		for _, s := range list {
			v.span(s)
		}
	}
}

func (v *validator) containers() {
	p := v.p
	for i := range p.arrs {
		a := &p.arrs[i]
		v.rangeOf("schemas", a.prefix, a.prefixN, len(p.ids))
		if v.err == nil {
			for _, id := range p.ids[a.prefix : a.prefix+a.prefixN] {
				v.id(id)
			}
		}
		v.has(a.hasItems, a.items)
		v.has(a.hasContains, a.contains)
		v.has(a.uneval, a.unevaluatedI)
	}
	for i := range p.objs {
		v.object(&p.objs[i])
	}
	for i := range p.exts {
		x := &p.exts[i]
		v.rangeOf("patterns", x.patterns, x.patternsN, len(p.keyed))
		v.rangeOf("lists", x.dependent, x.dependentN, len(p.lists))
		v.has(x.hasNames, x.names)
		v.has(x.uneval, x.unevalP)
		if v.err != nil {
			return
		}
		for _, k := range p.keyed[x.patterns : x.patterns+x.patternsN] {
			v.index("pattern", k.key, len(p.patSrc))
			v.id(k.id)
		}
	}
	for _, l := range p.lists {
		v.span(l.name)
		v.rangeOf("texts", l.names, l.n, len(p.texts))
	}
}

// object checks a table of members: each is found under its name, and a search ends.
func (v *validator) object(o *objRule) {
	p := v.p
	v.index("ext", o.ext, len(p.exts))
	v.has(o.hasOther, o.other)
	if o.props > o.propsEnd || int64(o.propsEnd) > int64(len(p.props)) {
		v.fail("members %d to %d of %d", o.props, o.propsEnd, len(p.props))
		return
	}
	n, required := o.propsEnd-o.props, uint32(0)
	for i := o.props; i < o.propsEnd; i++ {
		pr := &p.props[i]
		v.span(pr.name)
		v.id(pr.id)
		if v.err != nil {
			return
		}
		if pr.hash != tape.Hash(p.str(pr.name)) {
			v.fail("a name with another hash")
		}
		if pr.required {
			required++
		}
	}
	if required != o.required {
		v.fail("%d required members, not %d", required, o.required)
	}
	if o.mask == noLimit {
		if n > 0 {
			v.fail("members without a table")
		}
		return
	}
	if o.mask&(o.mask+1) != 0 || uint64(o.mask)+1 < 2*uint64(n) {
		v.fail("a table of %d for %d members", o.mask, n)
		return
	}
	v.rangeOf("slots", o.slots, o.mask+1, len(p.slots))
	if v.err == nil {
		v.slots(o)
	}
}

func (v *validator) slots(o *objRule) {
	p := v.p
	slots := p.slots[o.slots : o.slots+o.mask+1]
	used := uint32(0)
	for _, s := range slots {
		if s == 0 {
			continue
		}
		if used++; s-1 < o.props || s-1 >= o.propsEnd {
			v.fail("a slot of another object")
			return
		}
	}
	if used != o.propsEnd-o.props {
		v.fail("%d slots for %d members", used, o.propsEnd-o.props)
		return
	}
	for i := o.props; i < o.propsEnd; i++ {
		at := p.props[i].hash & o.mask
		for slots[at] != 0 && slots[at] != i+1 {
			at = (at + 1) & o.mask
		}
		if slots[at] == 0 {
			v.fail("a member that its table does not find")
		}
	}
}

func (v *validator) parts() {
	p := v.p
	for _, k := range p.combs {
		switch k.op {
		case opAll, opNot, opDynamic:
			v.id(ID(k.a))
		case opAny, opOne:
			v.index("alternatives", k.a, len(p.alts))
		case opDepends:
			v.index("texts", k.a, len(p.texts))
			v.id(ID(k.b))
		case opIf:
			v.id(ID(k.a))
			v.has(k.b != noLimit, ID(k.b))
			v.has(k.c != noLimit, ID(k.c))
		default:
			v.fail("part %d", k.op)
		}
	}
	for i := range p.alts {
		a := &p.alts[i]
		v.rangeOf("branches", a.branches, a.n, len(p.branches))
		v.rangeOf("tags", a.tags, a.tagsN, len(p.tags))
		v.rangeOf("mapping", a.mapping, a.mappingN, len(p.keyed))
		v.span(a.tag)
		v.span(a.disc)
		if v.err != nil {
			return
		}
		for _, k := range p.keyed[a.mapping : a.mapping+a.mappingN] {
			v.index("texts", k.key, len(p.texts))
			v.index("branch", uint32(k.id), int(a.n))
		}
	}
	for _, b := range p.branches {
		v.id(b.id)
	}
	for _, t := range p.tags {
		v.span(t.value)
	}
	for _, a := range p.anchors {
		v.id(a.id)
	}
	for _, x := range p.xmls {
		v.id(x.id)
		v.span(x.name)
		v.span(x.prefix)
		v.span(x.namespace)
	}
}

// circles refuses schemas that apply themselves to the same value.
func (v *validator) circles() {
	if id, ok := v.p.circle(); ok {
		v.fail("schema %d applies itself to the same value", id)
	}
}
