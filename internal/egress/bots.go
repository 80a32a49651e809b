package egress

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/budget"
	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// ownCall is a call that the gate makes for itself: it has no HTTP request, its operation
// and parameters are given, and no rule of the file reduces the answer.
type ownCall struct {
	operation string
	args      contract.Args
}

// BotToken is what a bot check's widget gave to a page.
type BotToken struct {
	Request    string // request id
	Site       string
	Connection string
	Token      string
	Origin     site.Origin // of the visit
	Client     netip.Addr
}

// CheckBots asks the provider of a connection whether a token is good, through the whole
// pipeline: freeze, limits, contract, audit and outbound hold for it as for any call. It
// returns nil only where the provider said so for this site's host name, and for the action
// where the site wants one. A token that does not count is challenge_refused; a provider
// that cannot be asked is its own problem, and then nothing is let through. It does not
// remember tokens.
func (g *Gate) CheckBots(ctx context.Context, t BotToken) error {
	s := g.sites[t.Site]
	if s == nil || s.Vouching.Challenge == "" || s.Vouching.Challenge != t.Connection || s.conns[t.Connection] == nil {
		return botsRefused("the site has no such bot check")
	}
	conn := s.conns[t.Connection]
	rule := conn.pack.BotCheck
	if t.Token == "" || len(t.Token) > rule.MaxToken || strings.ContainsFunc(t.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return botsRefused("there is no token of the widget in it")
	}
	args := contract.NewArgs(map[string]any{rule.Token: t.Token})
	answer := g.Call(ctx, &Call{ID: t.Request, Site: t.Site, Connection: t.Connection, Client: t.Client, Header: http.Header{},
		own: &ownCall{operation: rule.Operation, args: args}})
	if answer.Problem != nil {
		return withoutOutcome(answer.Problem)
	}
	return readVerdict(rule, answer.Body, s.Site, conn.Mode, t.Origin)
}

// withoutOutcome: what became of the gate's own question is nothing that a page could act on.
func withoutOutcome(p *problem.Error) error {
	c := *p
	c.Outcome, c.IdempotencyKey = problem.NotSent, ""
	return &c
}

func botsRefused(why string) error {
	return problem.New(problem.ChallengeRefused, "the bot check's token does not count: %s", why).WithHint("let the widget make a new token")
}

// readVerdict reads the provider's answer with the fields that its pack names. Whatever is
// missing or of another type is a no.
func readVerdict(rule *provider.BotCheck, body []byte, s *site.Site, mode provider.Mode, origin site.Origin) error {
	var tree map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&tree); err != nil {
		return problem.Wrap(err, problem.UpstreamMalformed, "the bot check's answer cannot be read")
	}
	answer := contract.NewArgs(tree)
	if good, _ := at(answer, rule.Good).(bool); !good {
		codes, _ := at(answer, rule.Codes).([]any)
		if slices.ContainsFunc(codes, func(c any) bool { text, _ := c.(string); return slices.Contains(rule.OwnFaults, text) }) {
			return problem.New(problem.CredentialRefused, "the bot check refused the gate's own question").
				WithHint("check the secret key of the connection, and that it belongs to the page's site key")
		}
		return botsRefused("the provider says no")
	}
	if rule.Hostname != "" {
		host, _ := at(answer, rule.Hostname).(string)
		test := mode != provider.Live && slices.Contains(rule.TestHostnames, host)
		if !test && (host == "" || host != hostOf(origin)) {
			return botsRefused("it was made on another host name")
		}
	}
	if s.Vouching.Action != "" && rule.Action != "" {
		if action, _ := at(answer, rule.Action).(string); action != s.Vouching.Action {
			return botsRefused("it was made for another action")
		}
	}
	return nil
}

func at(a contract.Args, path string) any {
	if path == "" {
		return nil
	}
	p, err := contract.ParsePath(path)
	if err != nil {
		return nil
	}
	v, _ := a.Get(p)
	return v
}

func hostOf(o site.Origin) string {
	u, err := url.Parse(string(o))
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// openOwn opens the operation that the gate itself asks of a connection, where the site
// has chosen it as its bot check.
func (g *Gate) openOwn(s *site.Site, conn *connection) error {
	if s.Vouching.Challenge != conn.Name {
		return nil
	}
	op, upstream, err := g.open(conn, conn.pack.BotCheck.Operation)
	if err != nil {
		return err
	}
	view, err := op.View(nil)
	if err != nil {
		return err
	}
	conn.own = &ownRule{op: op, view: view, upstream: upstream}
	return nil
}

// ownRule is the one operation that the gate may call for itself.
type ownRule struct {
	op       *contract.Operation
	view     *contract.View
	upstream Upstream
	charges  []budget.Charge
}
