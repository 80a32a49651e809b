package egress

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// Owned remembers which objects a visit received, so that a browser can name those and no
// others. Methods are safe for concurrent use.
type Owned interface {
	// Remember keeps that a visit received objects; nil means durable. What is there
	// already stays as it is. It ends by itself, whatever ctx does.
	Remember(ctx context.Context, by Visitor, objects []contract.Identity) error
	// Owns reports whether the visit received the object. An error means that it is not
	// known: the object may not be named.
	Owns(ctx context.Context, by Visitor, object contract.Identity) (bool, error)
}

// Visitor is a visit at one provider account: what it received there counts nowhere else.
type Visitor struct {
	Site, Connection string
	Mode             string
	Account          string // names the account that the connection works with
	Visit            string
}

// ownedRule is what one browser operation has to do with ids.
type ownedRule struct {
	named  []ownedPlace // in the request: only what the visit received
	learns *contract.Identities
	stated *contract.Identities // in the receipt
	grants []ownedPlace         // in the request: named later, once the call succeeded
	typed  []contract.Path
}

// ownedPlace is a place in the request where an id of a kind stands.
type ownedPlace struct {
	path contract.Path
	kind string
}

// learnedAtOnce bounds what one answer adds: of a longer list the first are kept.
const learnedAtOnce = 100

// wantedKinds are the kinds that the browser rules of a connection let a visit name.
// Where there are none, nothing is remembered.
func (c *connection) wantedKinds() ([]string, error) {
	kinds := []string{}
	for name, rule := range c.Browser {
		op, ok := c.doc.Find(name)
		if !ok {
			continue // told where the rule is compiled
		}
		for _, p := range rule.Owned {
			s, err := op.Lookup(p)
			if err != nil {
				return nil, err
			}
			if s.Kind == "" {
				return nil, errors.New("operation " + name + ": the contract does not say what kind of object " + p.String() + " names, so it cannot be owned")
			}
			kinds = append(kinds, s.Kind)
		}
	}
	return kinds, nil
}

// accountKey names the provider account behind a connection: its credentials by reference,
// its identifiers, and where its calls go. After a change of one of them a visit owns
// nothing there, because the ids may mean other objects.
func accountKey(c *site.Connection) string {
	parts := []string{c.Provider}
	if c.Upstream != nil {
		parts = append(parts, c.Upstream.URL)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Account)) {
		parts = append(parts, name+"="+c.Account[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Credentials)) {
		parts = append(parts, name+"="+c.Credentials[name].String())
	}
	return strings.Join(parts, "\x00")
}

// ownedRule compiles what one operation names, learns and grants.
func (c *connection) ownedRule(op *contract.Operation, rule *site.BrowserRule, wanted []string) (*ownedRule, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	var r ownedRule
	var err error
	for _, p := range rule.Owned {
		s, err := op.Lookup(p)
		if err != nil {
			return nil, err
		}
		r.named = append(r.named, ownedPlace{p, s.Kind})
	}
	returns := rule.Returns
	if returns == nil {
		returns = []contract.Path{}
	}
	if r.learns, err = op.Identities(returns, wanted); err != nil {
		return nil, err
	}
	if len(rule.Receipt) > 0 {
		if r.stated, err = op.Identities(rule.Receipt, wanted); err != nil {
			return nil, err
		}
	}
	for _, p := range op.Places(func(s *contract.Schema) bool { return slices.Contains(wanted, s.Grants) }) {
		r.grants = append(r.grants, ownedPlace{p.Path, p.Grants})
	}
	r.typed = slices.Clone(rule.Free)
	for _, n := range rule.Range {
		r.typed = append(r.typed, n.Path)
	}
	if len(r.named)+len(r.grants)+len(r.learns.Kinds()) == 0 && (r.stated == nil || len(r.stated.Kinds()) == 0) {
		return nil, nil
	}
	return &r, nil
}

