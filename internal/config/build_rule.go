package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/site"
)

// ruler is the linker with one browser operation in hand.
type ruler struct {
	*linker
	v     *value
	op    *contract.Operation
	rule  *site.BrowserRule
	paths []placed // of free, fixed, one_of, range, sealed, owned and from
}

// placed is a parameter path with the place where it stands.
type placed struct {
	path contract.Path
	at   *value
	in   string // free, fixed, one_of, range, sealed, owned, from
}

// rule reads the closed grammar of one operation.
func (l *linker) rule(op *contract.Operation, v *value) *site.BrowserRule {
	r := &ruler{linker: l, v: v, op: op, rule: &site.BrowserRule{Operation: op.ID, Returns: []contract.Path{}}}
	r.free(v.at("free"))
	r.fixed(v.at("fixed"))
	r.oneOf(v.at("one_of"))
	r.ranges(v.at("range"))
	r.sealed(v.at("sealed"))
	r.owned(v.at("owned"))
	r.from(v.at("from"))
	r.rule.Budgets = l.budgets(v.at("budget"))
	r.returns(v.at("returns"))
	r.receipt(v.at("receipt"))
	r.rule.Limits = l.limits(v.at("limit"), ratelimit.PerSession, ratelimit.PerPrefix, ratelimit.PerOperation)
	r.rule.Vouched, r.rule.SignedIn = v.at("vouched").str() == "required", v.at("vouched").str() == "login"
	r.overlaps()
	r.guarded()
	r.required()
	return r.rule
}

func (r *ruler) free(v *value) {
	for _, item := range v.many() {
		path, schema, ok := r.parameter(item, item.str(), "free")
		if !ok {
			continue
		}
		r.chosen(item, path, schema, "free")
		r.rule.Free = append(r.rule.Free, path)
	}
}

func (r *ruler) fixed(v *value) {
	for _, e := range v.entries {
		at := keyPlace(v, e)
		path, _, ok := r.parameter(at, e.key, "fixed")
		if !ok || e.value.form == broken {
			continue
		}
		value := e.value.plain()
		r.fits(at, path, value)
		r.onOrigins(at, path, value)
		r.rule.Fixed = append(r.rule.Fixed, site.Fixed{Path: path, Value: value})
	}
}

func (r *ruler) oneOf(v *value) {
	for _, e := range v.entries {
		at := keyPlace(v, e)
		path, schema, ok := r.parameter(at, e.key, "one_of")
		if !ok || e.value.form != list {
			continue
		}
		r.chosen(at, path, schema, "one_of")
		if len(e.value.items) == 0 {
			r.fault(at, "there is nothing to choose from", "list the values, or remove the parameter")
		}
		choice := site.Choice{Path: path}
		for _, item := range e.value.items {
			if item.form == broken {
				continue
			}
			value := item.plain()
			r.fits(item, path, value)
			r.onOrigins(item, path, value)
			choice.Values = append(choice.Values, value)
		}
		r.rule.OneOf = append(r.rule.OneOf, choice)
	}
}

func (r *ruler) ranges(v *value) {
	for _, e := range v.entries {
		at := keyPlace(v, e)
		path, schema, ok := r.parameter(at, e.key, "range")
		least, most := e.value.at("min"), e.value.at("max")
		if !ok || least.form != whole || most.form != whole {
			continue
		}
		r.chosen(at, path, schema, "range")
		switch {
		case !slices.Contains(schema.Types, "integer") && !slices.Contains(schema.Types, "number"):
			r.fault(at, fmt.Sprintf("%s is not a number in the contract, but %s", path, strings.Join(schema.Types, " or ")), "use one_of with the allowed values")
		case least.integer() > most.integer():
			r.fault(at, fmt.Sprintf("min %s is above max %s", least.text, most.text), "swap them")
		default:
			r.fits(least, path, least.plain())
			r.fits(most, path, most.plain())
		}
		r.rule.Range = append(r.rule.Range, site.Range{Path: path, Min: least.integer(), Max: most.integer()})
	}
}

