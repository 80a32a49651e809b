package schema

import (
	"strings"

	"sallyport/internal/tape"
)

// PathText writes a path in the grammar of parameter paths: line_items[0].quantity. With
// every, elements are written [] instead of their index. A name that the grammar cannot
// write stands in braces: metadata{"a b"}.
func PathText(path []Step, every bool) string {
	var b strings.Builder
	for _, s := range path {
		switch {
		case s.Index >= 0 && every:
			b.WriteString("[]")
		case s.Index >= 0:
			b.WriteString("[" + itoa(s.Index) + "]")
		default:
			writeName(&b, s.Name)
		}
	}
	return b.String()
}

func writeName(b *strings.Builder, name string) {
	shown := tape.ShowName(name)
	switch {
	case !pathName(name) || shown[0] != '"':
		b.WriteString("{" + shown + "}")
	case b.Len() == 0:
		b.WriteString(name)
	default:
		b.WriteString("." + name)
	}
}

func pathName[T ~string | ~[]byte](s T) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '$' || c == ':') {
			return false
		}
	}
	return len(s) > 0
}
