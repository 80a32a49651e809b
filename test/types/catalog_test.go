package types

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/mock"
	"sallyport/internal/provider"
	"sallyport/internal/site"
	"sallyport/internal/typescript"
)

// variants are the ways in which a rule uses an operation: everything is free and returned; parts are fixed, and single
// fields returned; and parts are lists and ranges.
const variants = 3

// addCatalog adds, for every provider and variant, the types of a site that allows all operations, and uses of each:
// right ones that have to compile (a generated request, the mock's answer as the gate reduces it), and each of them
// with one thing wrong, which must not.
func (p *project) addCatalog(t *testing.T) {
	t.Helper()
	catalog := provider.Builtin()
	packs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	uses := 0
	for _, pack := range packs {
		for variant := range variants {
			u := &user{t: t, pack: pack, variant: variant, name: fmt.Sprintf("%s-%d", pack.ID, variant),
				mock: mock.New(pack, site.MockFaults{Seed: 1}, func() time.Time { return time.Unix(1_800_000_000, 0).UTC() })}
			conn := &site.Connection{Name: "c", Provider: pack.ID, Browser: map[string]*site.BrowserRule{}}
			for _, op := range pack.Contract().Operations() {
				conn.Browser[op.ID] = u.rule(op)
			}
			made, err := typescript.Declare(&site.Site{Name: u.name, Connections: map[string]*site.Connection{"c": conn}}, catalog, typescript.Options{})
			if err != nil {
				t.Fatal(err)
			}
			p.add(t, u.name+".d.ts", string(made.Text))
			u.line(`import type { Params, Result } from %q;`, typescript.ModuleName(u.name))
			u.line("declare const stranger: { never_there: symbol };")
			for _, op := range pack.Contract().Operations() {
				u.use(op, conn.Browser[op.ID])
			}
			p.add(t, "uses-"+u.name+".ts", u.text.String())
			uses += u.wrong
		}
	}
	if uses < 3000 {
		t.Errorf("only %d wrong uses of the catalog were made", uses)
	}
	t.Logf("%d wrong uses of the catalog", uses)
}

// user writes uses of one provider's operations.
type user struct {
	t       *testing.T
	pack    *provider.Pack
	variant int
	name    string
	mock    *mock.Provider
	text    strings.Builder
	count   int
	wrong   int
}

func (u *user) line(format string, args ...any) { fmt.Fprintf(&u.text, format+"\n", args...) }

// rule is the variant's rule for an operation.
func (u *user) rule(op *contract.Operation) *site.BrowserRule {
	rule := &site.BrowserRule{Operation: op.ID, Returns: u.returns(op)}
	for i, p := range op.Params {
		path := contract.Path{}.Child(p.Name)
		value := sample(p.Schema, 0)
		whole := slices.Contains(p.Schema.Types, "integer")
		_, text := value.(string)
		switch {
		case p.Account != "":
		case u.variant == 1 && i%2 == 1:
			rule.Fixed = append(rule.Fixed, site.Fixed{Path: path, Value: value})
		case u.variant == 2 && whole:
			rule.Range = append(rule.Range, site.Range{Path: path, Min: 1, Max: 5})
		case u.variant == 2 && text:
			rule.OneOf = append(rule.OneOf, site.Choice{Path: path, Values: []any{value}})
		default:
			rule.Free = append(rule.Free, path)
		}
	}
	return rule
}

// returns are all fields of the answer, or about half of the single fields anywhere in it.
func (u *user) returns(op *contract.Operation) []contract.Path {
	s := op.Schema(op.SuccessStatus())
	if s == nil {
		return []contract.Path{}
	}
	root := contract.Path{}
	var all []contract.Path
	if _, err := op.LookupReply(root.Child("body")); err == nil {
		all = []contract.Path{root.Child("body")}
	} else {
		for _, name := range s.Order {
			all = append(all, root.Child(name))
		}
	}
	if u.variant == 0 {
		return all
	}
	var some []contract.Path
	for _, path := range all {
		some = append(some, u.leaves(op, path, 0)...)
	}
	return some
}

