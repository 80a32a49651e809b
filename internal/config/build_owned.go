package config

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/contract"
)

// owned reads the ids that a browser may name because its visit received them.
func (r *ruler) owned(v *value) {
	for _, item := range v.many() {
		path, schema, ok := r.parameter(item, item.str(), "owned")
		if !ok || r.selectsAccount(item, path, schema, "owned") {
			continue
		}
		switch {
		case !schema.ID:
			r.fault(item, fmt.Sprintf("%s is not an object id in the contract", path), orElse(idsBelow(schema, path), "write it under free, one_of or range, or write one of the ids: "+r.idNames()))
		case schema.Kind == "":
			r.fault(item, fmt.Sprintf("the contract does not say what kind of object %s names, so no id from an answer could be told to be one", path),
				"write it under fixed or sealed, or let the site's backend call this operation; in a contract of your own mark both places with x-sallyport.id and one kind")
		default:
			r.rule.Owned = append(r.rule.Owned, path)
			r.ids = append(r.ids, ownedID{at: item, operation: r.op.ID, path: path, kind: schema.Kind})
		}
	}
}

// ownedID is an id that a rule lets a browser name, and where the file says so.
type ownedID struct {
	at        *value
	operation string
	path      contract.Path
	kind      string
}

// selectsAccount refuses to let a stranger choose whose account a call works on.
func (r *ruler) selectsAccount(at *value, path contract.Path, schema *contract.Schema, in string) bool {
	found := false
	for _, p := range r.op.Places(func(s *contract.Schema) bool { return s.SelectsAccount }) {
		if p.Path.Overlaps(path) && !found {
			found = true
			r.fault(at, fmt.Sprintf("%s selects the account that the call works on or that pays for it", p.Path),
				"remove it from "+in+": write the account under fixed or sealed, or let the site's backend call this operation")
		}
	}
	return found || schema.SelectsAccount
}

// idsBelow names the ids below a path that is none itself.
func idsBelow(s *contract.Schema, path contract.Path) string {
	if sub, ok := hiddenID(s, path, 0); ok {
		return "name the id itself: " + sub.String()
	}
	return ""
}

func (r *ruler) idNames() string {
	var names []string
	for _, p := range r.op.Places(func(s *contract.Schema) bool { return s.Kind != "" && !s.SelectsAccount }) {
		names = append(names, p.Path.String())
	}
	if len(names) == 0 {
		return r.op.ID + " has none"
	}
	return strings.Join(names, ", ")
}

// whereToAdd is what may supply a parameter that a call needs.
func (r *ruler) whereToAdd(path contract.Path) string {
	s, err := r.op.Lookup(path)
	switch {
	case err == nil && s.SelectsAccount:
		return "fixed or sealed"
	case err == nil && s.ID && !s.PublicID && s.Kind != "":
		return "owned, fixed or sealed"
	}
	return "free, fixed, one_of, range, sealed or from"
}

// received checks that every owned id can be received: some operation that browsers may call
// on this connection shows an id of its kind, or grants it, without needing one itself.
func (l *linker) received() {
	if len(l.ids) == 0 {
		return
	}
	gives := map[string]bool{}
	for more := true; more; { // what one operation gives may be what the next one needs
		more = false
		for name, rule := range l.conn.Browser {
			op, ok := l.pack.Contract().Find(name)
			if !ok || slices.ContainsFunc(l.needed(op), func(kind string) bool { return !gives[kind] }) {
				continue
			}
			for _, kind := range kindsShown(op, slices.Concat(rule.Returns, rule.Receipt)) {
				more = more || !gives[kind]
				gives[kind] = true
			}
		}
	}
	for _, id := range l.ids {
		if !gives[id.kind] {
			l.fault(id.at, fmt.Sprintf("no operation that browsers may call here gives a visit the id of a %s, so every %s of theirs would be refused", id.kind, id.path),
				l.giverHint(id))
		}
	}
}

// needed lists the kinds of id without which a browser cannot call an operation at all.
func (l *linker) needed(op *contract.Operation) (kinds []string) {
	for _, id := range l.ids {
		if p, ok := op.Param(id.path.Root()); ok && p.Required && id.operation == op.ID && len(id.path.Steps()) == 1 {
			kinds = append(kinds, id.kind)
		}
	}
	return kinds
}

// kindsShown lists the kinds of id that a visit gets from an operation.
func kindsShown(op *contract.Operation, returns []contract.Path) []string {
	var kinds []string
	if in, err := op.Identities(returns, nil); err == nil {
		kinds = slices.Clone(in.Kinds())
	}
	for _, p := range op.Places(func(s *contract.Schema) bool { return s.Grants != "" }) {
		kinds = append(kinds, p.Grants)
	}
	return kinds
}

// giverHint names what would give the id: a field that a rule leaves out, or an operation
// that no rule names.
func (l *linker) giverHint(id ownedID) string {
	var givers []string
	for _, op := range l.pack.Contract().Operations() {
		in, err := op.Identities(nil, []string{id.kind})
		granted := op.Places(func(s *contract.Schema) bool { return s.Grants == id.kind })
		if !op.Loaded() || err != nil || len(in.Kinds())+len(granted) == 0 {
			continue
		}
		if slices.Contains(l.needed(op), id.kind) {
			continue
		}
		if _, ours := l.conn.Browser[op.ID]; ours {
			return fmt.Sprintf("add the id of the %s to the returns of %s", id.kind, op.ID)
		}
		if slices.ContainsFunc(op.Params, func(p contract.Parameter) bool { return p.Required && p.ID && !p.PublicID && p.Account == "" }) {
			continue // it needs an id itself
		}
		if len(givers) < 4 {
			givers = append(givers, op.ID)
		}
	}
	if len(givers) == 0 {
		return fmt.Sprintf("no operation of %s gives it: write %s under fixed or sealed, or let the site's backend call %s", l.pack.ID, id.path, id.operation)
	}
	return fmt.Sprintf("allow browsers an operation that gives it, such as %s, with the id in its returns; or write %s under fixed or sealed", strings.Join(givers, ", "), id.path)
}
