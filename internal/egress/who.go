package egress

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/site"
)

func findConnection(ctx context.Context, g *Gate, x *exchange) Decision {
	if len(x.call.Among) > 0 {
		if err := among(ctx, g, x); err != nil {
			return denyErr(err)
		}
	}
	s, ok := g.sites[x.call.Site]
	if !ok {
		return deny(problem.New(problem.NotFound, "no such site"))
	}
	conn, ok := s.conns[x.call.Connection]
	if !ok {
		return deny(problem.New(problem.UnknownConnection, "this site has no connection of that name").
			WithHint("the path is api/CONNECTION/…; connections are named in sallyport.yaml"))
	}
	x.site, x.conn = s, conn
	return allow("known connection")
}

func checkFreeze(_ context.Context, g *Gate, x *exchange) Decision {
	freeze, frozen, err := g.deps.Freezes.Frozen(x.call.Site, x.call.Connection)
	if err != nil {
		return deny(problem.Wrap(err, problem.StoreUnavailable, "it is not known whether calls are frozen"))
	}
	if frozen {
		what := freeze.Site
		if freeze.Connection != "" {
			what += "/" + freeze.Connection
		}
		return deny(problem.New(problem.Frozen, "an operator has stopped these calls").WithHint("an operator ends it with: sallyport thaw %s", what))
	}
	return allow("not frozen")
}

// identify finds the caller. A request with an Origin comes from a browser and
// needs a session; a site key that arrives from a browser is refused, because a key
// in a page is a leaked key.
func identify(ctx context.Context, g *Gate, x *exchange) Decision {
	if x.call.own != nil {
		x.caller = site.Gate
		return allow("the gate itself")
	}
	if x.call.Origin != "" {
		previews := x.conn.Mode != provider.Live
		if !x.site.Allows(x.call.Origin, previews) {
			return deny(problem.New(problem.OriginRefused, "this connection does not serve that origin"))
		}
		visit, err := g.deps.Sessions.Verify(bearer(x.call.Header), x.call.Site, x.call.Origin)
		if err != nil {
			return denyErr(err)
		}
		x.caller, x.visit, x.session = site.Browser, visit.ID, visit
		return allow("session")
	}
	if err := x.readGrant(g, x.conn, x.call.Path); err != nil {
		return denyErr(err)
	}
	if err := x.readFields(x.conn); err != nil {
		return denyErr(err)
	}
	key, err := g.deps.Keys.Verify(ctx, x.attempt())
	if err != nil {
		return denyErr(err)
	}
	x.caller, x.keyID = site.Backend, key.ID
	if x.grant != nil {
		x.grant.key = key
	}
	return allow("site key")
}

func basic(h http.Header) (user, pass string, ok bool) {
	v := h.Get("Authorization")
	if len(v) < 7 || !strings.EqualFold(v[:6], "Basic ") {
		return "", "", false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(v[6:])
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(raw), ":")
}

func queryValue(raw, name string) (string, bool) {
	for pair := range strings.SplitSeq(raw, "&") {
		k, v, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(k); err != nil || key != name {
			continue
		}
		if value, err := url.QueryUnescape(v); err == nil && value != "" {
			return value, true
		}
	}
	return "", false
}

// withoutQuery takes the named parameters out of a raw query.
func withoutQuery(raw string, names []string) string {
	if len(names) == 0 || raw == "" {
		return raw
	}
	var keep []string
	for pair := range strings.SplitSeq(raw, "&") {
		k, _, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(k); err == nil && slices.Contains(names, key) {
			continue
		}
		keep = append(keep, pair)
	}
	return strings.Join(keep, "&")
}

// findOperation matches method and path against the contract and the caller's allow-list.
func findOperation(_ context.Context, _ *Gate, x *exchange) Decision {
	if x.caller == site.Gate {
		if x.conn.own == nil || x.conn.own.op.ID != x.call.own.operation {
			return deny(problem.New(problem.OperationRefused, "the gate does not ask this connection for itself"))
		}
		x.op = x.conn.own.op
		return allow("the site's bot check")
	}
	op, methods := x.conn.doc.Route(x.call.Method, x.call.Path)
	if op == nil {
		if len(methods) > 0 {
			return deny(problem.New(problem.MethodNotAllowed, "this path takes %s", strings.Join(methods, ", ")))
		}
		return deny(problem.New(problem.UnknownOperation, "the catalog has no operation at that path").
			WithHint("`sallyport providers show %s` lists the operations with method and path", x.conn.pack.ID))
	}
	x.op = op
	refused := problem.New(problem.OperationRefused, "operation %s is not allowed for a %s of this connection", op.ID, x.caller)
	switch x.caller {
	case site.Browser:
		if x.rule = x.conn.browser[op.ID]; x.rule == nil {
			return deny(refused.WithHint("name it under connections.%s.browser in sallyport.yaml", x.call.Connection))
		}
	case site.Backend:
		if x.conn.backend[op.ID] == nil {
			return deny(refused.WithHint("name it under connections.%s.backend in sallyport.yaml", x.call.Connection))
		}
	default:
		return deny(refused)
	}
	return allow("named in the file")
}

// takeLimits takes the call from all limits at once, or from none. Limits per session
// or network count browsers; those per site, connection or operation count everybody.
func takeLimits(ctx context.Context, g *Gate, x *exchange) Decision {
	x.subject = ratelimit.Subject{Site: x.call.Site, Connection: x.call.Connection, Operation: x.op.ID,
		Session: x.visit, Client: x.call.Client}
	var own []ratelimit.Rule
	if x.rule != nil {
		own = x.rule.Limits
	}
	checks := x.checks[:0]
	for level, rules := range [][]ratelimit.Rule{x.conn.limits[0], x.conn.limits[1], own} {
		for _, r := range rules {
			if x.caller == site.Browser || r.Per != ratelimit.PerSession && r.Per != ratelimit.PerPrefix {
				checks = append(checks, g.deps.Limiter.Check(ratelimit.Level(level), r, &x.subject))
			}
		}
	}
	if len(checks) == 0 {
		return allow("no limit applies")
	}
	d, err := g.deps.Limiter.AllowAll(ctx, g.now(), checks)
	if err != nil {
		return deny(problem.Wrap(err, problem.StoreUnavailable, "it is not known whether the call is within its limits"))
	}
	x.head = http.Header{}
	ratelimit.SetHeader(x.head, checks, d)
	if !d.Allowed {
		return denyErr(d.Problem())
	}
	return allow("within limits")
}
