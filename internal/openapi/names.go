package openapi

import (
	"strconv"
	"strings"
)

// Kebab writes a name of somebody else's as words of lower-case letters and digits with single
// hyphens: createPaymentIntent, create_payment_intent and PaymentIntents.create read alike.
// The result begins with a letter, or is "".
func Kebab(name string) string {
	var b strings.Builder
	runes := []byte(name)
	for i, c := range runes {
		switch {
		case c >= 'A' && c <= 'Z':
			afterLower := i > 0 && (isLower(runes[i-1]) || isDigit(runes[i-1]))
			beforeLower := i > 0 && i+1 < len(runes) && isLower(runes[i+1]) && isUpper(runes[i-1])
			if afterLower || beforeLower {
				b.WriteByte('-')
			}
			b.WriteByte(c + 'a' - 'A')
		case isLower(c), isDigit(c):
			b.WriteByte(c)
		case c == '\'':
		default:
			b.WriteByte('-')
		}
	}
	parts := strings.FieldsFunc(b.String(), func(r rune) bool { return r == '-' })
	out := strings.Join(parts, "-")
	if out != "" && isDigit(out[0]) {
		out = "op-" + out
	}
	return out
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// escapePointer writes a name as a step of a JSON pointer.
func escapePointer(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// madeID is the name of an operation that has none of its own.
func madeID(method, path string) string {
	return Kebab(strings.ToLower(method) + "-" + strings.Map(func(r rune) rune {
		if r == '{' || r == '}' {
			return '-'
		}
		return r
	}, path))
}

// free gives name, or the first of name-2, name-3 … that taken does not know.
func free(name string, taken func(string) bool) string {
	if !taken(name) {
		return name
	}
	for i := 2; ; i++ {
		if next := name + "-" + strconv.Itoa(i); !taken(next) {
			return next
		}
	}
}

// goodName reports whether a name can be written in a parameter path.
func goodName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !isLower(c) && !isUpper(c) && !isDigit(c) && !strings.ContainsRune("_-$:", rune(c)) {
			return false
		}
	}
	return name != ""
}

var nameWords = strings.NewReplacer("<=", "_le", ">=", "_ge", "<", "_lt", ">", "_gt", "[]", "", "[", "_", "]", "", ".", "_", "@", "_at_")

// pathName is a name that can be written in a parameter path: DateSent< is DateSent_lt.
func pathName(name string) string {
	if goodName(name) {
		return name
	}
	var b strings.Builder
	for _, r := range nameWords.Replace(name) {
		if r < 0x80 && goodName(string(r)) {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	if s := strings.Trim(b.String(), "_"); s != "" {
		return s
	}
	return "field"
}

// componentName keeps what a component's name may have.
func componentName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if isLower(c) || isUpper(c) || isDigit(c) || c == '_' || c == '-' || c == '.' {
			b.WriteByte(c)
		} else {
			b.WriteByte('-')
		}
	}
	if s := strings.Trim(b.String(), "-."); s != "" {
		return s
	}
	return "schema"
}

// shape is a method and path without the names of its parameters: two operations of one shape
// could not be told apart.
func shape(method, path string) string {
	var b strings.Builder
	b.WriteString(strings.ToUpper(method) + " ")
	inside := false
	for i := range len(path) {
		switch c := path[i]; {
		case c == '{':
			inside = true
			b.WriteString("{}")
		case c == '}':
			inside = false
		case !inside:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// words shortens a description to its first sentence, on one line, without markup.
func words(s string, limit int) string {
	if len(s) > 4000 {
		s = s[:4000]
	}
	var b strings.Builder
	inTag := false
	for _, r := range s {
		switch {
		case r == '<':
			inTag = true
		case r == '>' && inTag:
			inTag = false
		case inTag:
		case r == '`' || r == '\uFFFD':
		case r < ' ':
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	if inTag { // a < that opens no tag
		text = strings.Join(strings.Fields(strings.ReplaceAll(s, "<", " ")), " ")
	}
	if i := strings.Index(text, ". "); i > 0 {
		text = text[:i+1]
	}
	if len(text) > limit {
		cut := strings.LastIndexByte(text[:limit], ' ')
		if cut < limit/2 {
			for cut = limit; cut > 0 && text[cut]&0xc0 == 0x80; cut-- {
			}
		}
		text = text[:cut] + "…"
	}
	return text
}
