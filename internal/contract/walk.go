package contract

import (
	"fmt"
	"slices"

	"sallyport/internal/problem"
)

const (
	maxFaults = 20
	// The work of one check is bounded, counted in schemas visited: ambiguous
	// alternatives inside each other would otherwise double it at each level. Where the
	// size of the text is known, the bound grows with it from baseSteps.
	baseSteps = 100_000
	maxSteps  = 1_000_000
)

// spot is where the walk stands; nil is the root.
type spot struct {
	up    *spot
	name  string
	index int // an element, when it is no member
	isKey bool
}

func (s *spot) child(name string) *spot { return &spot{up: s, name: name, isKey: true} }
func (s *spot) at(i int) *spot          { return &spot{up: s, index: i} }

// path writes the place; with every, elements are written [] instead of their index.
// rename gives other names to the root's members.
func (s *spot) path(every bool, rename map[string]string) string {
	if s == nil {
		return ""
	}
	head, name := s.up.path(every, rename), s.name
	if head == "" && rename[name] != "" {
		name = rename[name]
	}
	switch {
	case !s.isKey && every:
		return head + "[]"
	case !s.isKey:
		return head + "[" + itoa(s.index) + "]"
	case !pathName(name) || showName(name)[0] != '"':
		return head + "{" + showName(name) + "}"
	case head == "":
		return name
	}
	return head + "." + name
}

// walker checks a value against schemas and builds what may pass.
type walker struct {
	reply  bool // an answer: unknown names are dropped, integers may be written 1.0
	prune  bool // report unknown names only
	trial  bool // only count faults
	steps  *int
	limit  int
	faults []problem.Fault
	broken int // faults of a trial
	strays int // unknown names at the root of a trial
	tally  Reply
	rename map[string]string // names of the root on the wire → ours
	given  map[string]bool   // names of the root that the gate inserts
}

func newWalker(reply bool) *walker { return &walker{reply: reply, steps: new(int), limit: maxSteps} }

// tooComplex reports whether the work was cut off; the result then counts for nothing.
func (w *walker) tooComplex() bool { return *w.steps > w.limit }

func (w *walker) fault(at *spot, found, want, near string) {
	if w.trial {
		w.broken++
		return
	}
	if !w.prune {
		w.report(at, found, want, near)
	}
}

func (w *walker) report(at *spot, found, want, near string) {
	if len(w.faults) < maxFaults {
		w.faults = append(w.faults, problem.Fault{Where: at.path(false, w.rename), Found: found, Want: want, Near: near})
	}
}

// walk checks v against all of ss at once and returns what may pass of it; ok is
// false when nothing may. see is what the caller would see of it (nil: nothing, and
// then there are no faults), hide the mark of the surroundings.
func (w *walker) walk(ss []*Schema, v any, at *spot, see *lens, hide Sensitivity) (out any, ok bool) {
	if *w.steps += 1 + len(ss); w.tooComplex() {
		return nil, false
	}
	if data := strongest(ss); data != Plain && data != hide {
		w.mark(data, v, at)
		hide = stronger(hide, data)
	}
	parts, fits := w.expand(ss, v, at, see)
	if !fits {
		return v, !w.reply
	}
	for _, p := range parts {
		if t := w.typeOf(v); p.rules.types != 0 && p.rules.types&t == 0 {
			w.visible(see, at, w.found(v, hide), describe(p), "")
			return v, !w.reply
		}
		if want, bad := enumFault(p, v); bad {
			w.visible(see, at, w.found(v, hide), want, "")
		}
	}
	switch v := v.(type) {
	case map[string]any:
		return w.object(parts, v, at, see, hide)
	case []any:
		return w.array(parts, v, at, see, hide)
	}
	for _, p := range parts {
		if found, want := w.scalarFault(p, v, hide); want != "" {
			w.visible(see, at, found, want, "")
		}
	}
	return v, see.whole()
}

// visible records a fault unless the caller would not see the field.
func (w *walker) visible(see *lens, at *spot, found, want, near string) {
	if see != nil {
		w.fault(at, found, want, near)
	}
}

func (w *walker) typeOf(v any) typeSet {
	t := typeOf(v)
	if t == isInteger && !w.reply && numberShape(text(v)) != plainInteger {
		return isNumber // a request writes whole numbers in digits: 1e3 and 1.0 are read differently by different parsers
	}
	return t
}

// mark notes that a sensitive field is present.
func (w *walker) mark(data Sensitivity, v any, at *spot) {
	if !w.reply || w.trial || v == nil {
		return
	}
	if w.tally.Sensitive == nil {
		w.tally.Sensitive = map[Sensitivity][]string{}
	}
	list := w.tally.Sensitive[data]
	if where := at.path(true, nil); len(list) < 100 && !slices.Contains(list, where) {
		w.tally.Sensitive[data] = append(list, where)
	}
}

