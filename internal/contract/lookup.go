package contract

import (
	"fmt"
	"slices"

	"sallyport/internal/schema"
)

// flatten lists schemas with all their parts and alternatives, each once: what could
// apply to a value, before the value is known.
func flatten(ss []*Schema) []*Schema {
	var out []*Schema
	var add func(list []*Schema)
	add = func(list []*Schema) {
		for _, s := range list {
			if slices.Contains(out, s) {
				continue
			}
			out = append(out, s)
			add(s.AllOf)
			add(s.AnyOf)
			add(s.OneOf)
			add(s.rules.also)
		}
	}
	add(ss)
	return out
}

// members gives the schemas of one property over flat parts: those that list it, by name
// or by pattern, and additionalProperties of those that do not. listed is false for a
// map's entry.
func members(parts []*Schema, name string) (kids []*Schema, listed bool) {
	for _, p := range parts {
		var byName bool
		if kids, byName = p.member(kids, name); byName {
			listed = true
		}
	}
	return kids, listed
}

// member appends what s says of one of its members.
func (s *Schema) member(kids []*Schema, name string) ([]*Schema, bool) {
	had := len(kids)
	if kid, ok := s.Properties[name]; ok {
		kids = append(kids, kid)
	}
	for _, p := range s.rules.patterns {
		if p.re.MatchString(name) {
			kids = append(kids, p.schema)
		}
	}
	if len(kids) > had {
		return kids, true
	}
	if s.Additional != nil {
		kids = append(kids, s.Additional)
	}
	return kids, false
}

func elements(parts []*Schema) []*Schema {
	var out []*Schema
	for _, p := range parts {
		out = p.items(out)
	}
	return out
}

// items appends what s says of its elements, whatever their place.
func (s *Schema) items(out []*Schema) []*Schema {
	if s.Items != nil {
		out = append(out, s.Items)
	}
	for _, p := range s.rules.prefix {
		if p != s.Items {
			out = append(out, p)
		}
	}
	return out
}

// propertyNames lists the names that parts list, in contract order.
func propertyNames(parts []*Schema) []string {
	var out []string
	for _, p := range parts {
		if len(out) == 0 {
			out = p.Order[:len(p.Order):len(p.Order)] // the usual case: one part lists names
			continue
		}
		for _, name := range p.Order {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// free reports whether parts leave an object's members entirely open: at least one
// allows anything, and no other says anything about members.
func free(parts []*Schema) bool {
	open := false
	for _, p := range parts {
		if !p.rules.neutral && !p.rules.anything {
			return false
		}
		open = open || p.rules.anything || p.rules.listed
	}
	return open
}

// allows reports whether some part allows one of the types.
func allows(parts []*Schema, types typeSet) bool {
	for _, p := range parts {
		if p.rules.types&types != 0 || p.rules.anything {
			return true
		}
	}
	return false
}

// descend follows steps; whole is the path for errors.
func descend(ss []*Schema, steps []Step, whole Path) ([]*Schema, error) {
	for i, s := range steps {
		done := Path{steps: whole.steps[:len(whole.steps)-len(steps)+i]}
		parts := flatten(ss)
		if s.Name == "" {
			if ss = elements(parts); len(ss) == 0 && !free(parts) {
				return nil, fmt.Errorf("%s: %s is not an array", whole, done)
			}
			continue
		}
		kids, _ := members(parts, s.Name)
		switch {
		case len(kids) > 0:
			ss = kids
		case free(parts):
			ss = parts
		case len(elements(parts)) > 0:
			return nil, fmt.Errorf("%s: %s is an array; write %s[].%s", whole, done, done, s.Name)
		default:
			return nil, fmt.Errorf("%s: %s has no field %s%s", whole, orAnswer(done), showName(s.Name), meant(s.Name, propertyNames(parts)))
		}
	}
	return ss, nil
}

func orAnswer(p Path) string {
	if len(p.steps) == 0 {
		return "the answer"
	}
	return p.String()
}

func meant(name string, allowed []string) string {
	if near := schema.Nearest(name, allowed); near != "" {
		return "; did you mean " + near + "?"
	}
	if len(allowed) == 0 {
		return "; it has no fields"
	}
	return "; it has " + inWords(allowed)
}

// combine makes one schema of several that may apply to one place. Marks are those of
// any of them.
func combine(ss []*Schema) *Schema {
	if len(ss) == 1 {
		return ss[0]
	}
	out := &Schema{AnyOf: ss}
	for _, s := range ss {
		for _, t := range s.Types {
			if !slices.Contains(out.Types, t) {
				out.Types = append(out.Types, t)
				out.rules.types |= typeBits[t]
			}
		}
		out.Nullable = out.Nullable || s.Nullable
		out.Data = stronger(out.Data, s.Data)
		out.ID, out.PublicID, out.URL = out.ID || s.ID, out.PublicID || s.PublicID, out.URL || s.URL
		out.SelectsAccount = out.SelectsAccount || s.SelectsAccount
		out.rules.secret = out.rules.secret || s.rules.secret
	}
	out.Kind, out.Grants = oneKind(ss, kindOf), oneKind(ss, grantOf)
	return out
}

// Lookup finds the request schema at a parameter path. The error names the place where
// the path leaves the contract and the nearest allowed name.
func (o *Operation) Lookup(p Path) (*Schema, error) {
	var ss []*Schema
	if param, ok := o.Param(p.Root()); ok {
		ss = []*Schema{param.Schema}
	} else if o.open && p.Root() != "" {
		ss, _ = members(flatten([]*Schema{o.body}), p.Root())
	}
	if len(ss) == 0 {
		return nil, fmt.Errorf("%s has no parameter %s%s", o.ID, showName(p.Root()), meant(p.Root(), o.ParamNames()))
	}
	ss, err := descend(ss, p.steps[1:], p)
	if err != nil {
		return nil, err
	}
	return combine(ss), nil
}

// openBody reports whether the body takes names that are not listed.
func (o *Operation) openBody() bool {
	if o.body == nil || o.whole {
		return false
	}
	parts := flatten([]*Schema{o.body})
	return slices.ContainsFunc(parts, func(p *Schema) bool { return p.Additional != nil || p.rules.patterns != nil })
}

// LookupReply finds a field of the success answer. An answer that is not an object is
// the single name "body".
func (o *Operation) LookupReply(p Path) (*Schema, error) { return o.lookupReply(o.successTree(), p) }

func (o *Operation) lookupReply(s *Schema, p Path) (*Schema, error) {
	if s == nil {
		return nil, fmt.Errorf("%s answers without a body, so %s does not exist", o.ID, p)
	}
	steps := p.steps
	if len(steps) > 0 && rootName(s) != "" {
		if steps[0].Name != rootName(s) {
			return nil, fmt.Errorf("%s: the answer of %s is not an object; write body, or body[] for its elements", p, o.ID)
		}
		steps = steps[1:]
	}
	ss, err := descend([]*Schema{s}, steps, p)
	if err != nil {
		return nil, err
	}
	return combine(ss), nil
}

// successTree describes the success answer, for a look.
func (o *Operation) successTree() *Schema {
	r, listed := o.reply(o.success)
	if !listed {
		return nil
	}
	return o.tree(&r, false)
}

// rootName is "body" for an answer that is not an object, else "".
func rootName(s *Schema) string {
	if parts := flatten([]*Schema{s}); allows(parts, isObject) || len(propertyNames(parts)) > 0 {
		return ""
	}
	return "body"
}
