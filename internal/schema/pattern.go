package schema

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxPatternText is the longest string, in bytes, that is matched with a pattern; longer ones are refused.
	maxPatternText = 4096
	// maxPatternSource is the longest pattern that is compiled, in bytes.
	maxPatternSource = 16 << 10
	// maxRepeat is the largest count in braces that RE2 takes; larger ones are written as several.
	maxRepeat = 1000
)

// A PatternError says why a pattern of ECMA-262 (what JSON Schema's `pattern` is written in)
// cannot be matched here. Patterns are matched in linear time by RE2 (package regexp), which
// has no lookaround and no backreferences.
type PatternError struct {
	Pattern string
	Offset  int    // in bytes, where the part that cannot be expressed begins
	What    string // what stands there and why not, with what to write instead where there is something
}

func (e *PatternError) Error() string {
	return fmt.Sprintf("pattern %s, character %d: %s", strconv.Quote(e.Pattern), utf8.RuneCountInString(e.Pattern[:e.Offset])+1, e.What)
}

// compilePattern compiles a pattern of ECMA-262 in Unicode mode, as JSON Schema wants it. It is
// more generous than Unicode mode where what a pattern means cannot be mistaken: needless
// escapes of punctuation (\-, \_, \"), braces and brackets that are not closed or opened, and a
// leading (?i), which other dialects have and provider documents use. Everything else that RE2
// would read differently from ECMA-262 is translated; what cannot be is refused by name.
func compilePattern(source string) (*pattern, error) {
	text, err := translatePattern(source)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, &PatternError{source, 0, "RE2, which matches patterns, does not take it: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")}
	}
	return &pattern{source: source, re: re, run: newRunner(text)}, nil
}

// CheckPattern says why a pattern of ECMA-262 cannot be matched here: a *PatternError; nil: it can.
func CheckPattern(source string) error {
	_, err := compilePattern(source)
	return err
}

// A pattern is a compiled pattern. It is safe for concurrent use.
type pattern struct {
	source string // as the schema writes it
	re     *regexp.Regexp
	run    *runner // where that is enough
}

// match tells whether the pattern is found in text, which is valid UTF-8 of at most
// maxPatternText bytes; what is longer is for the caller to refuse.
func (p *pattern) match(text []byte) bool {
	if p.run != nil {
		return p.run.match(text)
	}
	return p.re.Match(text)
}

// translatePattern writes the RE2 pattern that matches what the ECMA-262 pattern matches.
func translatePattern(pattern string) (string, error) {
	switch {
	case len(pattern) > maxPatternSource:
		return "", &PatternError{pattern[:40], 0, fmt.Sprintf("longer than %d bytes", maxPatternSource)}
	case !utf8.ValidString(pattern):
		return "", &PatternError{pattern, 0, "not UTF-8"}
	}
	p := patternReader{src: pattern}
	if strings.HasPrefix(pattern, "(?i)") {
		p.out.WriteString("(?i)")
		p.pos = 4
	}
	if err := p.disjunction(0); err != nil {
		return "", err
	}
	if p.pos < len(p.src) {
		return "", p.refuse(p.pos, "a ) that closes nothing; write \\)")
	}
	return p.out.String(), nil
}

// patternReader reads a pattern by the grammar of ECMA-262 §22.2.1 and writes as it goes.
type patternReader struct {
	src      string
	pos      int
	out      strings.Builder
	anything bool // also what RE2 cannot express: only whether it is a pattern of ECMA-262 is asked
}

// isPattern tells whether text is a pattern of ECMA-262, also one that cannot be matched here.
func isPattern(text string) bool {
	p := patternReader{src: text, anything: true}
	return len(text) <= maxPatternSource && p.disjunction(0) == nil && p.pos == len(text)
}

func (p *patternReader) refuse(at int, what string) error { return &PatternError{p.src, at, what} }

func (p *patternReader) rest() string { return p.src[p.pos:] }

func (p *patternReader) next() rune {
	r, n := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += n
	return r
}

