package contract

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/problem"
)

// Check checks parameters against the contract: the first 20 faults, in the order of
// the contract; none means that they may be encoded and sent. The value of a sensitive
// field is never in a fault. Parameters that the gate inserts are not looked at.
func (o *Operation) Check(a Args) []problem.Fault {
	w := newWalker(false)
	for _, name := range sortedKeys(a.tree) {
		if _, ok := o.Param(name); !ok && !o.openBody() {
			w.stranger(nil, name, o.ParamNames())
		}
	}
	for i := range o.Params {
		if q := &o.Params[i]; q.Account == "" && (q.In != InBody || o.whole) {
			o.checkParam(w, q, a.tree)
		}
	}
	o.checkBody(w, a.tree)
	if w.tooComplex() {
		w.faults = append(w.faults[:0:0], problem.Fault{Found: "a value with too many possible readings", Want: "a simpler value"})
	}
	return w.faults
}

func (o *Operation) checkParam(w *walker, q *Parameter, tree map[string]any) {
	at := (*spot)(nil).child(q.Name)
	v, ok := tree[q.Name]
	if !ok {
		if q.Required {
			w.fault(at, "nothing", "this is required: "+describe(q.Schema), "")
		}
		return
	}
	w.walk([]*Schema{q.Schema}, v, at, everything, Plain)
	if len(w.faults) > 0 && w.faults[len(w.faults)-1].Where == q.Name {
		return // one fault for one value is enough
	}
	if found, want := wireFault(q, v); want != "" {
		w.fault(at, found, want, "")
	}
}

func (o *Operation) checkBody(w *walker, tree map[string]any) {
	body := o.bodyOf(tree)
	if o.body == nil || o.whole || body == nil && !o.BodyRequired {
		return
	}
	if body == nil {
		body = map[string]any{}
	}
	w.rename, w.given = o.wires, map[string]bool{}
	for i := range o.Params {
		if q := &o.Params[i]; q.In == InBody && q.Account != "" {
			w.given[q.Wire] = true
		}
	}
	w.walk([]*Schema{o.body}, body, nil, everything, Plain)
	if o.RequestType == FormType && len(w.faults) < maxFaults {
		for _, wire := range orderKeys(propertyNames(flatten([]*Schema{o.body})), body) {
			unwritable(w, (*spot)(nil).child(wire), body[wire], o.form)
		}
	}
}

// unwritable reports what a form or query cannot carry without being read as
// something else.
func unwritable(w *walker, at *spot, v any, style formStyle) {
	switch v := v.(type) {
	case nil:
		w.fault(at, "null", "nothing at all: a form cannot carry null", "")
	case []any:
		if len(v) == 0 {
			w.fault(at, "an empty array", "nothing at all: a form cannot carry an empty array", "")
		}
		for i := range v {
			unwritable(w, at.at(i), v[i], style)
			if _, isList := v[i].([]any); style != asBrackets && (isList || isMap(v[i])) {
				w.fault(at.at(i), "a structure", "a plain value", "")
			}
		}
	case map[string]any:
		if len(v) == 0 || style != asBrackets {
			w.fault(at, fmt.Sprintf("an object of %d names", len(v)), "a value that a form can carry", "")
		}
		for _, name := range sortedKeys(v) {
			if name == "" || strings.ContainsAny(name, "[]") {
				w.fault(at.child(name), "a name that is empty or has brackets", "a name that a form can carry", "")
			}
			unwritable(w, at.child(name), v[name], style)
		}
	}
}

func isMap(v any) bool { _, ok := v.(map[string]any); return ok }

// wireFault says why a value that fits its schema cannot stand in its location.
func wireFault(q *Parameter, v any) (found, want string) {
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	if q.In == InBody {
		return "", ""
	}
	if q.In == InQuery && q.style == asBrackets {
		w := newWalker(false)
		unwritable(w, nil, v, asBrackets)
		if len(w.faults) > 0 {
			return w.faults[0].Found, w.faults[0].Want
		}
		return "", ""
	}
	if len(list) == 0 {
		return "an empty array", "at least one element"
	}
	for _, e := range list {
		s, ok := scalarText(e)
		switch {
		case !ok:
			return "null or a structure", "a plain value"
		case q.style == asCommas && isList && strings.Contains(s, ","):
			return "an element with a comma", "elements without commas"
		case q.In == InPath && !pathValue(s):
			return "a value that changes the path", "a value without slashes and control characters that is not empty, . or .."
		case q.In == InHeader && !headerValue(s):
			return "characters that a header cannot carry", "printable ASCII without spaces at the ends"
		}
	}
	return "", ""
}

// pathValue refuses what would leave its segment at some parser on the way.
func pathValue(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsFunc(s, func(c rune) bool {
		return c < 0x20 || c == 0x7f || c == '/' || c == '\\'
	})
}

func headerValue(s string) bool {
	return s == strings.TrimSpace(s) && !slices.ContainsFunc([]byte(s), func(c byte) bool { return c < 0x20 || c > 0x7e })
}
