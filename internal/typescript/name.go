package typescript

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// names gives types names that are used once.
type names struct{ taken map[string]bool }

func newNames() *names {
	n := &names{taken: map[string]bool{}}
	for _, name := range []string{"Connections", "Connection", "Operation", "Params", "Result", "Arguments", "CallOptions", "PermitOptions", "PriceList", "Fault",
		"Outcome", "Problem", "ProblemCode", "PublicValues", "Promise", "Record", "AbortSignal", "Error", "NonNullable"} {
		n.taken[name] = true
	}
	return n
}

// take gives want, or want with a number where it is taken.
func (n *names) take(want string) string {
	if want == "" || want[0] >= '0' && want[0] <= '9' {
		want = "C" + want
	}
	name := want
	for i := 2; n.taken[name]; i++ {
		name = want + "_" + strconv.Itoa(i)
	}
	n.taken[name] = true
	return name
}

// classes numbers shapes so that two have the same number if nothing tells them apart,
// however deep: schemas that are used in many places become one type. It starts with
// what each shape is by itself and looks one level deeper until that tells no more apart.
func classes(roots []*shape) map[*shape]int {
	all := reachable(roots)
	own, count := numbered(all, func(s *shape, _ []byte) []byte { return []byte(s.itself()) })
	for class := own; ; {
		next, n := numbered(all, func(s *shape, key []byte) []byte { return s.around(key, own[s], class) })
		if class = next; n == count {
			return class
		}
		count = n
	}
}

// numbered gives shapes with the same key the same number, and says how many there are.
func numbered(all []*shape, key func(s *shape, buffer []byte) []byte) (class map[*shape]int, count int) {
	class = make(map[*shape]int, len(all))
	ids := map[string]int{}
	var buffer []byte
	for _, s := range all {
		buffer = key(s, buffer[:0])
		id, ok := ids[string(buffer)]
		if !ok {
			id = len(ids)
			ids[string(buffer)] = id
		}
		class[s] = id
	}
	return class, len(ids)
}

func reachable(roots []*shape) []*shape {
	var all []*shape
	seen := map[*shape]bool{}
	var add func(s *shape)
	add = func(s *shape) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		all = append(all, s)
		s.each(add)
	}
	for _, s := range roots {
		add(s)
	}
	return all
}

// each visits the shapes directly below s.
func (s *shape) each(visit func(*shape)) {
	for _, p := range s.parts {
		visit(p)
	}
	for _, m := range s.members {
		visit(m.shape)
	}
	for _, p := range []*shape{s.rest, s.others} {
		if p != nil {
			visit(p)
		}
	}
}

// itself is what a shape is without the shapes below it.
func (s *shape) itself() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %q %v %v", s.kind, s.least, s.text, s.rest != nil, s.others != nil)
	for _, m := range s.members {
		fmt.Fprintf(&b, " %q %v %q", m.name, m.optional, m.doc)
	}
	return b.String()
}

// around appends what a shape is, and the classes directly below it. The order of a
// union's parts does not matter.
func (s *shape) around(key []byte, own int, class map[*shape]int) []byte {
	key = binary.AppendUvarint(key, uint64(own))
	var below []int
	s.each(func(p *shape) { below = append(below, class[p]) })
	if s.kind == union {
		slices.Sort(below)
		below = slices.Compact(below)
	}
	key = binary.AppendUvarint(key, uint64(len(below)))
	for _, id := range below {
		key = binary.AppendUvarint(key, uint64(id))
	}
	return key
}
