package contract

import (
	"strconv"
	"strings"

	"sallyport/internal/problem"
	"sallyport/internal/schema"
)

// where writes a place as parameter paths do; a name that their grammar cannot write, or
// that looks like a value, stands in braces.
func where(steps []schema.Step) string {
	var b strings.Builder
	for i, s := range steps {
		switch {
		case s.Index >= 0:
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(s.Index))
			b.WriteByte(']')
		case !pathName(s.Name) || !showable(s.Name):
			b.WriteByte('{')
			b.WriteString(showName(s.Name))
			b.WriteByte('}')
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.Name)
		}
	}
	return b.String()
}

// pointer writes a place as a JSON pointer (RFC 6901). A name that looks like a value is
// told by its length, as in where.
func pointer(steps []schema.Step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteByte('/')
		if s.Index >= 0 {
			b.WriteString(strconv.Itoa(s.Index))
			continue
		}
		name := s.Name
		if name != "" && !showable(name) {
			name = "{" + showName(name) + "}"
		}
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// named is the step to a member.
func named(name string) schema.Step { return schema.Step{Name: name, Index: -1} }

// faultAt makes a fault for callers.
func faultAt(steps []schema.Step, found, want, near string) problem.Fault {
	return problem.Fault{Where: where(steps), Pointer: pointer(steps), Found: found, Want: want, Near: near}
}
