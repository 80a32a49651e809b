package schema

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// A program on disk: the magic with the version of the format, a SHA-256 of the rest, then the
// tables one after another, each behind its length. All numbers are little-endian.
const programMagic = "sallyport schema 2\n"

// errForeign is for data that Program.MarshalBinary of this version did not write.
var errForeign = errors.New("not a compiled schema of this version")

// MarshalBinary writes the Program for UnmarshalSubset. Equal programs give equal bytes.
func (p *Program) MarshalBinary() ([]byte, error) {
	c := codec{writing: true, buf: make([]byte, 0, 64<<10)}
	p.code(&c)
	sum := sha256.Sum256(c.buf)
	out := append([]byte(programMagic), sum[:]...)
	return append(out, c.buf...), nil
}

// UnmarshalSubset reads what MarshalBinary wrote and keeps only what the roots reach; without
// roots, all of it. The IDs of the roots in the new Program come in the same order. Data that
// is damaged, of another version or of another origin is an error.
func UnmarshalSubset(data []byte, roots ...ID) (*Program, []ID, error) {
	rest, ok := bytes.CutPrefix(data, []byte(programMagic))
	if !ok || len(rest) < sha256.Size {
		return nil, nil, errForeign
	}
	if sum := sha256.Sum256(rest[sha256.Size:]); !bytes.Equal(sum[:], rest[:sha256.Size]) {
		return nil, nil, fmt.Errorf("a compiled schema that is damaged: its checksum does not hold")
	}
	c := codec{buf: rest[sha256.Size:]}
	p := &Program{}
	p.code(&c)
	if c.failed || len(c.buf) > 0 {
		return nil, nil, errForeign
	}
	if err := errors.Join(p.readValues(), p.validate(roots)); err != nil {
		return nil, nil, fmt.Errorf("read a compiled schema: %w", err)
	}
	if len(roots) > 0 {
		p, roots = p.subset(roots)
	}
	if err := p.complete(); err != nil {
		return nil, nil, fmt.Errorf("read a compiled schema: %w", err)
	}
	return p, roots, nil
}

// code writes or reads all tables, in one order.
func (p *Program) code(c *codec) {
	table(c, &p.nodes, (*node).code)
	table(c, &p.enums, (*enumRule).code)
	table(c, &p.strs, (*strRule).code)
	table(c, &p.nums, (*numRule).code)
	table(c, &p.arrs, (*arrRule).code)
	table(c, &p.objs, (*objRule).code)
	table(c, &p.exts, (*extRule).code)
	table(c, &p.combs, (*comb).code)
	table(c, &p.alts, (*altRule).code)
	table(c, &p.branches, (*branch).code)
	table(c, &p.tags, (*tagValue).code)
	table(c, &p.props, (*prop).code)
	table(c, &p.slots, func(v *uint32, c *codec) { c.u32(v) })
	table(c, &p.texts, (*span).code)
	table(c, &p.ids, func(v *ID, c *codec) { c.id(v) })
	table(c, &p.keyed, (*keyedID).code)
	table(c, &p.lists, (*listRef).code)
	table(c, &p.anchors, (*anchor).code)
	table(c, &p.xmls, (*xmlRule).code)
	table(c, &p.roots, func(v *ID, c *codec) { c.id(v) })
	table(c, &p.patSrc, (*span).code)
	table(c, &p.formats, (*span).code)
	table(c, &p.check, func(v *formatID, c *codec) { c.u8((*uint8)(v)) })
	c.bytes(&p.text)
	c.bytes(&p.valueSrc)
	c.bool(&p.flags.AssertFormats)
	c.bool(&p.flags.Dynamic)
	c.bool(&p.flags.Unevaluated)
	c.bool(&p.flags.Marked)
}

// codec writes to buf, or reads from its front.
type codec struct {
	buf     []byte
	writing bool
	failed  bool
}

func (c *codec) take(n int) []byte {
	if c.failed || len(c.buf) < n {
		c.failed = true
		return make([]byte, n)
	}
	out := c.buf[:n]
	c.buf = c.buf[n:]
	return out
}

func (c *codec) u8(v *uint8) {
	if c.writing {
		c.buf = append(c.buf, *v)
		return
	}
	*v = c.take(1)[0]
}

func (c *codec) bool(v *bool) {
	b := uint8(0)
	if *v {
		b = 1
	}
	c.u8(&b)
	if b > 1 {
		c.failed = true
	}
	*v = b == 1
}

func (c *codec) u32(v *uint32) {
	if c.writing {
		c.buf = binary.LittleEndian.AppendUint32(c.buf, *v)
		return
	}
	*v = binary.LittleEndian.Uint32(c.take(4))
}

func (c *codec) u64(v *uint64) {
	if c.writing {
		c.buf = binary.LittleEndian.AppendUint64(c.buf, *v)
		return
	}
	*v = binary.LittleEndian.Uint64(c.take(8))
}

