package provider

import (
	"slices"
	"strings"

	"sallyport/internal/contract"
)

// checkContract holds the operations of the contract against the pack: what they name
// must exist, and what the pack offers must be used.
func (p *Pack) checkContract(f *faults) {
	if p.contract == nil {
		return // a pack by itself, as config and tools read it
	}
	if len(p.contract.Operations()) == 0 && p.Login == nil {
		f.add("contract: it has no operation")
	}
	servers, auths := make(map[string]bool), make(map[string]bool)
	for _, op := range p.contract.Operations() {
		where := "contract: " + op.ID
		if _, ok := p.Servers[op.Server]; !ok {
			f.add("%s: x-sallyport.server %q is not one of servers (%s)", where, op.Server, joined(sortedKeys(p.Servers)))
		}
		if _, ok := p.Auth[op.Auth]; !ok {
			f.add("%s: x-sallyport.auth %q is not one of auth (%s)", where, op.Auth, joined(sortedKeys(p.Auth)))
		}
		servers[op.Server], auths[op.Auth] = true, true
		f.text(where+": x-sallyport.source", op.Source)
		p.checkAccountParams(f, where, op.ID)
	}
	for _, a := range p.Auth {
		servers[a.TokenServer] = true
	}
	for _, e := range p.TokenEndpoints {
		servers[e.Server] = true
	}
	for _, name := range sortedKeys(p.Servers) {
		if !servers[name] {
			f.add("servers.%s: no operation and no token endpoint uses it", name)
		}
	}
}

// checkAccountParams: a parameter that the gate inserts comes from a credential field
// that is not secret, because it stands in a URL or a body.
func (p *Pack) checkAccountParams(f *faults, where, id string) {
	op, _ := p.contract.Find(id)
	for _, param := range op.Params {
		if param.Account == "" {
			continue
		}
		i := slices.IndexFunc(p.Credentials, func(c CredentialField) bool { return c.Name == param.Account })
		switch {
		case i < 0:
			f.add("%s: parameter %s: account %q is not one of credentials", where, param.Name, param.Account)
		case p.Credentials[i].Secret:
			f.add("%s: parameter %s: account %q is a secret credential", where, param.Name, param.Account)
		}
	}
}

// checkOps refuses names of operations that the contract does not have.
func (p *Pack) checkOps(f *faults, where string, ops []string) {
	if p.contract == nil {
		return
	}
	for _, id := range ops {
		if _, ok := p.contract.Find(id); ok {
			continue
		}
		if near, ok := Nearest(id, p.operationIDs()); ok {
			f.add("%s.operations: the contract has no %q; did you mean %q?", where, id, near)
		} else {
			f.add("%s.operations: the contract has no %q", where, id)
		}
	}
}

// EachNamed reports whether the limit counts for each object or number apart.
func (l Limit) EachNamed() bool { return l.Scope == "object" || l.Scope == "number" }

// Names is the operation's parameter that names what the limit counts for: the first of
// By that it has. False: it has none.
func (l Limit) Names(op *contract.Operation) (string, bool) {
	for _, name := range l.By {
		if _, ok := op.Param(name); ok {
			return name, true
		}
	}
	return "", false
}

func (p *Pack) operationIDs() []string {
	var ids []string
	for _, op := range p.contract.Operations() {
		ids = append(ids, op.ID)
	}
	return ids
}

func joined[S ~string](names []S) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}