func keyPlace(v *value, e entry) *value {
	return &value{form: text, text: e.key, line: e.line, column: e.column, path: child(v.path, e.key)}
}

// parameter reads a path and finds its schema in the contract.
func (r *ruler) parameter(at *value, s, in string) (contract.Path, *contract.Schema, bool) {
	if s == "" && (in == "free" || in == "owned") {
		return contract.Path{}, nil, false
	}
	path, err := contract.ParsePath(s)
	if err != nil {
		found, hint := split(err)
		r.fault(at, found, orElse(hint, "write a path such as amount or line_items[0].quantity"))
		return path, nil, false
	}
	if p, ok := r.op.Param(path.Root()); ok && p.Account != "" {
		r.fault(at, fmt.Sprintf("the gate fills %s from the credential %s", path.Root(), p.Account), "remove it")
		return path, nil, false
	}
	schema, err := r.op.Lookup(path)
	if err != nil || schema == nil {
		found, hint := r.unknown(err, fmt.Sprintf("%s has no parameter %s", r.op.ID, path))
		r.fault(at, found, orElse(hint, didYouMean(path.Root(), r.op.ParamNames(), "write")))
		return path, nil, false
	}
	r.paths = append(r.paths, placed{path: path, at: at, in: in})
	return path, schema, true
}

// unknown takes the words of a look-up error that names the nearest allowed name.
func (r *ruler) unknown(err error, otherwise string) (found, hint string) {
	var p *problem.Error
	if errors.As(err, &p) {
		return p.Detail, p.Hint
	}
	if err == nil {
		return otherwise, ""
	}
	return split(err)
}

func orElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// chosen refuses to let a stranger choose what a stranger must not choose.
func (r *ruler) chosen(at *value, path contract.Path, schema *contract.Schema, in string) {
	p, ok := r.op.Param(path.Root())
	if ok && len(path.Steps()) == 1 && p.ID && !p.PublicID {
		schema = &contract.Schema{ID: true}
	}
	if r.selectsAccount(at, path, schema, in) {
		return
	}
	if sub, ok := hiddenID(schema, path, 0); ok {
		r.fault(at, fmt.Sprintf("%s is an object id, and a browser that may choose it could name other people's objects", sub),
			"remove it from "+in+": write it under owned, where only ids pass that this visit received, or under fixed or sealed")
	}
	if schema.Data == contract.Card {
		r.fault(at, fmt.Sprintf("%s is card data, which must not pass the gate", path), "remove it: use the provider's own script in the page for cards")
	}
}

// hiddenID finds an id that is not public at or below a schema.
func hiddenID(s *contract.Schema, path contract.Path, depth int) (contract.Path, bool) {
	if s == nil || depth > 8 {
		return path, false
	}
	if s.ID {
		return path, !s.PublicID
	}
	for _, name := range s.Order {
		if sub, ok := hiddenID(s.Properties[name], path.Child(name), depth+1); ok {
			return sub, true
		}
	}
	if sub, ok := hiddenID(s.Items, path.At(contract.Every), depth+1); ok {
		return sub, true
	}
	for _, part := range slices.Concat(s.AllOf, s.AnyOf, s.OneOf) {
		if sub, ok := hiddenID(part, path, depth+1); ok {
			return sub, true
		}
	}
	return path, false
}

// fits checks a value of the file against the contract's schema at a path.
func (r *ruler) fits(at *value, path contract.Path, value any) {
	concrete, args := firstElements(path), contract.NewArgs(nil)
	if err := args.Set(concrete, value); err != nil {
		r.fault(at, fmt.Sprintf("%s cannot be set: its path goes through something that is not an object or array", path), "write a path that the contract has")
		return
	}
	for _, f := range r.op.Check(args) {
		where, err := contract.ParsePath(f.Where)
		if err != nil || !concrete.Covers(where) {
			continue // other parameters are missing here, and that is for the rule as a whole
		}
		r.fault(at, fmt.Sprintf("%s against the contract: found %s", path, f.Found), orElse(f.Want, "see `sallyport providers show "+r.pack.ID+"`"))
	}
}