func (c *codec) i64(v *int64) {
	u := uint64(*v)
	c.u64(&u)
	*v = int64(u)
}

func (c *codec) id(v *ID)                { c.u32((*uint32)(v)) }
func (c *codec) types(v *Types)          { c.u8((*uint8)(v)) }
func (s *span) code(c *codec)            { c.words(&s.off, &s.end) }
func (k *keyedID) code(c *codec)         { c.u32(&k.key); c.id(&k.id) }
func (b *branch) code(c *codec)          { c.id(&b.id); c.types(&b.types) }
func (t *tagValue) code(c *codec)        { t.value.code(c); c.u64(&t.mask) }
func (a *anchor) code(c *codec)          { c.words(&a.resource, &a.name); c.id(&a.id) }
func (l *listRef) code(c *codec)         { l.name.code(c); c.words(&l.names, &l.n) }
func (s *strRule) code(c *codec)         { c.words(&s.min, &s.max, &s.pattern, &s.format) }
func (k *comb) code(c *codec)            { c.u8((*uint8)(&k.op)); c.words(&k.a, &k.b, &k.c) }
func (c *codec) maybe(has *bool, id *ID) { c.bool(has); c.id(id) }

func (c *codec) words(list ...*uint32) {
	for _, v := range list {
		c.u32(v)
	}
}

// bytes codes a table of bytes.
func (c *codec) bytes(v *[]byte) {
	n := uint32(len(*v))
	c.u32(&n)
	if c.writing {
		c.buf = append(c.buf, *v...)
		return
	}
	if int(n) > len(c.buf) {
		c.failed = true
		return
	}
	*v = bytes.Clone(c.take(int(n)))
}

// table codes a table behind its length. A length that the data cannot hold is refused
// before memory is taken for it.
func table[T any](c *codec, list *[]T, code func(*T, *codec)) {
	n := uint32(len(*list))
	c.u32(&n)
	if !c.writing {
		if int(n) > len(c.buf) {
			c.failed = true
			return
		}
		*list = make([]T, n)
	}
	for i := range *list {
		if c.failed {
			return
		}
		code(&(*list)[i], c)
	}
}

func (n *node) code(c *codec) {
	c.types(&n.types)
	c.types(&n.plain)
	c.u8((*uint8)(&n.mark))
	c.words((*uint32)(&n.flags), &n.enum, &n.str, &n.num, &n.arr, &n.obj, &n.comb, &n.combs, &n.scope, &n.short)
}

func (e *enumRule) code(c *codec) {
	c.types(&e.types)
	c.u8(&e.bools)
	c.bool(&e.isConst)
	c.words(&e.strs, &e.strCount, &e.nums, &e.numCount, &e.trees, &e.treeN, &e.shown, &e.shownN)
}

func (n *numRule) code(c *codec) {
	c.u8((*uint8)(&n.flags))
	c.i64(&n.lowInt)
	c.i64(&n.highInt)
	n.lowText.code(c)
	n.highText.code(c)
	n.multiple.code(c)
	c.u32(&n.format)
}

func (a *arrRule) code(c *codec) {
	c.words(&a.min, &a.max, &a.prefix, &a.prefixN, &a.minContains, &a.maxContains)
	c.bool(&a.unique)
	c.maybe(&a.hasItems, &a.items)
	c.maybe(&a.hasContains, &a.contains)
	c.maybe(&a.uneval, &a.unevaluatedI)
}

func (o *objRule) code(c *codec) {
	c.words(&o.props, &o.propsEnd, &o.slots, &o.mask, &o.required, &o.min, &o.max, &o.ext)
	c.maybe(&o.hasOther, &o.other)
}

func (x *extRule) code(c *codec) {
	c.words(&x.patterns, &x.patternsN, &x.dependent, &x.dependentN)
	c.maybe(&x.hasNames, &x.names)
	c.maybe(&x.uneval, &x.unevalP)
}

func (a *altRule) code(c *codec) {
	c.words(&a.branches, &a.n, &a.tagHash, &a.tags, &a.tagsN, &a.mapping, &a.mappingN)
	c.u64(&a.absent)
	c.u64(&a.other)
	a.tag.code(c)
	a.disc.code(c)
}

func (p *prop) code(c *codec) {
	c.u32(&p.hash)
	p.name.code(c)
	c.id(&p.id)
	c.u32(&p.short)
	c.types(&p.plain)
	c.u8((*uint8)(&p.mark))
	c.bool(&p.listed)
	c.bool(&p.required)
}

func (x *xmlRule) code(c *codec) {
	c.id(&x.id)
	x.name.code(c)
	x.prefix.code(c)
	x.namespace.code(c)
	c.bool(&x.attribute)
	c.bool(&x.wrapped)
	c.bool(&x.text)
}
