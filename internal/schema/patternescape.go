package schema

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

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
