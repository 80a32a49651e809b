package contract

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"sallyport/internal/schema"
)

// compiledMagic begins what a Cache holds. Its number rises whenever the same document is
// compiled to another program.
const compiledMagic = "sallyport contract 2\n"

// cacheKey names a document's program in a Cache: that of all operations, or of some.
func cacheKey(data []byte, only []string) string {
	h := sha256.New()
	h.Write([]byte(compiledMagic))
	h.Write(data)
	if only != nil {
		h.Write([]byte("\x00" + strings.Join(slices.Sorted(slices.Values(only)), "\x00")))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// compiled is what a cache has of a document: where a program lies for its operations, and
// the document's text, compressed.
type compiled struct {
	ids  map[string][]schema.ID // of each operation's schemas, in the order of roots
	text []byte                 // compressed; empty for a small document
	prog []byte
}

// cached looks for a document's program: the whole one, which has all that is wanted, or
// that of exactly the operations that are asked for. nil: there is none.
func (o Options) cached(data []byte) *compiled {
	if o.Cache == nil {
		return nil
	}
	keys := []string{cacheKey(data, nil)}
	if o.Only != nil {
		keys = append(keys, cacheKey(data, o.Only))
	}
	for _, key := range keys {
		if blob, ok := o.Cache.Load(key); ok {
			if c, err := readCompiled(blob); err == nil {
				return c
			}
		}
	}
	return nil
}

// write writes the ids of every operation's schemas, the text, and the program.
func (d *Document) write(ops []*Operation) ([]byte, error) {
	prog, err := d.prog.MarshalBinary()
	if err != nil {
		return nil, err
	}
	out := binary.AppendUvarint([]byte(compiledMagic), uint64(len(ops)))
	for _, o := range ops {
		out = append(binary.AppendUvarint(out, uint64(len(o.ID))), o.ID...)
		list := roots([]*Operation{o})
		out = binary.AppendUvarint(out, uint64(len(list)))
		for _, r := range list {
			out = binary.AppendUvarint(out, uint64(*r.id))
		}
	}
	var text []byte
	if d.answers != nil {
		text = d.answers.packed
	}
	out = append(binary.AppendUvarint(out, uint64(len(text))), text...)
	return append(out, prog...), nil
}

func readCompiled(blob []byte) (*compiled, error) {
	rest, ok := bytes.CutPrefix(blob, []byte(compiledMagic))
	if !ok {
		return nil, errForeign
	}
	r := varints{rest: rest}
	c := &compiled{ids: map[string][]schema.ID{}}
	for n := r.next(len(rest)); n > 0 && !r.failed; n-- {
		name := string(r.text(r.next(len(rest))))
		count := r.next(len(rest))
		list := make([]schema.ID, 0, min(count, 64))
		for ; count > 0 && !r.failed; count-- {
			list = append(list, schema.ID(r.next(1<<32-1)))
		}
		c.ids[name] = list
	}
	c.text = bytes.Clone(r.text(r.next(len(rest))))
	c.prog = r.rest
	if r.failed {
		return nil, errForeign
	}
	return c, nil
}

// use gives a document the program of some operations, and them their ids. Only what they
// reach is kept.
func (c *compiled) use(d *Document, ops []*Operation) error {
	var wanted []schema.ID
	for _, o := range ops {
		list, ok := c.ids[o.ID]
		if !ok || len(list) != len(roots([]*Operation{o})) {
			return errForeign
		}
		wanted = append(wanted, list...)
	}
	if len(wanted) == 0 {
		return errForeign
	}
	prog, got, err := schema.UnmarshalSubset(c.prog, wanted...)
	if err != nil {
		return err
	}
	d.prog = prog
	for i, root := range roots(ops) {
		*root.id = got[i]
	}
	return nil
}

var errForeign = errors.New("not a compiled contract of this version")

// varints reads numbers and texts from the front of a blob.
type varints struct {
	rest   []byte
	failed bool
}

// next reads a number of at most limit; 0 after a fault.
func (v *varints) next(limit int) int {
	n, size := binary.Uvarint(v.rest)
	if v.failed || size <= 0 || n > uint64(limit) {
		v.failed = true
		return 0
	}
	v.rest = v.rest[size:]
	return int(n)
}

func (v *varints) text(n int) []byte {
	if v.failed || n > len(v.rest) {
		v.failed = true
		return nil
	}
	out := v.rest[:n]
	v.rest = v.rest[n:]
	return out
}
