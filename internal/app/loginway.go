package app

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/authcode"
	"sallyport/internal/outbound"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

// login is the way to an identity provider's own servers: those that its metadata or the
// catalog name, or the connection's upstream in their place.
func (w *wayOut) login(g *Gate, c *site.Connection, p *provider.Pack) authcode.Way {
	return w.asking(g, c, p, "login")
}

// asking is that way, for what the audit log calls by a name.
func (w *wayOut) asking(g *Gate, c *site.Connection, p *provider.Pack, operation string) authcode.Way {
	return func(address string) (authcode.Sender, string, string, error) {
		if err := authcode.CheckAddress(address); err != nil {
			return nil, "", "", err
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			return nil, "", "", errors.New("the address has no host")
		}
		host, err := w.loginHost(c, p, "https://"+strings.ToLower(u.Host))
		if err != nil {
			return nil, "", "", err
		}
		path := u.EscapedPath()
		if path == "" {
			path = "/"
		}
		return &witnessed{host: host, gate: g, conn: c, pack: p, operation: operation}, path, u.RawQuery, nil
	}
}

// loginHost finds or makes the Host of one origin of an identity provider.
func (w *wayOut) loginHost(c *site.Connection, p *provider.Pack, origin string) (*outbound.Host, error) {
	config := outbound.HostConfig{Dialer: w.dialer, URL: origin, Retry: retryRule(p),
		Timeouts: outbound.Timeouts{Total: callTime}, Limits: outbound.Limits{Body: 256 << 10}}
	if err := upstreamOf(c, &config); err != nil {
		return nil, err
	}
	key := strings.Join([]string{"login", c.Site, c.Name, config.URL, p.ID}, "\x00")
	if c.Upstream != nil {
		key += "\x00" + string(c.Upstream.CA)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if h, ok := w.hosts[key]; ok {
		return h, nil
	}
	h, err := outbound.NewHost(config)
	if err != nil {
		return nil, err
	}
	w.hosts[key] = h
	return h, nil
}

// witnessed makes calls that carry a secret or ask for a person: none without an entry in
// the audit log before it.
type witnessed struct {
	host      *outbound.Host
	gate      *Gate
	conn      *site.Connection
	pack      *provider.Pack
	operation string // login, connect
}

// Do implements authcode.Sender.
func (s *witnessed) Do(ctx context.Context, c *outbound.Call) (*outbound.Result, error) {
	if c.Credential == nil {
		return s.host.Do(ctx, c)
	}
	var open *audit.ID
	var since time.Time
	end := func(o problem.Outcome, status int) {
		if open == nil {
			return
		}
		err := s.gate.audit.Outcome(context.WithoutCancel(ctx), *open, audit.Outcome{Result: o, Status: status, Took: s.gate.options.Now().Sub(since), BytesOut: int64(len(c.Body))})
		if open = nil; err != nil {
			s.gate.log.Error("the end of a sign-in's call was not recorded", "error", err)
		}
	}
	c.Intent = func(ctx context.Context, attempt int) error {
		end(problem.Unknown, 0)
		of := loginOf(ctx)
		id, err := s.gate.audit.Intent(ctx, audit.Intent{Request: of.ID, Site: s.conn.Site, Connection: s.conn.Name, Provider: s.pack.ID, Operation: s.operation,
			Mode: string(s.conn.Mode), Caller: "browser", Effects: []string{"personal"}, Attempt: attempt, Client: of.Client})
		if err != nil {
			return problem.Wrap(err, problem.AuditUnavailable, "the audit log cannot be written, so nothing is sent")
		}
		open, since = &id, s.gate.options.Now()
		return nil
	}
	result, err := s.host.Do(ctx, c)
	if err != nil {
		end(problem.From(err).Outcome, 0)
		return nil, err
	}
	end(result.Outcome, result.Status)
	return result, nil
}