// firstElements puts index 0 wherever a path has an index or [], so that it can be set alone.
func firstElements(path contract.Path) contract.Path {
	var out contract.Path
	for _, s := range path.Steps() {
		if s.Name != "" {
			out = out.Child(s.Name)
		} else {
			out = out.At(0)
		}
	}
	return out
}

// onOrigins: an address that the provider sends the visitor or a call to lies on the site's
// own pages, wherever in the value it stands.
func (r *ruler) onOrigins(at *value, path contract.Path, value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			r.onOrigins(at, path.Child(name), v[name])
		}
	case []any:
		for i, item := range v {
			r.onOrigins(at, path.At(i), item)
		}
	case string:
		schema, err := r.op.Lookup(path)
		if err != nil || !schema.URL || r.site.Holds(v, r.conn.Mode != provider.Live) {
			return // what the contract does not have is named by fits
		}
		r.fault(at, "the provider would send the visitor, or a call, to an address that is not on the site's origins", "write an address below one of the site's origins")
	}
}

func (r *ruler) returns(v *value) {
	for _, item := range v.many() {
		if item.str() == "" {
			continue
		}
		path, err := contract.ParsePath(item.text)
		if err == nil {
			_, err = r.op.LookupReply(path)
		}
		if err != nil {
			found, hint := r.unknown(err, "")
			r.fault(item, found, orElse(hint, "write a field of the provider's answer, such as id"))
			continue
		}
		r.rule.Returns = append(r.rule.Returns, path)
	}
}

// overlaps refuses two rules for one value: which of them held would depend on their order.
func (r *ruler) overlaps() {
	for i, p := range r.paths {
		for _, q := range r.paths[:i] {
			if !p.path.Overlaps(q.path) {
				continue
			}
			found := fmt.Sprintf("%s under %s and %s under %s (line %d) name the same value", p.path, p.in, q.path, q.in, q.at.line)
			if p.path.String() == q.path.String() && p.in == q.in {
				found = fmt.Sprintf("%s stands twice under %s", p.path, p.in)
			}
			r.fault(p.at, found, "keep one of them")
			break
		}
	}
}

// required names the parameters without which every call would be refused.
func (r *ruler) required() {
	for i := range r.op.Params {
		p := &r.op.Params[i]
		if !p.Required || p.Account != "" {
			continue
		}
		if _, ok := r.defaultFor(p.Name); ok {
			continue
		}
		var root contract.Path
		r.supplied(root.Child(p.Name), p.Schema, 0)
	}
}

func (r *ruler) supplied(path contract.Path, s *contract.Schema, depth int) {
	below := false
	for _, p := range r.paths {
		if p.path.Covers(path) {
			return
		}
		below = below || path.Overlaps(p.path)
	}
	if !below || depth > 8 {
		r.fault(r.v, fmt.Sprintf("%s needs %s, and no rule supplies it", r.op.ID, path), fmt.Sprintf("add %s under %s", path, r.whereToAdd(path)))
		return
	}
	if s == nil {
		return
	}
	for _, name := range s.Required {
		r.supplied(path.Child(name), s.Properties[name], depth+1)
	}
	if s.Items != nil {
		for _, name := range s.Items.Required {
			r.supplied(r.elementOf(path).Child(name), s.Items.Properties[name], depth+1)
		}
	}
}

// elementOf is the element of an array that the rules speak of: the first index named, or every one.
func (r *ruler) elementOf(path contract.Path) contract.Path {
	n := len(path.Steps())
	for _, p := range r.paths {
		if path.Covers(p.path) && len(p.path.Steps()) > n && p.path.Steps()[n].Name == "" {
			return path.At(p.path.Steps()[n].Index)
		}
	}
	return path.At(contract.Every)
}

// shownValue writes a value of the file as JSON, for check's own listings.
func shownValue(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		return "a value"
	}
	return string(out)
}
