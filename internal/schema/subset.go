package schema

import "math/bits"

// subset copies what some schemas reach into a new Program.
func (p *Program) subset(roots []ID) (*Program, []ID) {
	s := &subsetter{from: p, to: newProgram(), ids: map[ID]ID{Nothing: Nothing, Anything: Anything},
		spans: map[span]span{}, patterns: map[uint32]uint32{}, formats: map[uint32]uint32{}, values: map[ID]ID{}}
	out := make([]ID, len(roots))
	for i, id := range roots {
		out[i] = s.id(id)
	}
	for _, a := range p.anchors {
		s.to.anchors = append(s.to.anchors, anchor{a.resource, a.name, s.id(a.id)})
	}
	s.to.flags = p.flags
	for len(s.todo) > 0 {
		old := s.todo[len(s.todo)-1]
		s.todo = s.todo[:len(s.todo)-1]
		n := s.node(p.nodes[old])
		s.to.nodes[s.ids[old]] = n
	}
	for _, x := range p.xmls {
		if id, ok := s.ids[x.id]; ok {
			x.id, x.name, x.prefix, x.namespace = id, s.span(x.name), s.span(x.prefix), s.span(x.namespace)
			s.to.xmls = append(s.to.xmls, x)
		}
	}
	s.to.sortXML()
	s.to.roots = out
	s.keepValues()
	return s.to, out
}

// subsetter moves tables from one Program to another.
type subsetter struct {
	from, to *Program
	ids      map[ID]ID
	todo     []ID
	spans    map[span]span
	patterns map[uint32]uint32
	formats  map[uint32]uint32
	values   map[ID]ID
	kept     []ID // values, in their new order
}

func (s *subsetter) id(old ID) ID {
	if id, ok := s.ids[old]; ok {
		return id
	}
	id := ID(len(s.to.nodes))
	s.to.nodes = append(s.to.nodes, node{})
	s.ids[old] = id
	s.todo = append(s.todo, old)
	return id
}

func (s *subsetter) maybe(has bool, old ID) ID {
	if !has {
		return Nothing
	}
	return s.id(old)
}

func (s *subsetter) span(old span) span {
	if at, ok := s.spans[old]; ok {
		return at
	}
	at := span{uint32(len(s.to.text)), uint32(len(s.to.text)) + old.end - old.off}
	s.to.text = append(s.to.text, s.from.str(old)...)
	s.spans[old] = at
	return at
}

func (s *subsetter) texts(first, n uint32) uint32 {
	at := uint32(len(s.to.texts))
	for _, old := range s.from.texts[first : first+n] {
		s.to.texts = append(s.to.texts, s.span(old))
	}
	return at
}

func (s *subsetter) node(n node) node {
	p, to := s.from, s.to
	if n.enum != 0 {
		e := p.enums[n.enum]
		e.strs, e.nums, e.shown = s.texts(e.strs, e.strCount), s.texts(e.nums, e.numCount), s.texts(e.shown, e.shownN)
		old := p.ids[e.trees : e.trees+e.treeN]
		e.trees = uint32(len(to.ids))
		for _, v := range old {
			to.ids = append(to.ids, s.value(v))
		}
		n.enum = put(&to.enums, e)
	}
	if n.str != 0 {
		r := p.strs[n.str]
		r.pattern, r.format = s.pattern(r.pattern), s.format(r.format)
		n.str = put(&to.strs, r)
	}
	if n.num != 0 {
		r := p.nums[n.num]
		r.lowText, r.highText, r.multiple, r.format = s.span(r.lowText), s.span(r.highText), s.span(r.multiple), s.format(r.format)
		n.num = put(&to.nums, r)
	}
	if n.arr != 0 {
		n.arr = put(&to.arrs, s.array(p.arrs[n.arr]))
	}
	if n.obj != 0 {
		n.obj = put(&to.objs, s.object(p.objs[n.obj]))
	}
	s.parts(&n)
	return n
}

func put[T any](table *[]T, v T) uint32 {
	*table = append(*table, v)
	return uint32(len(*table) - 1)
}

// pattern moves a pattern's number, which is one more than its index; 0 is none.
func (s *subsetter) pattern(k uint32) uint32 {
	if k == 0 {
		return 0
	}
	if _, ok := s.patterns[k]; !ok {
		s.patterns[k] = put(&s.to.patSrc, s.span(s.from.patSrc[k-1])) + 1
	}
	return s.patterns[k]
}

func (s *subsetter) format(k uint32) uint32 {
	if k == 0 {
		return 0
	}
	if _, ok := s.formats[k]; !ok {
		s.formats[k] = put(&s.to.formats, s.span(s.from.formats[k-1])) + 1
		s.to.check = append(s.to.check, s.from.check[k-1])
	}
	return s.formats[k]
}

