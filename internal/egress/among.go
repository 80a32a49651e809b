package egress

import (
	"context"
	"slices"
	"strings"

	"sallyport/internal/problem"
	"sallyport/internal/session"
)

// Target is a connection that may be asked for.
type Target struct {
	Site, Connection string
	// Base is the path of the provider's server, without a slash at the end: what is below it
	// is the connection's path.
	Base string
}

// among decides which of the connections of a provider's host is asked for, where the address
// does not say: the caller's key does. It names the one in a copy of the call; whether the key
// is good for it, every step after this one decides as always.
func among(ctx context.Context, g *Gate, x *exchange) error {
	below := make([]Target, 0, len(x.call.Among))
	for _, t := range x.call.Among {
		if t.holds(x.call.Path) && g.connOf(t) != nil {
			below = append(below, t)
		}
	}
	if len(below) == 0 {
		return problem.New(problem.UnknownConnection, "no connection serves this path of that host").
			WithHint("send the path as the provider documents it")
	}
	x.words, x.wordsAt = g.connOf(below[0]), below[0].path(x.call.Path) // a refusal until the connection is known is in the words of the host's provider
	open, err := g.opened(ctx, x, below)
	if err != nil {
		return err
	}
	if len(open) > 1 && (open[0].Site != open[1].Site || open[0].Connection != open[1].Connection) {
		return problem.New(problem.UnknownConnection, "this site key opens more than one connection of that host").
			WithHint("give the SDK the key of one connection: sallyport keys create %s --connection %s", open[0].Site, open[0].Connection)
	}
	call := *x.call
	call.Site, call.Connection, call.Path = open[0].Site, open[0].Connection, open[0].path(call.Path)
	call.Among, x.call = nil, &call
	return nil
}

// opened are the targets that the presented key opens, those with the longest base first. The
// places where a key may stand are the provider's, so each provider's are looked at apart.
func (g *Gate) opened(ctx context.Context, x *exchange, targets []Target) ([]Target, error) {
	var out []Target
	var refusal error
	asked := map[string]session.StoredKey{}
	for _, t := range targets {
		conn := g.connOf(t)
		key, done := asked[conn.pack.ID]
		if !done {
			var err error
			if err = x.readGrant(g, conn, t.path(x.call.Path)); err != nil {
				return nil, err
			}
			if err = x.readFields(conn); err != nil {
				return nil, err
			}
			key, err = g.deps.Keys.Whose(ctx, x.attemptAt(t, conn))
			if err != nil && !session.IsRefusal(err) {
				return nil, err
			}
			if err != nil {
				refusal = err
			}
			asked[conn.pack.ID] = key
		}
		if key.ID != "" && key.Site == t.Site && (key.Connection == "" || key.Connection == t.Connection) {
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		if refusal == nil { // a good key, of something else: refused, and counted, as one that is none
			_, refusal = g.deps.Keys.Verify(ctx, x.attemptAt(targets[0], g.connOf(targets[0])))
		}
		if refusal == nil { // keys changed between the two looks
			refusal = problem.New(problem.Unauthenticated, "the key is not valid here")
		}
		return nil, refusal
	}
	slices.SortStableFunc(out, func(a, b Target) int { return len(b.Base) - len(a.Base) })
	if longest := len(out[0].Base); len(out[len(out)-1].Base) != longest {
		out = slices.DeleteFunc(out, func(t Target) bool { return len(t.Base) != longest })
	}
	return out, nil
}

// attemptAt is what the caller would present at one connection; it leaves no trace.
func (x *exchange) attemptAt(t Target, conn *connection) session.Attempt {
	before, stripQ, stripB := x.conn, x.stripQ, x.stripB
	x.conn = conn
	a := x.attempt()
	x.conn, x.stripQ, x.stripB = before, stripQ, stripB
	a.Site, a.Connection = t.Site, t.Connection
	return a
}

func (g *Gate) connOf(t Target) *connection {
	s, ok := g.sites[t.Site]
	if !ok {
		return nil
	}
	return s.conns[t.Connection]
}

func (t Target) holds(path string) bool {
	return t.Base == "" || strings.HasPrefix(path, t.Base+"/")
}

func (t Target) path(path string) string { return strings.TrimPrefix(path, t.Base) }
