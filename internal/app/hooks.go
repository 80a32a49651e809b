package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/egress"
	"sallyport/internal/ingress"
	"sallyport/internal/outbound"
	"sallyport/internal/problem"
	"sallyport/internal/secret"
	"sallyport/internal/site"
	"sallyport/internal/webhook"
	"sallyport/internal/webhook/scheme"
)

// hooks is what events are taken in and delivered with. It outlives reloads.
type hooks struct {
	desk       *webhook.Desk
	dispatcher *webhook.Dispatcher
	// public reaches destinations on public addresses, private also those that the file allows.
	public, private *http.Client
	certificates    *http.Client
	// next are the destinations of the snapshot that was built last, until it is in use.
	next []*webhook.Destination
}

// use makes the destinations of a snapshot that is now in use those of the dispatcher.
func (h *hooks) use() { h.dispatcher.Set(h.next) }

func (g *Gate) openHooks(context.Context, *config.File) error {
	client := func(policy outbound.Policy) *http.Client {
		t := outbound.NewDialer(outbound.DialerConfig{Policy: policy, Own: g.ownAddresses}).Transport(nil)
		t.ResponseHeaderTimeout = 0 // an attempt has its own limit
		t.MaxIdleConnsPerHost = 32
		g.onClose(func() error { t.CloseIdleConnections(); return nil })
		return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	h := &g.hooks
	h.public, h.private = client(outbound.PolicyDestination), client(outbound.PolicyInfrastructure)
	h.certificates = client(outbound.PolicyDestination)
	h.certificates.Timeout = 10 * time.Second
	h.dispatcher = webhook.NewDispatcher(webhook.Options{Queue: g.store, Sealer: sealed{g.keyring}, Log: g.log, Now: g.options.Now,
		Alert: func(ctx context.Context, a webhook.Alert) {
			g.bell.Alert(ctx, egress.Alert{Source: "deliveries", Reason: a.Reason, Site: a.Site, Connection: a.Connection})
		}})
	h.desk = webhook.NewDesk(g.store, sealed{g.keyring}, g.options.Now, h.dispatcher.Wake)
	return nil
}

// maxCertificate bounds what is fetched as a certificate chain.
const maxCertificate = 64 << 10

// certificate reads what a provider signs events with. The address is one that its scheme allows.
func (h *hooks) certificate(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask for certificate: %w", err)
	}
	resp, err := h.certificates.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for certificate: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask for certificate: status %d", resp.StatusCode)
	}
	file, err := io.ReadAll(io.LimitReader(resp.Body, maxCertificate+1))
	if err == nil && len(file) > maxCertificate {
		err = errors.New("it is too long")
	}
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return file, nil
}

// events answers providers of one configuration.
type events struct {
	desk *webhook.Desk
	now  func() time.Time
	of   map[string]*webhook.Hook // SITE/CONNECTION
}

// hooksOf builds what takes events in under a file.
func (g *Gate) hooksOf(file *config.File) (ingress.Hooks, error) {
	out := &events{desk: g.hooks.desk, now: g.options.Now, of: map[string]*webhook.Hook{}}
	var all []*webhook.Destination
	for _, s := range file.Sites {
		for _, c := range s.Connections {
			if c.Webhooks == nil {
				continue
			}
			h, err := g.hook(c)
			if err != nil {
				return nil, fmt.Errorf("webhooks of %s/%s: %w", s.Name, c.Name, err)
			}
			out.of[s.Name+"/"+c.Name] = h
			all = append(all, h.Destinations...)
		}
	}
	g.hooks.next = all
	return out, nil
}

