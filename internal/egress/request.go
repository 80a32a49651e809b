package egress

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"reflect"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// maxBody bounds what a caller may send for one operation.
const maxBody = 1 << 20

func parse(_ context.Context, _ *Gate, x *exchange) Decision {
	if x.caller == site.Gate {
		x.args = x.call.own.args
		return allow("the gate's own parameters")
	}
	body, err := x.body(maxBody)
	if err != nil {
		return denyErr(err)
	}
	args, faults, err := x.op.Parse(contract.Input{
		Path: x.call.Path, RawQuery: withoutQuery(x.call.RawQuery, x.stripQ),
		Header: x.call.Header, ContentType: x.call.Header.Get("Content-Type"), Body: x.fields.without(body, x.stripB),
	})
	if err != nil { // there are no parameters to go on with
		d := denyErr(err)
		d.final = true
		return d
	}
	x.args = args
	if len(faults) > 0 {
		return deny(violation(x, withTheRest(x, faults)))
	}
	return allow("well formed")
}

// maxFaults is how many faults of one request are told.
const maxFaults = 20

// withTheRest adds what else is wrong, so that a backend's developer reads all of it at
// once. What the file will insert for a browser is still missing here, so there it waits.
func withTheRest(x *exchange, faults []problem.Fault) []problem.Fault {
	if x.caller == site.Backend {
		faults = append(faults, x.op.Check(x.args)...)
	}
	return faults[:min(len(faults), maxFaults)]
}

func violation(x *exchange, faults []problem.Fault) *problem.Error {
	code := problem.ContractViolation
	if faults[0].Code != "" {
		code = faults[0].Code
	}
	p := problem.New(code, "%s", told(x.op.ID, faults))
	p.Faults = faults
	return p.WithHint("`sallyport providers show %s %s` lists the parameters", x.conn.pack.ID, x.op.ID)
}

// told puts the first fault into the detail and counts the others, because a console and
// an SDK show nothing else of a refusal.
func told(op string, faults []problem.Fault) string {
	f := faults[0]
	s := f.Where + ": found " + f.Found + "; write " + f.Want
	if want, missing := strings.CutPrefix(f.Want, "this is required: "); missing && f.Found == "nothing" {
		s = f.Where + " is missing; write " + want
	}
	if f.Near != "" {
		s = f.Where + ": found " + f.Found + "; did you mean " + f.Near + "?"
	}
	if f.Where == "" {
		s = strings.TrimPrefix(s, ": ")
	}
	switch more := len(faults) - 1; more {
	case 0:
	case 1:
		s += " (and 1 more fault)"
	default:
		s += fmt.Sprintf(" (and %d more faults)", more)
	}
	return op + ": " + s
}

// applyGrammar lets a browser send only what its rule names. Backends have no grammar.
func applyGrammar(_ context.Context, _ *Gate, x *exchange) Decision {
	if x.caller == site.Backend || x.caller == site.Gate {
		return allow("a backend may send what the contract allows")
	}
	var faults []problem.Fault
	for _, leaf := range x.args.Leaves() {
		if f := x.rule.refuses(x, leaf); f != nil {
			faults = append(faults, *f)
		}
		if len(faults) == maxFaults {
			break
		}
	}
	if len(faults) > 0 {
		p := problem.New(problem.ParameterRefused, "%s", told(x.op.ID, faults))
		p.Faults = faults
		return deny(p.WithHint("the parameters that a browser may choose stand under free, one_of, range and owned in sallyport.yaml"))
	}
	return allow("only named parameters")
}

// refuses returns the fault of one value that a browser sent, or nil. What no rule
// names is refused.
func (r *browserRule) refuses(x *exchange, leaf contract.Path) *problem.Fault {
	for _, f := range r.Fixed {
		if f.Path.Overlaps(leaf) {
			if leftOpen(x, leaf) {
				return nil
			}
			return &problem.Fault{Where: leaf.String(), Found: "a value from the browser", Want: "nothing: the gate inserts this value"}
		}
	}
	for _, p := range r.Sealed {
		if p.Overlaps(leaf) {
			if leftOpen(x, leaf) {
				return nil
			}
			return &problem.Fault{Where: leaf.String(), Found: "a value from the browser", Want: "nothing: this value comes inside the permit"}
		}
	}
	for _, f := range r.From {
		if f.Path.Overlaps(leaf) {
			if leftOpen(x, leaf) {
				return nil
			}
			return &problem.Fault{Where: leaf.String(), Found: "a value from the browser", Want: "nothing: the gate computes this value from the price list"}
		}
	}
	for _, p := range r.Owned {
		if p.Covers(leaf) && len(p.Steps()) == len(leaf.Steps()) {
			return nil // whether this visit received it is for a step of its own
		}
	}
	for _, c := range r.OneOf {
		if c.Path.Covers(leaf) || leaf.Covers(c.Path) {
			return oneOfRefuses(c, x.args, leaf)
		}
	}
	for _, rng := range r.Range {
		if rng.Path.Overlaps(leaf) {
			return refusesRange(rng, x.args, leaf)
		}
	}
	for _, free := range r.Free { // last: where two rules name one value, the closer one holds
		if free.Covers(leaf) {
			return strayAddress(x, leaf)
		}
	}
	return &problem.Fault{Where: leaf.String(), Found: "a parameter that the file does not name", Want: "nothing here"}
}

