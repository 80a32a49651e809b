package contract

import (
	"fmt"
	"strconv"
	"strings"
)

// Path names a parameter or a field: line_items[0].price_data.unit_amount. It is
// the one grammar used in configuration, faults, permits and documents:
//
//	path  = name *( "." name / "[" index "]" / "[]" )
//	name  = 1*( ALPHA / DIGIT / "_" / "-" / "$" / ":" )   first step only from the operation's names
//	index = 1*6 DIGIT, without leading zeros
//
// "[]" means every element of an array. A Path is immutable.
type Path struct{ steps []Step }

// Step is one step of a Path: a name, an index, or every element.
type Step struct {
	Name  string // set when it is a name
	Index int    // the element, when Name is empty; Every for []
}

// Every is the Index of a "[]" step.
const Every = -1

// ParsePath reads a path. The error says what was found and where.
func ParsePath(s string) (Path, error) {
	var p Path
	if s == "" {
		return p, fmt.Errorf("a parameter path is empty; write a name such as amount or line_items[0].quantity")
	}
	for i := 0; i < len(s); {
		switch {
		case s[i] == '[':
			end := strings.IndexByte(s[i:], ']')
			if end < 0 || len(p.steps) == 0 {
				return Path{}, fmt.Errorf("%q: the bracket at column %d is not a valid index; write name[0] or name[]", s, i+1)
			}
			index, err := parseIndex(s[i+1 : i+end])
			if err != nil {
				return Path{}, fmt.Errorf("%q: column %d: %w", s, i+2, err)
			}
			p.steps = append(p.steps, Step{Index: index})
			i += end + 1
		default:
			if s[i] == '.' && len(p.steps) > 0 {
				i++
			} else if len(p.steps) > 0 {
				return Path{}, fmt.Errorf("%q: column %d: expected . or [ after ]", s, i+1)
			}
			end := i
			for end < len(s) && nameByte(s[end]) {
				end++
			}
			if end == i {
				return Path{}, fmt.Errorf("%q: column %d: expected a name", s, i+1)
			}
			p.steps = append(p.steps, Step{Name: s[i:end]})
			i = end
			if i < len(s) && s[i] != '.' && s[i] != '[' {
				return Path{}, fmt.Errorf("%q: column %d: %q cannot stand in a name", s, i+1, s[i])
			}
		}
	}
	return p, nil
}

func parseIndex(s string) (int, error) {
	if s == "" {
		return Every, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 999999 || strconv.Itoa(n) != s {
		return 0, fmt.Errorf("%q is not an index; write a number such as 0, or nothing for every element", s)
	}
	return n, nil
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '-' || c == '$' || c == ':'
}

// Steps returns the steps; the slice must not be changed.
func (p Path) Steps() []Step { return p.steps }

// Root is the first name: the operation's own parameter.
func (p Path) Root() string {
	if len(p.steps) == 0 {
		return ""
	}
	return p.steps[0].Name
}

// String writes the path as ParsePath reads it.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p.steps {
		switch {
		case s.Name != "" && i > 0:
			b.WriteByte('.')
			b.WriteString(s.Name)
		case s.Name != "":
			b.WriteString(s.Name)
		case s.Index == Every:
			b.WriteString("[]")
		default:
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
		}
	}
	return b.String()
}

// Child returns p with one more name.
func (p Path) Child(name string) Path { return p.with(Step{Name: name}) }

// At returns p with one more index.
func (p Path) At(i int) Path { return p.with(Step{Index: i}) }

func (p Path) with(s Step) Path {
	steps := make([]Step, len(p.steps)+1)
	copy(steps, p.steps)
	steps[len(p.steps)] = s
	return Path{steps: steps}
}

// Covers reports whether q is p or lies below it. "[]" in p covers every index.
func (p Path) Covers(q Path) bool {
	if len(p.steps) > len(q.steps) {
		return false
	}
	for i, s := range p.steps {
		t := q.steps[i]
		if s.Name != t.Name || s.Name == "" && s.Index != Every && s.Index != t.Index {
			return false
		}
	}
	return true
}

// Overlaps reports whether p and q could name the same value, or one lies in
// the other: p is at, above or below q.
func (p Path) Overlaps(q Path) bool {
	for i := 0; i < len(p.steps) && i < len(q.steps); i++ {
		s, t := p.steps[i], q.steps[i]
		if s.Name != t.Name {
			return false
		}
		if s.Name == "" && s.Index != t.Index && s.Index != Every && t.Index != Every {
			return false
		}
	}
	return true
}
