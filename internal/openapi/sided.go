package openapi

import "sallyport/internal/tape"

// scan is what one schema holds between itself and its references.
type scan struct {
	sided bool   // something is readOnly or writeOnly
	refs  []node // schemas referred to
}

// differs reports whether a schema, or anything that it reaches, is readOnly or writeOnly, so that
// it reads differently in a request and in an answer.
func (x *export) differs(n node) bool {
	if v, ok := x.sided[n]; ok {
		return v
	}
	// Everything that it reaches and that nobody has asked about is decided at once.
	list, from := []node{n}, map[node][]node{}
	seen := map[node]bool{n: true}
	var found []node
	for i := 0; i < len(list); i++ {
		s := x.scan(list[i])
		sided := s.sided
		for _, next := range s.refs {
			if v, known := x.sided[next]; known {
				sided = sided || v
				continue
			}
			from[next] = append(from[next], list[i])
			if !seen[next] {
				seen[next] = true
				list = append(list, next)
			}
		}
		if sided {
			found = append(found, list[i])
		}
	}
	for _, one := range list {
		x.sided[one] = false
	}
	for len(found) > 0 {
		last := found[len(found)-1]
		found = found[:len(found)-1]
		if !x.sided[last] {
			x.sided[last] = true
			found = append(found, from[last]...)
		}
	}
	return x.sided[n]
}

func (x *export) scan(n node) *scan {
	if s, ok := x.refs[n]; ok {
		return s
	}
	s := &scan{}
	x.refs[n] = s
	f := n.file
	for i := n.i; i < n.i+n.size(); i++ {
		at := &f.tape.Nodes[i]
		switch {
		case at.Kind == tape.True:
			if key := string(f.tape.Key(i)); key == "readOnly" || key == "writeOnly" {
				s.sided = true
			}
		case at.Kind == tape.Array && string(f.tape.Key(i)) == neededInRequest:
			s.sided = true
		case at.Kind == tape.Object:
			if r := ref(node{f, i}); r != "" {
				if target, err := x.d.target(node{f, i}, r); err == nil {
					s.refs = append(s.refs, target)
				}
			}
		}
	}
	return s
}
