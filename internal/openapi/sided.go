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
	seen := map[node]bool{n: true}
	list := []node{n}
	found := false
	for i := 0; i < len(list) && !found; i++ {
		if v, ok := x.sided[list[i]]; ok {
			found = v
			continue
		}
		s := x.scan(list[i])
		found = s.sided
		for _, next := range s.refs {
			if !seen[next] {
				seen[next] = true
				list = append(list, next)
			}
		}
	}
	if found {
		x.sided[n] = true
		return true
	}
	for _, one := range list { // none of them reaches anything sided
		x.sided[one] = false
	}
	return false
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