func strongest(ss []*Schema) Sensitivity {
	data := Plain
	for _, s := range ss {
		data = stronger(data, s.Data)
	}
	return data
}

// object checks the members of an object; those that are unknown or not seen are left out.
func (w *walker) object(parts []*Schema, m map[string]any, at *spot, see *lens, hide Sensitivity) (any, bool) {
	out := make(map[string]any, len(m))
	known := propertyNames(parts)
	open := free(parts)
	for _, name := range orderKeys(known, m) {
		kids, listed := members(parts, name)
		if open && len(kids) == 0 {
			kids = openBelow
		}
		if len(kids) == 0 || !listed && name == "__proto__" {
			w.unknown(at, name, known)
			continue
		}
		below := at.child(name)
		w.mapName(parts, name, below, see)
		inner := hide
		if !listed && hide == Plain {
			inner = unlisted
		}
		seen := see.child(name, secret(kids))
		if see != nil && seen == nil && !w.trial {
			w.tally.Reduced++
		}
		if v, ok := w.walk(kids, m[name], below, seen, inner); ok && seen != nil {
			out[name] = v
		}
	}
	w.required(parts, m, at, see)
	return out, see != nil
}

// openBelow is the schema of what lies below a place that allows anything.
var openBelow = []*Schema{{rules: rules{anything: true, neutral: true}}}

// unlisted hides values of a map in faults: its owner chose what stands there. It is
// no mark of a contract.
const unlisted Sensitivity = "unlisted"

// mapName checks the name of a map's entry against propertyNames.
func (w *walker) mapName(parts []*Schema, name string, at *spot, see *lens) {
	for _, p := range parts {
		if p.Names != nil {
			w.walk([]*Schema{p.Names}, name, at, see, unlisted)
		}
	}
}

func (w *walker) unknown(at *spot, name string, known []string) {
	switch {
	case w.trial && at == nil:
		w.strays++
	case w.reply && w.trial:
	case w.reply:
		w.tally.Dropped++
		if len(w.tally.Unknown) < maxFaults {
			if where := at.child(name).path(true, nil); !slices.Contains(w.tally.Unknown, where) {
				w.tally.Unknown = append(w.tally.Unknown, where)
			}
		}
	case w.trial:
		w.broken++
	default:
		w.stranger(at, name, known)
	}
}

// stranger reports an unknown name. Looking for the name that was meant costs more
// than anything else here, so it is done for the faults that are told only.
func (w *walker) stranger(at *spot, name string, known []string) {
	if len(w.faults) >= maxFaults {
		return
	}
	want := "no names here"
	if len(known) > 0 {
		want = "one of " + inWords(known)
	}
	w.report(at.child(name), "the unknown name "+showName(name), want, nearest(name, known))
}

func (w *walker) required(parts []*Schema, m map[string]any, at *spot, see *lens) {
	if see == nil {
		return
	}
	told := map[string]bool{}
	for _, p := range parts {
		for _, name := range p.Required {
			kids, _ := members(parts, name)
			if _, present := m[name]; present || told[name] || at == nil && w.given[name] || see.child(name, secret(kids)) == nil {
				continue
			}
			told[name] = true
			w.fault(at.child(name), "nothing", "this is required: "+describe(combine(kids)), "")
		}
		if bad(len(m), p.MinProps, p.MaxProps) && see.all {
			w.fault(at, fmt.Sprintf("%d names", len(m)), between(p.MinProps, p.MaxProps, "names"), "")
		}
	}
}

func (w *walker) array(parts []*Schema, list []any, at *spot, see *lens, hide Sensitivity) (any, bool) {
	items := elements(parts)
	seen := see.element()
	for _, p := range parts {
		if see.whole() && bad(len(list), p.MinItems, p.MaxItems) {
			w.fault(at, fmt.Sprintf("%d elements", len(list)), between(p.MinItems, p.MaxItems, "elements"), "")
		}
		if see.whole() && p.UniqueItems && !unique(list) {
			w.fault(at, "the same element twice", "different elements", "")
		}
	}
	if len(items) == 0 {
		items = openBelow // Load refuses an array without items
		if !free(parts) {
			return nil, false
		}
	}
	out := make([]any, 0, len(list))
	for i, v := range list {
		if v, ok := w.walk(items, v, at.at(i), seen, hide); ok {
			out = append(out, v)
		}
	}
	return out, seen != nil
}

// orderKeys lists the names of m: those in known first, in that order, the rest sorted.
func orderKeys(known []string, m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for _, k := range known {
		if _, ok := m[k]; ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == len(m) {
		return keys
	}
	var rest []string
	for _, k := range sortedKeys(m) {
		if !slices.Contains(known, k) {
			rest = append(rest, k)
		}
	}
	return append(keys, rest...)
}