// checkOwned refuses ids that this visit did not receive. The refusal is the same whether
// the object exists, belongs to somebody else, or was forgotten.
func checkOwned(ctx context.Context, g *Gate, x *exchange) Decision {
	if x.rule == nil || x.rule.owned == nil {
		return allow("no id is owned here")
	}
	for _, place := range x.rule.owned.named {
		for _, at := range elements(place.path, x.args) {
			v, given := x.args.Get(at)
			if !given {
				continue
			}
			id, ok := idText(v)
			if !ok {
				return deny(notOwned(at))
			}
			owns, err := g.deps.Owned.Owns(ctx, x.visitor(), contract.Identity{Kind: place.kind, ID: id})
			if err != nil {
				return deny(problem.Wrap(err, problem.StoreUnavailable, "it is not known which objects this visit received"))
			}
			if !owns {
				return deny(notOwned(at))
			}
		}
	}
	return allow("received by this visit")
}

func notOwned(at contract.Path) *problem.Error {
	p := problem.New(problem.NotOwned, "%s does not name an object that this visit received from this connection", at)
	p.Faults = []problem.Fault{{Where: at.String(), Found: "an id that this visit did not receive", Want: "an id from an answer of this connection to this visit"}}
	return p.WithHint("call the operation that gives the id first, in the same session; a new session has received nothing")
}

// idText is an id as the contract reads it. What is not text or a number names nothing.
func idText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, v != ""
	case json.Number:
		return v.String(), true
	}
	return "", false
}

func (x *exchange) visitor() Visitor {
	return Visitor{Site: x.call.Site, Connection: x.call.Connection, Mode: string(x.conn.Mode), Account: x.conn.accountKey, Visit: x.visit}
}

// rememberOwned keeps what a performed call showed the visit, before the answer leaves.
// Its error does not withhold the answer, because the call was performed: what could not be
// kept is refused later.
func rememberOwned(ctx context.Context, g *Gate, x *exchange) Decision {
	if x.rule == nil || x.rule.owned == nil || x.response == nil || x.response.Status >= 300 {
		return allow("nothing to remember")
	}
	rule := x.rule.owned
	objects, err := x.shownObjects(rule)
	if len(objects) > 0 {
		typed := x.typed(rule.typed)
		objects = slices.DeleteFunc(objects, func(o contract.Identity) bool { return typed[o.ID] })
	}
	for _, grant := range rule.grants {
		for _, at := range elements(grant.path, x.args) {
			v, _ := x.args.Get(at)
			if id, ok := idText(v); ok {
				objects = append(objects, contract.Identity{Kind: grant.kind, ID: id})
			}
		}
	}
	if len(objects) > 0 {
		err = errors.Join(err, g.deps.Owned.Remember(context.WithoutCancel(ctx), x.visitor(), objects))
	}
	x.innerErr = errors.Join(x.innerErr, err)
	return allow("remembered")
}

// shownObjects are those in what the visit gets of an answer: the reply, and the receipt.
func (x *exchange) shownObjects(rule *ownedRule) ([]contract.Identity, error) {
	objects, err := rule.learns.Find(x.reply, learnedAtOnce)
	if err != nil || rule.stated == nil || len(rule.stated.Kinds()) == 0 {
		return objects, err
	}
	reply, _, err := x.op.CheckResponse(x.response.Status, x.response.Header.Get("Content-Type"), x.response.Body, x.rule.receipt)
	if err != nil {
		return objects, err
	}
	more, err := rule.stated.Find(reply, learnedAtOnce)
	return append(objects, more...), err
}

// typed are the values that the browser wrote itself in this call: an answer that repeats
// one gives nothing.
func (x *exchange) typed(paths []contract.Path) map[string]bool {
	out := map[string]bool{}
	for _, leaf := range x.args.Leaves() {
		if !slices.ContainsFunc(paths, func(p contract.Path) bool { return p.Covers(leaf) }) {
			continue
		}
		v, _ := x.args.Get(leaf)
		if id, ok := idText(v); ok {
			out[id] = true
		}
	}
	return out
}