// strayAddress refuses an address that the provider would send the visitor to, unless it
// lies on the site's own origins: else any page could use the site's name to lead elsewhere.
func strayAddress(x *exchange, leaf contract.Path) *problem.Fault {
	schema, err := x.op.Lookup(leaf)
	if err != nil || !schema.URL { // a name that the contract does not list is refused by the contract
		return nil
	}
	v, _ := x.args.Get(leaf)
	if address, ok := v.(string); ok && x.site.Holds(address, x.conn.Mode != provider.Live) {
		return nil
	}
	return &problem.Fault{Where: leaf.String(), Found: "an address that is not on the site's origins", Want: "an address below one of the site's origins"}
}

// openSegment stands in a path where the gate inserts a value: a path cannot leave a
// parameter out. The file's value replaces it before anything is checked or sent.
const openSegment = "_"

func leftOpen(x *exchange, leaf contract.Path) bool {
	p, ok := x.op.Param(leaf.String())
	v, _ := x.args.Get(leaf)
	return ok && p.In == contract.InPath && v == openSegment
}

func oneOfRefuses(c site.Choice, args contract.Args, leaf contract.Path) *problem.Fault {
	got, ok := args.Get(concrete(c.Path, leaf))
	if ok {
		for _, v := range c.Values {
			if sameValue(v, got) {
				return nil
			}
		}
	}
	return &problem.Fault{Where: leaf.String(), Found: "another value", Want: "one of the values that the file names"}
}

func refusesRange(r site.Range, args contract.Args, leaf contract.Path) *problem.Fault {
	got, _ := args.Get(leaf)
	n, ok := wholeNumber(got)
	if len(leaf.Steps()) == len(r.Path.Steps()) && ok && n.Cmp(big.NewInt(r.Min)) >= 0 && n.Cmp(big.NewInt(r.Max)) <= 0 {
		return nil
	}
	return &problem.Fault{Where: leaf.String(), Found: "a value outside the range",
		Want: "a whole number from " + big.NewInt(r.Min).String() + " to " + big.NewInt(r.Max).String()}
}

// concrete is rule with its "[]" steps filled in from leaf.
func concrete(rule, leaf contract.Path) contract.Path {
	steps := leaf.Steps()
	var out contract.Path
	for i, s := range rule.Steps() {
		switch {
		case s.Name != "":
			out = out.Child(s.Name)
		case s.Index == contract.Every && i < len(steps):
			out = out.At(steps[i].Index)
		default:
			out = out.At(s.Index)
		}
	}
	return out
}

func wholeNumber(v any) (*big.Int, bool) {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	default:
		return nil, false
	}
	if len(text) > 20 {
		return nil, false
	}
	n, ok := new(big.Int).SetString(text, 10)
	return n, ok && n.String() == text // no +1, 007 or -0: what another parser reads must be this number
}

// sameValue compares a value of the file with one of the caller: numbers by their
// value, all else exactly. A number never equals a string.
func sameValue(a, b any) bool {
	na, aok := a.(json.Number)
	nb, bok := b.(json.Number)
	if aok && bok {
		if len(na) > 40 || len(nb) > 40 || strings.ContainsAny(string(nb), "eE") {
			return na == nb
		}
		ra, ok1 := new(big.Rat).SetString(na.String())
		rb, ok2 := new(big.Rat).SetString(nb.String())
		return ok1 && ok2 && ra.Cmp(rb) == 0
	}
	return reflect.DeepEqual(a, b)
}

// insertFixed writes the file's values over an empty place: the grammar has refused
// any value of the browser at, above or below it.
func insertFixed(_ context.Context, _ *Gate, x *exchange) Decision {
	if x.rule == nil {
		return allow("nothing to insert")
	}
	for _, f := range x.rule.Fixed {
		for _, at := range elements(f.Path, x.args) {
			if err := x.args.Set(at, f.Value); err != nil { // only where the grammar just observes
				return deny(problem.Wrap(err, problem.ParameterRefused, "%s cannot be inserted beside what the browser sent", f.Path))
			}
		}
	}
	return allow("inserted")
}

// elements is path with each "[]" replaced by the indexes that the arguments have there.
func elements(path contract.Path, args contract.Args) []contract.Path {
	out := []contract.Path{{}}
	for _, s := range path.Steps() {
		var next []contract.Path
		for _, p := range out {
			switch {
			case s.Name != "":
				next = append(next, p.Child(s.Name))
			case s.Index != contract.Every:
				next = append(next, p.At(s.Index))
			default:
				v, _ := args.Get(p)
				list, _ := v.([]any)
				for i := range list {
					next = append(next, p.At(i))
				}
			}
		}
		out = next
	}
	return out
}

func checkRequest(_ context.Context, _ *Gate, x *exchange) Decision {
	if faults := x.op.Check(x.args); len(faults) > 0 {
		return deny(violation(x, faults))
	}
	return allow("fits the contract")
}

// encode writes the provider's bytes from what was checked, pins the version and
// passes on the few headers that the catalog names.
func encode(_ context.Context, _ *Gate, x *exchange) Decision {
	out, err := x.op.Encode(x.args, x.conn.account)
	if err != nil {
		return denyErr(err)
	}
	if out.Header == nil {
		out.Header = http.Header{}
	}
	if x.caller == site.Backend {
		for _, name := range x.conn.pack.RequestHeaders {
			if v := x.call.Header.Get(name); v != "" && out.Header.Get(name) == "" {
				out.Header.Set(name, v)
			}
		}
	}
	v := x.conn.pack.Version
	if v.Header != "" {
		pinned := v.Default
		if x.conn.Version != "" {
			pinned = x.conn.Version
		}
		out.Header.Set(v.Header, pinned)
	}
	if out.ContentType != "" {
		out.Header.Set("Content-Type", out.ContentType)
	}
	x.out = out
	return allow("encoded")
}