func (g *Gate) hook(c *site.Connection) (*webhook.Hook, error) {
	w := c.Webhooks
	s, err := scheme.New(scheme.Config{Kind: w.Scheme, Params: w.Params, Fetch: g.hooks.certificate})
	if err != nil {
		return nil, err
	}
	h := &webhook.Hook{Site: c.Site, Connection: c.Name, Mode: string(c.Mode), Scheme: s, Types: w.Types, Secrets: g.accepted(w.Secret)}
	if w.Token != (secret.Ref{}) {
		h.Tokens = g.accepted(w.Token)
	}
	standard, err := scheme.New(scheme.Config{Kind: "standard"})
	if err != nil {
		return nil, err
	}
	for _, d := range w.Destinations {
		to := &webhook.Destination{Name: c.Site + "/" + c.Name + "/" + d.Name, Site: c.Site, Connection: c.Name, URL: d.URL, Types: d.Types, Signer: standard,
			Unchanged: d.Provider, Secrets: g.accepted(d.SignWith), Ordered: d.Ordered, AtOnce: d.AtOnce, Every: d.Every, Client: g.hooks.public}
		if d.Provider {
			to.Signer = s
		}
		if d.Private {
			to.Client = g.hooks.private
		}
		h.Destinations = append(h.Destinations, to)
	}
	return h, nil
}

// hookSecret is how long what verifies and signs events is used before its source is asked again:
// a store or a Vault must not be asked for each event.
const hookSecret = 5 * time.Second

// accepted reads the values of a secret that count now.
func (g *Gate) accepted(ref secret.Ref) func(context.Context) ([]secret.Value, error) {
	var mu sync.Mutex
	var until time.Time
	var values []secret.Value
	return func(ctx context.Context) ([]secret.Value, error) {
		mu.Lock()
		defer mu.Unlock()
		if now := g.options.Steady(); now.Before(until) {
			return values, nil
		}
		fresh, err := secret.Accepted(ctx, g.secrets, ref)
		if err != nil {
			return nil, err
		}
		values, until = fresh, g.options.Steady().Add(hookSecret)
		return values, nil
	}
}

// Methods implements ingress.Hooks.
func (e *events) Methods(siteName, connection string) []string {
	h := e.of[siteName+"/"+connection]
	if h == nil {
		return nil
	}
	return h.Scheme.(*scheme.Scheme).Methods() //nolint:forcetypeassert // hook made it
}

// Receive implements ingress.Hooks.
func (e *events) Receive(ctx context.Context, r ingress.HookRequest) (ingress.HookReply, error) {
	h := e.of[r.Site+"/"+r.Connection]
	if h == nil {
		return ingress.HookReply{}, problem.New(problem.NotFound, "nothing is served here")
	}
	reply, err := e.desk.Receive(ctx, h, scheme.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: r.Body, Now: e.now()})
	return ingress.HookReply{Status: reply.Status, ContentType: reply.ContentType, Body: reply.Body}, err
}

const (
	receivedPoll  = 200 * time.Millisecond
	receivedBatch = 250
)

// moveReceived takes the lines of events into the audit log until ctx ends, each once but for a
// crash between the two, after which the line is there twice with the same name.
func (g *Gate) moveReceived(ctx context.Context) error {
	tick := time.NewTicker(receivedPoll)
	defer tick.Stop()
	failing := false
	for {
		n, err := g.store.MoveReceived(ctx, receivedBatch, g.recordReceived)
		if err != nil && ctx.Err() == nil && !failing {
			g.log.Error("received events wait for the audit log", "error", err)
		}
		if failing = err != nil; n == receivedBatch {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// recordReceived writes the lines of events that were taken in.
func (g *Gate) recordReceived(ctx context.Context, lines []webhook.Received) error {
	all := make([]audit.Event, len(lines))
	for i, l := range lines {
		all[i] = audit.Event{Kind: audit.KindEventReceived, Request: "event-" + l.Event, Site: l.Site, Connection: l.Connection, Caller: "provider", Name: l.Event}
	}
	return g.audit.RecordAll(ctx, all)
}

// purgeEvents removes events that were kept as long as the file says.
func (g *Gate) purgeEvents(ctx context.Context) {
	for _, s := range g.File().Sites {
		for _, c := range s.Connections {
			if c.Webhooks == nil {
				continue
			}
			if _, err := g.store.PurgeEvents(ctx, s.Name, c.Name, g.options.Now().Add(-c.Webhooks.Keep)); err != nil && ctx.Err() == nil {
				g.log.Error("old events were not removed", "site", s.Name, "connection", c.Name, "error", err)
			}
		}
	}
}
