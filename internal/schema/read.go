package schema

import (
	"sallyport/internal/tape"
)

// object reads the keywords of one schema object. It is made for each and thrown away.
type reader struct {
	c    *Compiler
	at   place
	t    *tape.Tape
	keys map[string]int // keyword → node
}

func (c *Compiler) reader(at place) *reader {
	r := &reader{c: c, at: at, t: c.docs[at.doc].t, keys: map[string]int{}}
	n := &r.t.Nodes[at.node]
	for i := at.node + 1; i < int(n.Next); i = int(r.t.Nodes[i].Next) {
		r.keys[string(r.t.Key(i))] = i
	}
	return r
}

// drop makes the reader blind for keywords.
func (r *reader) drop(keep ...string) {
	kept := map[string]int{}
	for _, k := range keep {
		if i, ok := r.keys[k]; ok {
			kept[k] = i
		}
	}
	r.keys = kept
}

func (r *reader) kind(i int) tape.Kind { return r.t.Nodes[i].Kind }

func (r *reader) place(i int) place { return place{r.at.doc, i} }

func (r *reader) wrong(i int, want string) {
	r.c.fault(r.place(i), "found %s; write %s", describeNode(r.t, i), want)
}

// is gives a keyword that must be of a kind.
func (r *reader) is(key string, kind tape.Kind, want string) (int, bool) {
	i, ok := r.keys[key]
	if !ok {
		return 0, false
	}
	if r.kind(i) != kind {
		r.wrong(i, want)
		return 0, false
	}
	return i, true
}

func (r *reader) object(key string) (int, bool) { return r.is(key, tape.Object, "an object") }
func (r *reader) list(key string) (int, bool)   { return r.is(key, tape.Array, "an array") }

func (r *reader) text(key string) (string, bool) {
	i, ok := r.is(key, tape.String, "a string")
	if !ok {
		return "", false
	}
	return string(r.t.Text(i)), true
}

func (r *reader) flag(key string) bool {
	i, ok := r.keys[key]
	if !ok {
		return false
	}
	if k := r.kind(i); k != tape.True && k != tape.False {
		r.wrong(i, "true or false")
	}
	return r.kind(i) == tape.True
}

// number is a keyword's number as it is written.
func (r *reader) number(key string) (string, bool) {
	i, ok := r.is(key, tape.Number, "a number")
	if !ok {
		return "", false
	}
	return string(r.t.Text(i)), true
}

// count is a keyword's whole number from 0 on; otherwise where it is absent. Numbers beyond
// any value's size are taken for the largest.
func (r *reader) count(key string, otherwise uint32) uint32 {
	i, ok := r.keys[key]
	if !ok {
		return otherwise
	}
	text := r.t.Text(i)
	if r.kind(i) != tape.Number || !readNumber(text).whole() || compareNumbers(text, []byte("0")) < 0 {
		r.wrong(i, "a whole number from 0 on")
		return otherwise
	}
	if compareNumbers(text, []byte("4294967294")) > 0 {
		return noLimit - 1
	}
	n := readNumber(text)
	v := n.coef
	for e := n.exp - int64(n.count); e > 0; e-- {
		v *= 10
	}
	return uint32(v)
}

// each walks over the children of a container.
func (r *reader) each(i int, do func(child int)) {
	for j := i + 1; j < int(r.t.Nodes[i].Next); j = int(r.t.Nodes[j].Next) {
		do(j)
	}
}

// names reads a list of strings, each once.
func (r *reader) names(i int) []string {
	var out []string
	seen := map[string]bool{}
	if r.kind(i) != tape.Array {
		r.wrong(i, "an array of names")
		return nil
	}
	r.each(i, func(j int) {
		if r.kind(j) != tape.String {
			r.wrong(j, "a string")
			return
		}
		if s := string(r.t.Text(j)); !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	})
	return out
}

// schema is the schema under a keyword.
func (r *reader) schema(key string) (ID, bool) {
	i, ok := r.keys[key]
	if !ok {
		return Nothing, false
	}
	return r.c.id(r.place(i)), true
}