func (u *user) leaves(op *contract.Operation, path contract.Path, depth int) []contract.Path {
	s, err := op.LookupReply(path)
	if err != nil {
		return nil
	}
	var below []contract.Path
	if depth < 4 {
		for _, part := range append([]*contract.Schema{s}, slices.Concat(s.AllOf, s.AnyOf, s.OneOf)...) {
			for _, name := range part.Order {
				below = append(below, u.leaves(op, path.Child(name), depth+1)...)
			}
			if part.Items != nil {
				below = append(below, u.leaves(op, path.At(contract.Every), depth+1)...)
			}
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(path.String())) // a hash takes everything
	if h.Sum32()/7%4 == uint32(u.variant) {
		return append(below, path)
	}
	return below
}

// use writes what may and what may not be written with one operation.
func (u *user) use(op *contract.Operation, rule *site.BrowserRule) {
	params := fmt.Sprintf(`Params<"c", %q>`, op.ID)
	right := map[string]any{}
	required := map[string]bool{}
	for i := range op.Params {
		if p := &op.Params[i]; rule.Leaves(p.Name) {
			right[p.Name] = sample(p.Schema, 0)
			for _, r := range rule.Range {
				if r.Path.Root() == p.Name {
					right[p.Name] = json.Number("3")
				}
			}
			required[p.Name] = p.Required
		}
	}
	u.right(params, literal(right))
	u.bad(params, with(right, "not_a_parameter", json.Number("1")))
	for _, f := range rule.Fixed {
		u.bad(params, with(right, f.Path.Root(), f.Value))
	}
	for _, c := range rule.OneOf {
		u.bad(params, with(right, c.Path.Root(), "something else"))
	}
	for _, name := range slices.Sorted(maps.Keys(right)) {
		if p, _ := op.Param(name); len(p.Schema.Types) > 0 || len(p.Schema.AnyOf) > 0 {
			u.bad(params, with(right, name, stranger{}))
		}
		if required[name] {
			less := maps.Clone(right)
			delete(less, name)
			u.bad(params, literal(less))
		}
	}
	u.answer(op, rule)
}

// answer writes the mock's answer, as the gate reduces it, as a value of the result's type.
func (u *user) answer(op *contract.Operation, rule *site.BrowserRule) {
	view, err := op.View(rule.Returns)
	if err != nil {
		u.t.Fatalf("%s %s: %v", u.name, op.ID, err)
	}
	status, header, body := u.mock.Answer(op, contract.NewArgs(nil))
	reply, faults, err := op.CheckResponse(status, header.Get("Content-Type"), body, view)
	if err != nil || len(faults) > 0 {
		u.t.Fatalf("%s %s: %v %v", u.name, op.ID, err, faults)
	}
	result := fmt.Sprintf(`Result<"c", %q>`, op.ID)
	got := "null"
	if len(reply.Body) > 0 {
		got = string(reply.Body)
	}
	u.right(result, got)
	u.bad(result, "undefined")
	u.count++
	u.wrong++
	u.line("// @ts-expect-error a field that does not come back")
	u.line(`export const v%d = (r: NonNullable<%s>) => r.not_a_field;`, u.count, result)
	s := op.Schema(op.SuccessStatus())
	if s == nil {
		return
	}
	for _, name := range s.Order {
		if returned := slices.ContainsFunc(rule.Returns, func(p contract.Path) bool { return p.Root() == name }); !returned {
			u.count++
			u.wrong++
			u.line("// @ts-expect-error a field that is not returned")
			u.line(`export const v%d = (r: NonNullable<%s>) => r[%q];`, u.count, result, name)
		}
	}
}

func (u *user) right(typ, value string) {
	u.count++
	u.line("export const v%d: %s = %s;", u.count, typ, value)
}

func (u *user) bad(typ, value string) {
	u.count++
	u.wrong++
	u.line("// @ts-expect-error\nexport const v%d: %s = %s;", u.count, typ, value)
}

// stranger is a value that has no type of any contract.
type stranger struct{}

func with(values map[string]any, name string, value any) string {
	more := maps.Clone(values)
	more[name] = value
	return literal(more)
}

// literal writes an object of TypeScript.
func literal(values map[string]any) string {
	var members []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text := "stranger"
		if _, ok := values[name].(stranger); !ok {
			raw, err := json.Marshal(values[name])
			if err != nil {
				return err.Error()
			}
			text = string(raw)
		}
		members = append(members, fmt.Sprintf("%q: %s", name, text))
	}
	return "{ " + strings.Join(members, ", ") + " }"
}

// sample is a value of a request that has the types of its schema; lengths and patterns are not looked at.
func sample(s *contract.Schema, depth int) any {
	switch {
	case s.HasConst:
		return s.Const
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.OneOf) > 0:
		return sample(s.OneOf[0], depth)
	case len(s.AnyOf) > 0:
		return sample(s.AnyOf[0], depth)
	case slices.Contains(s.Types, "string"):
		return "text"
	case slices.Contains(s.Types, "boolean"):
		return true
	case slices.Contains(s.Types, "array"):
		return []any{sample(s.Items, depth+1)}
	case slices.Contains(s.Types, "object") || len(s.AllOf) > 0:
		return sampleObject(s, depth)
	}
	return json.Number("1")
}

func sampleObject(s *contract.Schema, depth int) any {
	out := map[string]any{}
	for _, part := range s.AllOf {
		if m, ok := sample(part, depth).(map[string]any); ok {
			maps.Copy(out, m)
		}
	}
	for _, name := range s.Order {
		if depth < 5 || slices.Contains(s.Required, name) {
			out[name] = sample(s.Properties[name], depth+1)
		}
	}
	if s.Additional != nil {
		out["any_name"] = sample(s.Additional, depth+1)
	}
	return out
}
