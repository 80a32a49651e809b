package schema

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
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
