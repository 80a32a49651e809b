package contract

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
)

// Args is one call's parameters: a JSON-like tree by parameter name, made of string,
// json.Number, bool, nil, []any and map[string]any. The zero value is empty and ready
// to use. It is not safe for concurrent change.
type Args struct{ tree map[string]any }

// NewArgs copies a tree. Go integers and floats become json.Number; a value of
// another type becomes its JSON form.
func NewArgs(tree map[string]any) Args {
	out := make(map[string]any, len(tree))
	for k, v := range tree {
		out[k] = normal(v)
	}
	return Args{tree: out}
}

// normal copies v into the types of a tree.
func normal(v any) any {
	switch v := v.(type) {
	case nil, string, bool, json.Number:
		return v
	case int:
		return json.Number(strconv.Itoa(v))
	case int64:
		return json.Number(strconv.FormatInt(v, 10))
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = normal(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = normal(v[k])
		}
		return out
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	out, err := readJSON(text, false)
	if err != nil {
		return nil
	}
	return out
}

// Tree gives the tree itself; changing it changes the Args.
func (a Args) Tree() map[string]any { return a.tree }

// Clone copies a deeply.
func (a Args) Clone() Args { return NewArgs(a.tree) }

// Get finds the value at a path with concrete indexes. A "[]" step finds nothing.
func (a Args) Get(p Path) (any, bool) {
	var v any = a.tree
	for _, s := range p.steps {
		switch in := v.(type) {
		case map[string]any:
			next, ok := in[s.Name]
			if s.Name == "" || !ok {
				return nil, false
			}
			v = next
		case []any:
			if s.Name != "" || s.Index < 0 || s.Index >= len(in) {
				return nil, false
			}
			v = in[s.Index]
		default:
			return nil, false
		}
	}
	return v, len(p.steps) > 0
}

// Set puts a value at a path, making the objects and arrays on the way. An index may
// be one that exists or the next one; a step through a value of another kind, or "[]",
// is an error and changes nothing.
func (a *Args) Set(p Path, v any) error {
	if len(p.steps) == 0 || p.steps[0].Name == "" {
		return fmt.Errorf("set a parameter: the path %q does not start with a name", p)
	}
	root, err := put(a.tree, p, 0, normal(v))
	if err != nil {
		return err
	}
	a.tree = root.(map[string]any)
	return nil
}

// put returns node with v at p.steps[i:]; it changes maps and slices only after
// everything below has succeeded.
func put(node any, p Path, i int, v any) (any, error) {
	if i == len(p.steps) {
		return v, nil
	}
	s := p.steps[i]
	if s.Name != "" {
		return putName(node, p, i, v)
	}
	list, ok := node.([]any)
	if node != nil && !ok {
		return nil, fmt.Errorf("set %s: step %d is not in an array", p, i+1)
	}
	if s.Index == Every || s.Index > len(list) {
		return nil, fmt.Errorf("set %s: an index must be at most %d here", p, len(list))
	}
	var old any
	if s.Index < len(list) {
		old = list[s.Index]
	}
	child, err := put(old, p, i+1, v)
	if err != nil {
		return nil, err
	}
	if s.Index == len(list) {
		return append(list, child), nil
	}
	list[s.Index] = child
	return list, nil
}

func putName(node any, p Path, i int, v any) (any, error) {
	m, ok := node.(map[string]any)
	if node != nil && !ok {
		return nil, fmt.Errorf("set %s: step %d is not in an object", p, i+1)
	}
	child, err := put(m[p.steps[i].Name], p, i+1, v)
	if err != nil {
		return nil, err
	}
	if m == nil {
		m = map[string]any{}
	}
	m[p.steps[i].Name] = child
	return m, nil
}

// Leaves lists the path of every leaf and of every empty container, with concrete
// indexes, in the order of names. Names that the path grammar cannot write appear as
// their parent's path: what is not covered by a rule there is not covered at all.
func (a Args) Leaves() []Path {
	var out []Path
	for _, name := range sortedKeys(a.tree) {
		out = leaves(out, Path{steps: []Step{{Name: name}}}, a.tree[name])
	}
	return out
}

func leaves(out []Path, p Path, v any) []Path {
	switch v := v.(type) {
	case map[string]any:
		odd := len(v) == 0
		for _, name := range sortedKeys(v) {
			if !pathName(name) {
				odd = true
				continue
			}
			out = leaves(out, p.Child(name), v[name])
		}
		if odd {
			out = append(out, p)
		}
	case []any:
		if len(v) == 0 {
			return append(out, p)
		}
		for i := range v {
			out = leaves(out, p.At(i), v[i])
		}
	default:
		out = append(out, p)
	}
	return out
}

func pathName(s string) bool {
	for i := 0; i < len(s); i++ {
		if !nameByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
