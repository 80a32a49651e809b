package schema

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// Most patterns of providers are one line of character classes with counts between ^ and $,
// such as ^AC[0-9a-fA-F]{32}$. These are matched here in one pass without package regexp, which
// took a seventh of the time for that one.

// runner is such a pattern.
type runner struct {
	parts []part
	open  bool // no $: what comes behind does not matter
}

// part is one class of characters, repeated.
type part struct {
	ascii    [2]uint64 // bits of the characters below 128
	above    []rune    // ranges of the others, in pairs
	min, max int       // max -1: no end
}

// newRunner gives the runner of a pattern in RE2's words, or nil where it takes more than that.
//
// A part with a varying count takes all it can. That is right where what may follow shares no
// character with it: then there is only one way to divide the text.
func newRunner(text string) *runner {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil || re.Op != syntax.OpConcat || re.Sub[0].Op != syntax.OpBeginText {
		return nil
	}
	r := &runner{open: true}
	for i, sub := range re.Sub[1:] {
		if sub.Op == syntax.OpEndText && i == len(re.Sub)-2 {
			r.open = false
			break
		}
		if !r.add(sub) {
			return nil
		}
	}
	for i, p := range r.parts {
		if p.min != p.max && r.shares(i) {
			return nil
		}
	}
	return r
}

// add appends what one piece of the expression stands for.
func (r *runner) add(re *syntax.Regexp) bool {
	low, high := 1, 1
	switch re.Op {
	case syntax.OpLiteral:
		for _, c := range re.Rune {
			r.parts = append(r.parts, newPart(literalRanges(c, re.Flags), 1, 1))
		}
		return true
	case syntax.OpStar:
		low, high = 0, -1
	case syntax.OpPlus:
		low, high = 1, -1
	case syntax.OpQuest:
		low, high = 0, 1
	case syntax.OpRepeat:
		low, high = re.Min, re.Max
	case syntax.OpEmptyMatch:
		return true
	}
	if low != 1 || high != 1 {
		re = re.Sub[0]
	}
	ranges := classRanges(re)
	if ranges == nil {
		return false
	}
	r.parts = append(r.parts, newPart(ranges, low, high))
	return true
}

// classRanges gives the characters of an expression that matches one character, else nil.
func classRanges(re *syntax.Regexp) []rune {
	switch re.Op {
	case syntax.OpCharClass:
		return re.Rune
	case syntax.OpAnyChar:
		return []rune{0, unicode.MaxRune}
	case syntax.OpAnyCharNotNL:
		return []rune{0, '\n' - 1, '\n' + 1, unicode.MaxRune}
	case syntax.OpLiteral:
		if len(re.Rune) == 1 {
			return literalRanges(re.Rune[0], re.Flags)
		}
	}
	return nil
}

func literalRanges(c rune, flags syntax.Flags) []rune {
	ranges := []rune{c, c}
	if flags&syntax.FoldCase != 0 {
		for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
			ranges = append(ranges, f, f)
		}
	}
	return ranges
}

func newPart(ranges []rune, low, high int) part {
	p := part{min: low, max: high}
	for i := 0; i < len(ranges); i += 2 {
		for c := ranges[i]; c <= min(ranges[i+1], utf8.RuneSelf-1); c++ {
			p.ascii[c>>6] |= 1 << (c & 63)
		}
		if ranges[i+1] >= utf8.RuneSelf {
			p.above = append(p.above, max(ranges[i], utf8.RuneSelf), ranges[i+1])
		}
	}
	return p
}

// shares tells whether part i has a character in common with what may follow it.
func (r *runner) shares(i int) bool {
	for _, next := range r.parts[i+1:] {
		if r.parts[i].meets(&next) {
			return true
		}
		if next.min > 0 {
			break
		}
	}
	return false
}

func (p *part) meets(q *part) bool {
	if p.ascii[0]&q.ascii[0] != 0 || p.ascii[1]&q.ascii[1] != 0 {
		return true
	}
	for i := 0; i < len(p.above); i += 2 {
		for j := 0; j < len(q.above); j += 2 {
			if p.above[i] <= q.above[j+1] && q.above[j] <= p.above[i+1] {
				return true
			}
		}
	}
	return false
}

// match tells whether the text, which is valid UTF-8, fits.
func (r *runner) match(text []byte) bool {
	pos := 0
	for i := range r.parts {
		p := &r.parts[i]
		n := 0
		for pos < len(text) && n != p.max {
			c := text[pos]
			if c < utf8.RuneSelf {
				if p.ascii[c>>6]>>(c&63)&1 == 0 {
					break
				}
				pos++
			} else {
				size := p.takes(text[pos:])
				if size == 0 {
					break
				}
				pos += size
			}
			n++
		}
		if n < p.min {
			return false
		}
	}
	return r.open || pos == len(text)
}

// takes gives the length of the character that text begins with, or 0 where it is none of the part's.
func (p *part) takes(text []byte) int {
	c, size := utf8.DecodeRune(text)
	for i := 0; i < len(p.above); i += 2 {
		if c >= p.above[i] && c <= p.above[i+1] {
			return size
		}
	}
	return 0
}