// disjunction reads up to the end or to the parenthesis that closes the group.
func (p *patternReader) disjunction(depth int) error {
	if depth > 200 {
		return p.refuse(p.pos, "groups more than 200 deep")
	}
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; c {
		case ')':
			return nil
		case '|':
			p.pos++
			p.out.WriteByte('|')
		case '^', '$':
			// Without the flag m they are the ends of the text in both dialects: RE2 needs \z,
			// because its $ is the same only by the flags that package regexp sets.
			p.pos++
			p.out.WriteString(map[byte]string{'^': `\A`, '$': `\z`}[c])
			if p.pos < len(p.src) && strings.IndexByte("*+?", p.src[p.pos]) >= 0 {
				return p.refuse(p.pos, "nothing to repeat")
			}
		default:
			if err := p.term(depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// term reads one atom and how often it is repeated.
func (p *patternReader) term(depth int) error {
	start := p.out.Len()
	assertion, err := p.atom(depth)
	if err != nil {
		return err
	}
	at := p.pos
	low, high, ok, err := p.quantifier()
	switch {
	case err != nil:
		return err
	case !ok:
		return nil
	case assertion && !p.anything:
		return p.refuse(at, `\b and \B cannot be repeated`)
	}
	lazy := ""
	if strings.HasPrefix(p.rest(), "?") {
		p.pos++
		lazy = "?"
	}
	whole := p.out.String()
	p.out.Reset()
	p.out.WriteString(whole[:start])
	p.repeat(whole[start:], low, high, lazy)
	return nil
}

// quantifier reads *, +, ? or braces. high is -1 for no end. A brace that is none is a literal.
func (p *patternReader) quantifier() (low, high int, ok bool, err error) {
	at := p.pos
	switch {
	case at == len(p.src):
		return 0, 0, false, nil
	case p.src[at] == '*':
		low, high = 0, -1
	case p.src[at] == '+':
		low, high = 1, -1
	case p.src[at] == '?':
		low, high = 0, 1
	case p.src[at] == '{':
		n := 0
		if low, high, n = readBraces(p.src[at:]); n == 0 {
			return 0, 0, false, nil
		}
		p.pos += n - 1
		if high >= 0 && high < low {
			return 0, 0, false, p.refuse(at, "a repetition whose end is below its start")
		}
	default:
		return 0, 0, false, nil
	}
	p.pos++
	if strings.IndexByte("*+{", firstByte(p.rest())) >= 0 && !(firstByte(p.rest()) == '{' && !isBraces(p.rest())) {
		return 0, 0, false, p.refuse(p.pos, "nothing to repeat; possessive repetition does not exist in ECMA-262")
	}
	return low, high, true, nil
}

func firstByte(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

func isBraces(s string) bool {
	_, _, n := readBraces(s)
	return n > 0
}

// readBraces reads {n}, {n,} or {n,m}; n is 0 if s starts with something else.
func readBraces(s string) (low, high, length int) {
	end := strings.IndexByte(s, '}')
	if end < 2 {
		return 0, 0, 0
	}
	first, second, two := strings.Cut(s[1:end], ",")
	low, ok := readCount(first)
	if !ok {
		return 0, 0, 0
	}
	high = low
	if two {
		if high = -1; second != "" {
			if high, ok = readCount(second); !ok {
				return 0, 0, 0
			}
		}
	}
	return low, high, end + 1
}

func readCount(s string) (int, bool) {
	if s == "" {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int(c-'0'), maxPatternText+1)
	}
	return n, true
}

// repeat writes atom as often as wanted. No text is longer than maxPatternText, so an end
// beyond that is no end, and RE2's own limit is met by writing the atom several times.
func (p *patternReader) repeat(atom string, low, high int, lazy string) {
	if high > maxPatternText {
		high = -1
	}
	for low > maxRepeat {
		fmt.Fprintf(&p.out, "%s{%d}", atom, maxRepeat)
		low -= maxRepeat
		if high > 0 {
			high -= maxRepeat
		}
	}
	switch {
	case high < 0 && low == 0:
		p.out.WriteString(atom + "*" + lazy)
	case high < 0 && low == 1:
		p.out.WriteString(atom + "+" + lazy)
	case high < 0:
		fmt.Fprintf(&p.out, "%s{%d,}%s", atom, low, lazy)
	case low == 0 && high == 1:
		p.out.WriteString(atom + "?" + lazy)
	default:
		for high > maxRepeat {
			fmt.Fprintf(&p.out, "%s{%d,%d}%s", atom, low, maxRepeat, lazy)
			low, high = 0, high-maxRepeat
		}
		fmt.Fprintf(&p.out, "%s{%d,%d}%s", atom, low, high, lazy)
	}
}

// atom reads a character, class, escape or group, and tells whether it matches no character (\b, \B).
func (p *patternReader) atom(depth int) (assertion bool, err error) {
	at := p.pos
	switch c := p.next(); c {
	case '.':
		p.out.WriteString(`[^\n\r\x{2028}\x{2029}]`)
	case '(':
		return false, p.group(at, depth)
	case '[':
		return false, p.class(at)
	case '\\':
		return p.escape(at)
	case '*', '+', '?':
		return false, p.refuse(at, "nothing to repeat")
	case '{':
		if isBraces(p.src[at:]) {
			return false, p.refuse(at, "nothing to repeat")
		}
		p.out.WriteString(`\{`)
	default:
		writeRune(&p.out, c)
	}
	return false, nil
}

func (p *patternReader) group(at, depth int) error {
	open := "(?:"
	if strings.HasPrefix(p.rest(), "?") {
		head, err := p.groupHead(at)
		if err != nil {
			return err
		}
		open = head
	}
	p.out.WriteString(open)
	if err := p.disjunction(depth + 1); err != nil {
		return err
	}
	if p.pos >= len(p.src) {
		return p.refuse(at, "a ( that is not closed; write \\( for the character")
	}
	p.pos++
	p.out.WriteByte(')')
	return nil
}

// groupHead reads what follows the parenthesis of a group that begins with (?.
func (p *patternReader) groupHead(at int) (string, error) {
	rest := p.rest()
	for prefix, name := range map[string]string{"?=": "lookahead", "?!": "negative lookahead", "?<=": "lookbehind", "?<!": "negative lookbehind"} {
		if strings.HasPrefix(rest, prefix) {
			if p.anything {
				p.pos += len(prefix)
				return "(?:", nil
			}
			return "", p.refuse(at, "a "+name+" ("+prefix+"…): RE2, which matches in linear time, has none; write what may stand there, or move the rule into `not` or `allOf`")
		}
	}
	if strings.HasPrefix(rest, "?:") {
		p.pos += 2
		return "(?:", nil
	}
	if strings.HasPrefix(rest, "?<") {
		if end := strings.IndexByte(rest, '>'); end > 2 {
			p.pos += end + 1
			return "(?:", nil
		}
		return "", p.refuse(at, "a group name that is not closed")
	}
	if colon := strings.IndexByte(rest, ':'); colon > 1 && strings.Trim(rest[1:colon], "ims-") == "" && strings.Count(rest[1:colon], "-") < 2 {
		// ECMA-262 §22.2.1: modifiers. m would change ^ and $, which are written without it here.
		if strings.Contains(rest[1:colon], "m") || strings.Contains(rest[1:colon], "s") {
			return "", p.refuse(at, "the modifiers m and s; write [^] for any character")
		}
		p.pos += colon + 1
		return "(" + rest[:colon+1], nil
	}
	return "", p.refuse(at, "a group that ECMA-262 does not have; write (?:…)")
}

// Character classes whose meaning differs: RE2's \s lacks most of Unicode's white space.
const (
	spaceSet    = `\t-\r \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}`
	nonSpaceSet = `\x00-\x08\x0E-\x1F!-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{FEFE}\x{FF00}-\x{10FFFF}`
)

// escape reads what follows a backslash outside a class.
func (p *patternReader) escape(at int) (assertion bool, err error) {
	if p.pos >= len(p.src) {
		return false, p.refuse(at, "a backslash at the end; write \\\\")
	}
	switch c := p.src[p.pos]; {
	case c == 'b' || c == 'B':
		p.pos++
		p.out.WriteString(`\` + string(c))
		return true, nil
	case p.anything && c >= '1' && c <= '9':
		p.pos++
		return true, nil
	case p.anything && c == 'k' && strings.HasPrefix(p.rest(), "k<") && strings.Contains(p.rest(), ">"):
		p.pos += strings.IndexByte(p.rest(), '>') + 1
		return true, nil
	case c >= '1' && c <= '9', c == 'k':
		return false, p.refuse(at, `a backreference (\`+string(c)+"): RE2, which matches in linear time, has none; write the text again, or list the cases with |")
	}
	set, r, err := p.classEscape(at)
	switch {
	case err != nil:
		return false, err
	case set != "":
		p.out.WriteString("[" + set + "]")
	default:
		writeRune(&p.out, r)
	}
	return false, nil
}

// classEscape reads an escape that is good inside and outside a class: a set to stand inside
// brackets, or one character.
func (p *patternReader) classEscape(at int) (set string, r rune, err error) {
	switch c := p.next(); c {
	case 'd', 'D', 'w', 'W':
		return `\` + string(c), 0, nil
	case 's':
		return spaceSet, 0, nil
	case 'S':
		return nonSpaceSet, 0, nil
	case 'p', 'P':
		set, err = p.property(at, c == 'P')
		return set, 0, err
	case 't':
		return "", '\t', nil
	case 'n':
		return "", '\n', nil
	case 'v':
		return "", '\v', nil
	case 'f':
		return "", '\f', nil
	case 'r':
		return "", '\r', nil
	case 'c':
		if l := firstByte(p.rest()) | 0x20; l >= 'a' && l <= 'z' {
			p.pos++
			return "", rune(l & 0x1f), nil
		}
		return "", 0, p.refuse(at, `\c without a letter`)
	case '0':
		if d := firstByte(p.rest()); d >= '0' && d <= '9' {
			return "", 0, p.refuse(at, `an octal escape; write \xHH`)
		}
		return "", 0, nil
	case 'x':
		r, err = p.hex(at, 2)
		return "", r, err
	case 'u':
		r, err = p.unicodeEscape(at)
		return "", r, err
	default:
		if c < utf8.RuneSelf && (unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return "", 0, p.refuse(at, `\`+string(c)+", which ECMA-262 does not have"+perlHint(c))
		}
		return "", c, nil
	}
}

func perlHint(c rune) string {
	switch c {
	case 'A':
		return "; write ^"
	case 'z', 'Z':
		return "; write $"
	case 'h':
		return `; write [ \t]`
	case 'a':
		return `; write \x07`
	case 'e':
		return `; write \x1B`
	}
	return ""
}

func (p *patternReader) hex(at, n int) (rune, error) {
	if len(p.rest()) >= n {
		if v, err := strconv.ParseUint(p.rest()[:n], 16, 32); err == nil {
			p.pos += n
			return rune(v), nil
		}
	}
	return 0, p.refuse(at, fmt.Sprintf("an escape that wants %d hexadecimal digits", n))
}

// unicodeEscape reads HHHH, a surrogate pair HHHH\uHHHH, or {H…}.
func (p *patternReader) unicodeEscape(at int) (rune, error) {
	if strings.HasPrefix(p.rest(), "{") {
		end := strings.IndexByte(p.rest(), '}')
		if end > 1 {
			if v, err := strconv.ParseUint(p.rest()[1:end], 16, 32); err == nil && v <= unicode.MaxRune {
				p.pos += end + 1
				return p.scalar(at, rune(v))
			}
		}
		return 0, p.refuse(at, `a \u{…} that is no code point`)
	}
	r, err := p.hex(at, 4)
	if err != nil {
		return 0, err
	}
	if r >= 0xD800 && r <= 0xDBFF && strings.HasPrefix(p.rest(), `\u`) {
		saved := p.pos
		p.pos += 2
		if low, err := p.hex(at, 4); err == nil && low >= 0xDC00 && low <= 0xDFFF {
			return (r-0xD800)<<10 + (low - 0xDC00) + 0x10000, nil
		}
		p.pos = saved
	}
	return p.scalar(at, r)
}

func (p *patternReader) scalar(at int, r rune) (rune, error) {
	if r >= 0xD800 && r <= 0xDFFF {
		return 0, p.refuse(at, "half of a surrogate pair, which no text in UTF-8 has; write the whole character")
	}
	return r, nil
}

// class reads […] with its opening bracket already read.
func (p *patternReader) class(at int) error {
	negated := strings.HasPrefix(p.rest(), "^")
	if negated {
		p.pos++
	}
	var b strings.Builder
	for {
		if p.pos >= len(p.src) {
			return p.refuse(at, "a [ that is not closed; write \\[ for the character")
		}
		if p.src[p.pos] == ']' {
			p.pos++
			break
		}
		if err := p.classMember(&b); err != nil {
			return err
		}
	}
	switch {
	case b.Len() == 0 && negated:
		p.out.WriteString(`[\x00-\x{10FFFF}]`)
	case b.Len() == 0:
		p.out.WriteString(`[^\x00-\x{10FFFF}]`)
	case negated:
		p.out.WriteString("[^" + b.String() + "]")
	default:
		p.out.WriteString("[" + b.String() + "]")
	}
	return nil
}

// classMember reads one character, set or range. A hyphen beside a set is a hyphen.
func (p *patternReader) classMember(b *strings.Builder) error {
	at := p.pos
	set, low, err := p.classAtom()
	if err != nil {
		return err
	}
	if set != "" {
		b.WriteString(set)
		return nil
	}
	rest := p.rest()
	if !strings.HasPrefix(rest, "-") || len(rest) < 2 || rest[1] == ']' {
		writeRune(b, low)
		return nil
	}
	p.pos++
	set, high, err := p.classAtom()
	switch {
	case err != nil:
		return err
	case set != "":
		writeRune(b, low)
		writeRune(b, '-')
		b.WriteString(set)
		return nil
	case high < low:
		return p.refuse(at, fmt.Sprintf("a range from %q down to %q; write the hyphen last, or \\-", low, high))
	}
	writeRune(b, low)
	b.WriteByte('-')
	writeRune(b, high)
	return nil
}

func (p *patternReader) classAtom() (set string, r rune, err error) {
	at := p.pos
	c := p.next()
	if c != '\\' {
		return "", c, nil
	}
	switch first := firstByte(p.rest()); {
	case first == 0:
		return "", 0, p.refuse(at, "a backslash at the end; write \\\\")
	case first == 'b':
		p.pos++
		return "", '\b', nil
	case first == 'B' || first == 'k':
		return "", 0, p.refuse(at, `\`+string(first)+" inside a class")
	case first >= '1' && first <= '9':
		return "", 0, p.refuse(at, `an octal escape; write \xHH`)
	}
	return p.classEscape(at)
}

// writeRune writes one literal character so that it means itself inside and outside brackets.
func writeRune(b *strings.Builder, r rune) {
	switch {
	case r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == ' '):
		b.WriteRune(r)
	case r > 0x20 && r < 0x7F:
		b.WriteByte('\\')
		b.WriteRune(r)
	default:
		fmt.Fprintf(b, `\x{%X}`, r)
	}
}

// property reads the braces of \p{…} and gives the set.
func (p *patternReader) property(at int, negated bool) (string, error) {
	rest := p.rest()
	end := strings.IndexByte(rest, '}')
	if !strings.HasPrefix(rest, "{") || end < 2 {
		return "", p.refuse(at, `\p without {Property}`)
	}
	p.pos += end + 1
	set, ok := propertySet(rest[1:end])
	if !ok {
		return "", p.refuse(at, "the Unicode property "+rest[1:end]+", which RE2 does not have; write its characters or a general category such as \\p{L}")
	}
	if !negated {
		return set, nil
	}
	if strings.HasPrefix(set, `\p{`) && strings.Count(set, `\`) == 1 {
		return `\P` + set[2:], nil
	}
	return "", p.refuse(at, "the complement of "+rest[1:end]+"; write [^\\p{"+rest[1:end]+"}]")
}

// propertySet knows general categories, scripts and those binary properties that are made of
// general categories (Unicode 15, DerivedCoreProperties.txt) or that package unicode lists.
func propertySet(name string) (string, bool) {
	key, value, two := strings.Cut(name, "=")
	if two {
		switch key {
		case "General_Category", "gc", "Script", "sc":
			name = value
		default:
			return "", false
		}
	}
	derived := map[string]string{
		"Alphabetic": `\p{L}\p{Nl}` + tableSet(unicode.Other_Alphabetic), "Alpha": `\p{L}\p{Nl}` + tableSet(unicode.Other_Alphabetic),
		"Uppercase": `\p{Lu}` + tableSet(unicode.Other_Uppercase), "Upper": `\p{Lu}` + tableSet(unicode.Other_Uppercase),
		"Lowercase": `\p{Ll}` + tableSet(unicode.Other_Lowercase), "Lower": `\p{Ll}` + tableSet(unicode.Other_Lowercase),
	}
	if set, ok := derived[name]; ok && !two {
		return set, true
	}
	if table, ok := unicode.Properties[name]; ok && !two {
		return tableSet(table), true
	}
	if strings.ContainsAny(name, "^{}\\") {
		return "", false
	}
	set := `\p{` + name + `}`
	if _, err := regexp.Compile(set); err != nil {
		return "", false
	}
	return set, true
}

// tableSet writes a table's characters as ranges to stand inside brackets.
func tableSet(table *unicode.RangeTable) string {
	var b strings.Builder
	add := func(low, high, stride rune) {
		if stride == 1 {
			fmt.Fprintf(&b, `\x{%X}-\x{%X}`, low, high)
			return
		}
		for r := low; r <= high; r += stride {
			fmt.Fprintf(&b, `\x{%X}`, r)
		}
	}
	for _, r := range table.R16 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range table.R32 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	return b.String()
}
