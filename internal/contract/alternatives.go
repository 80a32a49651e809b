package contract

import (
	"slices"
	"strings"
)

// expand lists the schemas that apply to v: ss, the parts of allOf, and the alternatives
// of anyOf and oneOf that v fits. ok is false when v fits no alternative.
func (w *walker) expand(ss []*Schema, v any, at *spot, see *lens) (parts []*Schema, ok bool) {
	ok = true
	var add func(s *Schema)
	add = func(s *Schema) {
		if v == nil && s.rules.nullWins {
			return // nullable: true stands above the rest of its schema
		}
		parts = append(parts, s)
		for _, part := range s.AllOf {
			add(part)
		}
		for i, list := range [][]*Schema{s.AnyOf, s.OneOf} {
			if len(list) == 0 {
				continue
			}
			chosen := w.choose(list, v, at, see, i == 1)
			ok = ok && len(chosen) > 0
			for _, c := range chosen {
				add(c)
			}
		}
	}
	for _, s := range ss {
		add(s)
	}
	return parts, ok
}

// choose picks the alternatives that v fits. With a single candidate left by type and
// by constant members, that one is taken untried: its faults are then told one by one.
// For a request, oneOf wants exactly one. For an answer it is treated as anyOf, because
// objects of answers are open and the provider decides which it meant.
func (w *walker) choose(list []*Schema, v any, at *spot, see *lens, one bool) []*Schema {
	candidates := filter(list, func(s *Schema) bool { return w.admits(s, v) })
	if len(candidates) == 0 {
		w.visible(see, at, w.found(v, unlisted), describeAll(list), "")
		return nil
	}
	if m, isObject := v.(map[string]any); isObject && len(candidates) > 1 {
		if tagged := filter(candidates, func(s *Schema) bool { return fitsTags(s, m) }); len(tagged) > 0 {
			candidates = tagged
		}
	}
	if len(candidates) == 1 {
		return candidates
	}
	fits, best := w.try(candidates, v, everything)
	if len(fits) == 0 && w.reply && see != nil {
		fits, best = w.try(candidates, v, see)
	}
	switch {
	case len(fits) == 0:
		return []*Schema{best} // its faults are told by the walk
	case one && !w.reply && len(fits) > 1:
		w.visible(see, at, "a value that fits several alternatives", "exactly one of: "+describeAll(list), "")
		return fits[:1]
	}
	return fits
}

// try checks v against each candidate alone. Unknown names at v itself do not count as
// faults, since another part may know them, but candidates that know more names win.
func (w *walker) try(candidates []*Schema, v any, see *lens) (fits []*Schema, best *Schema) {
	least, strays := -1, 0
	for _, c := range candidates {
		t := &walker{reply: w.reply, trial: true, steps: w.steps, limit: w.limit}
		t.walk([]*Schema{c}, v, nil, see, unlisted)
		if least < 0 || t.broken < least || t.broken == least && t.strays < strays && !w.reply {
			least, strays, best = t.broken, t.strays, c
			if !w.reply {
				fits = nil
			}
		}
		if t.broken == 0 && (w.reply || t.strays == strays) {
			fits = append(fits, c)
		}
	}
	if !w.reply && strays > 0 && len(fits) > 1 {
		fits = fits[:1] // names of several alternatives must not add up
	}
	return fits, best
}

// admits compares types only.
func (w *walker) admits(s *Schema, v any) bool {
	if v == nil && s.rules.nullWins {
		return true
	}
	if s.rules.types != 0 && s.rules.types&w.typeOf(v) == 0 {
		return false
	}
	for _, part := range s.AllOf {
		if !w.admits(part, v) {
			return false
		}
	}
	for _, list := range [][]*Schema{s.AnyOf, s.OneOf} {
		if len(list) > 0 && len(filter(list, func(s *Schema) bool { return w.admits(s, v) })) == 0 {
			return false
		}
	}
	return true
}

// fitsTags compares members that have a constant or an enumeration ("object": "charge").
func fitsTags(s *Schema, m map[string]any) bool {
	for name, p := range s.Properties {
		v, ok := m[name]
		if !ok || p.Enum == nil && !p.HasConst {
			continue
		}
		if _, bad := enumFault(p, v); bad && !(v == nil && p.rules.nullWins) {
			return false
		}
	}
	for _, part := range s.AllOf {
		if !fitsTags(part, m) {
			return false
		}
	}
	return true
}

func filter(list []*Schema, keep func(*Schema) bool) []*Schema {
	var out []*Schema
	for _, s := range list {
		if keep(s) {
			out = append(out, s)
		}
	}
	return out
}

func describeAll(list []*Schema) string {
	var words []string
	for _, s := range list {
		if d := describe(s); !slices.Contains(words, d) {
			words = append(words, d)
		}
	}
	if len(words) > 6 {
		words = append(words[:6], "…")
	}
	return strings.Join(words, " or ")
}
