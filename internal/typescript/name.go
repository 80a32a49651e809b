package typescript

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// names gives types names that are used once.
type names struct{ taken map[string]bool }

func newNames() *names {
	n := &names{taken: map[string]bool{}}
	for _, name := range []string{"Connections", "Connection", "Operation", "Params", "Result", "Arguments", "CallOptions", "Fault",
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
	class := make(map[*shape]int, len(all))
	for count := 0; ; {
		ids := map[string]int{}
		next := make(map[*shape]int, len(all))
		for _, s := range all {
			key := signature(s, class)
			if _, ok := ids[key]; !ok {
				ids[key] = len(ids)
			}
			next[s] = ids[key]
		}
		if class = next; len(ids) == count {
			return class
		}
		count = len(ids)
	}
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

func signature(s *shape, class map[*shape]int) string {
	var b strings.Builder
	of := func(p *shape) int {
		if p == nil {
			return -1
		}
		return class[p]
	}
	fmt.Fprintf(&b, "%d %d %q %d %d", s.kind, s.least, s.text, of(s.rest), of(s.others))
	parts := make([]int, len(s.parts))
	for i, p := range s.parts {
		parts[i] = class[p]
	}
	if s.kind == union {
		slices.Sort(parts)
		parts = slices.Compact(parts)
	}
	fmt.Fprint(&b, parts)
	for _, m := range s.members {
		fmt.Fprintf(&b, " %q %v %d %q", m.name, m.optional, class[m.shape], m.doc)
	}
	return b.String()
}
