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
const compiledMagic = "sallyport contract 1\n"

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

// fromCache takes the program of ops from the cache: from the whole document's, which has
// all that is wanted, or from that of exactly these operations.
func (d *Document) fromCache(ops []*Operation, data []byte, o Options) bool {
	keys := []string{cacheKey(data, nil)}
	if o.Only != nil {
		keys = append(keys, cacheKey(data, o.Only))
	}
	for _, key := range keys {
		blob, ok := o.Cache.Load(key)
		if !ok {
			continue
		}
		if prog, err := unpack(ops, blob); err == nil {
			d.prog = prog
			return true
		}
	}
	return false
}

// pack writes the ids of every operation's schemas, and the program.
func pack(ops []*Operation, prog *schema.Program) ([]byte, error) {
	text, err := prog.MarshalBinary()
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
	return append(out, text...), nil
}

var errForeign = errors.New("not a compiled contract of this version")

// unpack reads what pack wrote, for some of the operations, and sets their ids. It keeps
// only what they reach.
func unpack(ops []*Operation, blob []byte) (*schema.Program, error) {
	rest, ok := bytes.CutPrefix(blob, []byte(compiledMagic))
	if !ok {
		return nil, errForeign
	}
	r := varints{rest: rest}
	ids := map[string][]schema.ID{}
	for range r.next(len(rest)) {
		name := string(r.text(r.next(len(rest))))
		list := make([]schema.ID, 0, 8)
		for range r.next(len(rest)) {
			list = append(list, schema.ID(r.next(1<<32-1)))
		}
		ids[name] = list
	}
	var wanted []schema.ID
	for _, o := range ops {
		list, ok := ids[o.ID]
		if !ok || len(list) != len(roots([]*Operation{o})) {
			return nil, errForeign
		}
		wanted = append(wanted, list...)
	}
	if r.failed || len(wanted) == 0 {
		return nil, errForeign
	}
	prog, got, err := schema.UnmarshalSubset(r.rest, wanted...)
	if err != nil {
		return nil, err
	}
	for i, root := range roots(ops) {
		*root.id = got[i]
	}
	return prog, nil
}

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