func (s *subsetter) array(a arrRule) arrRule {
	old := s.from.ids[a.prefix : a.prefix+a.prefixN]
	a.prefix = uint32(len(s.to.ids))
	for _, id := range old {
		s.to.ids = append(s.to.ids, s.id(id))
	}
	a.items, a.contains, a.unevaluatedI = s.maybe(a.hasItems, a.items), s.maybe(a.hasContains, a.contains), s.maybe(a.uneval, a.unevaluatedI)
	return a
}

func (s *subsetter) object(o objRule) objRule {
	to := s.to
	props := s.from.props[o.props:o.propsEnd]
	o.props = uint32(len(to.props))
	for _, pr := range props {
		pr.name, pr.id = s.span(pr.name), s.maybe(pr.listed, pr.id)
		to.props = append(to.props, pr)
	}
	o.propsEnd = uint32(len(to.props))
	o.slots, o.mask = to.layOut(o.props, o.propsEnd)
	o.other = s.maybe(o.hasOther, o.other)
	if o.ext != 0 {
		x := s.from.exts[o.ext]
		x.names, x.unevalP = s.maybe(x.hasNames, x.names), s.maybe(x.uneval, x.unevalP)
		keyed := s.from.keyed[x.patterns : x.patterns+x.patternsN]
		x.patterns = uint32(len(to.keyed))
		for _, k := range keyed {
			to.keyed = append(to.keyed, keyedID{s.pattern(k.key+1) - 1, s.id(k.id)})
		}
		lists := s.from.lists[x.dependent : x.dependent+x.dependentN]
		x.dependent = uint32(len(to.lists))
		for _, l := range lists {
			to.lists = append(to.lists, listRef{s.span(l.name), s.texts(l.names, l.n), l.n})
		}
		o.ext = put(&to.exts, x)
	}
	return o
}

// layOut makes the table of members from first to end: open addressing, at most half full.
func (p *Program) layOut(first, end uint32) (at, mask uint32) {
	if first == end {
		return 0, noLimit
	}
	size := uint32(1) << bits.Len(uint(2*(end-first)-1))
	at, mask = uint32(len(p.slots)), size-1
	p.slots = append(p.slots, make([]uint32, size)...)
	slots := p.slots[at:]
	for i := first; i < end; i++ {
		k := p.props[i].hash & mask
		for slots[k] != 0 {
			k = (k + 1) & mask
		}
		slots[k] = i + 1
	}
	return at, mask
}

func (s *subsetter) parts(n *node) {
	old := s.from.combs[n.comb : n.comb+n.combs]
	list := make([]comb, len(old))
	for i, k := range old {
		switch k.op {
		case opAll, opNot, opDynamic:
			k.a = uint32(s.id(ID(k.a)))
		case opAny, opOne:
			k.a = s.alternatives(s.from.alts[k.a])
		case opDepends:
			k.a, k.b = s.texts(k.a, 1), uint32(s.id(ID(k.b)))
		case opIf:
			k.a = uint32(s.id(ID(k.a)))
			for _, next := range []*uint32{&k.b, &k.c} {
				if *next != noLimit {
					*next = uint32(s.id(ID(*next)))
				}
			}
		}
		list[i] = k
	}
	n.comb = uint32(len(s.to.combs))
	s.to.combs = append(s.to.combs, list...)
}

func (s *subsetter) alternatives(a altRule) uint32 {
	to := s.to
	branches := s.from.branches[a.branches : a.branches+a.n]
	a.branches = uint32(len(to.branches))
	for _, b := range branches {
		to.branches = append(to.branches, branch{s.id(b.id), b.types})
	}
	tags := s.from.tags[a.tags : a.tags+a.tagsN]
	a.tags = uint32(len(to.tags))
	for _, v := range tags {
		to.tags = append(to.tags, tagValue{s.span(v.value), v.mask})
	}
	keyed := s.from.keyed[a.mapping : a.mapping+a.mappingN]
	a.mapping = uint32(len(to.keyed))
	for _, k := range keyed {
		to.keyed = append(to.keyed, keyedID{s.texts(k.key, 1), k.id})
	}
	if a.tagsN > 0 {
		a.tag = s.span(a.tag)
	} else {
		a.tag = span{}
	}
	if a.disc != (span{}) {
		a.disc = s.span(a.disc)
	}
	return put(&to.alts, a)
}

// value gives a value of enums its number in the new Program.
func (s *subsetter) value(old ID) ID {
	if v, ok := s.values[old]; ok {
		return v
	}
	v := ID(len(s.kept))
	s.kept = append(s.kept, old)
	s.values[old] = v
	return v
}

// keepValues copies the text of the values that are used.
func (s *subsetter) keepValues() {
	if len(s.kept) == 0 {
		return
	}
	for i, old := range s.kept {
		if i > 0 {
			s.to.valueSrc = append(s.to.valueSrc, ',')
		}
		s.to.valueSrc = s.from.values.AppendJSON(s.to.valueSrc, int(s.from.valueAt[old]))
	}
}
