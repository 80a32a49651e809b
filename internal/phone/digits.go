package phone

import (
	"regexp"
	"regexp/syntax"
	"slices"
)

// digits is a pattern over the ten digits as a table: one step for each digit, and no
// memory. Patterns of numbering plans know nothing but digits, so the standard library's
// general machine, which takes a microsecond for each, is only needed where a pattern says
// more than that ("$" inside it).
type digits struct {
	next  [][10]uint16 // state 0 is dead: nothing that follows fits
	fits  []bool
	other *regexp.Regexp // where there is no table
}

// Bounds of a table. What passes them is left to the general machine.
const maxStates = 1 << 12

// digitsOf compiles a pattern of a numbering plan; like the plan's other readers it panics
// where the library's own data is no pattern.
func digitsOf(pattern string, whole bool) digits {
	if d, ok := tabled(pattern); ok {
		return d
	}
	if whole {
		pattern = "(?:" + pattern + ")$"
	}
	return digits{other: regexp.MustCompile("^(?:" + pattern + ")")}
}

// tabled makes the table of a pattern: a state is the set of the places that the pattern's
// own program may stand at.
func tabled(pattern string) (d digits, ok bool) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return d, false
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return d, false
	}
	for i := range prog.Inst {
		if prog.Inst[i].Op == syntax.InstEmptyWidth {
			return d, false
		}
	}
	numbers := map[string]uint16{}
	sets := [][]uint32{nil}
	d.next, d.fits = make([][10]uint16, 1), make([]bool, 1)
	state := func(set []uint32) uint16 {
		if len(set) == 0 {
			return 0
		}
		key := keyOf(set)
		if n, known := numbers[key]; known {
			return n
		}
		n := uint16(len(sets))
		numbers[key] = n
		sets, d.next, d.fits = append(sets, set), append(d.next, [10]uint16{}), append(d.fits, matches(prog, set))
		return n
	}
	state(closure(prog, []uint32{uint32(prog.Start)}))
	for at := 1; at < len(sets); at++ {
		if at > maxStates {
			return digits{}, false
		}
		for digit := range 10 {
			d.next[at][digit] = state(closure(prog, stepped(prog, sets[at], rune('0'+digit))))
		}
	}
	return d, true
}

// stepped is where a program stands after a digit.
func stepped(prog *syntax.Prog, set []uint32, digit rune) (out []uint32) {
	for _, pc := range set {
		if i := &prog.Inst[pc]; i.MatchRune(digit) {
			out = append(out, i.Out)
		}
	}
	return out
}

// closure is set with all places that are reached from it without a digit, and only those
// that wait for one or are the end; sorted.
func closure(prog *syntax.Prog, set []uint32) (out []uint32) {
	seen := map[uint32]bool{}
	for len(set) > 0 {
		pc := set[len(set)-1]
		set = set[:len(set)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch i := &prog.Inst[pc]; i.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			set = append(set, i.Out, i.Arg)
		case syntax.InstCapture, syntax.InstNop:
			set = append(set, i.Out)
		case syntax.InstFail:
		default:
			out = append(out, pc)
		}
	}
	slices.Sort(out)
	return out
}

func matches(prog *syntax.Prog, set []uint32) bool {
	return slices.ContainsFunc(set, func(pc uint32) bool { return prog.Inst[pc].Op == syntax.InstMatch })
}

func keyOf(set []uint32) string {
	key := make([]byte, 0, 2*len(set))
	for _, pc := range set {
		key = append(key, byte(pc), byte(pc>>8), byte(pc>>16))
	}
	return string(key)
}

// whole reports whether all of text fits; text holds digits only.
func (d *digits) whole(text string) bool {
	if d.other != nil {
		return d.other.MatchString(text)
	}
	at := uint16(1)
	for i := 0; i < len(text) && at != 0; i++ {
		at = d.next[at][text[i]-'0']
	}
	return d.fits[at]
}

// begins reports whether a beginning of text fits; text holds digits only.
func (d *digits) begins(text string) bool {
	if d.other != nil {
		return d.other.MatchString(text)
	}
	at := uint16(1)
	for i := 0; i < len(text) && at != 0 && !d.fits[at]; i++ {
		at = d.next[at][text[i]-'0']
	}
	return d.fits[at]
}
