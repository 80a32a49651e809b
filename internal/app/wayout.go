package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/grant"
	"sallyport/internal/oauth"
	"sallyport/internal/outbound"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/site"
)

// wayOut keeps what outlives a snapshot: one Host for each site and provider host, so that
// one site's failures and load never hold back another's calls, and one set of limits for
// each credential, because providers count by account. It is safe for concurrent use.
type wayOut struct {
	secrets secret.Sources
	told    func(ctx context.Context, c *site.Connection) // calls go on with the second value of a credential; nil: nobody is told
	dialer  *outbound.Dialer
	crew    func() outbound.Crew // nil: no other node counts with this one
	tokens  *oauth.Keeper        // nil: no connection needs a token of its provider
	grants  *grant.Desk          // of visitors' own accounts
	now     func() time.Time

	mu     sync.Mutex
	hosts  map[string]*outbound.Host
	limits map[string][]limit
	room   *outbound.Room // of all limits for each object
}

// callTime bounds a call with its waits and repeats: a caller hears within it. One attempt
// has 10 s to begin an answer, so a provider that hangs is not asked a second time in full.
const callTime = 15 * time.Second

// crew says which of several nodes this one is; nil: it is alone.
func newWayOut(secrets secret.Sources, own func() []netip.AddrPort, crew func() outbound.Crew) *wayOut {
	return &wayOut{secrets: secrets, crew: crew, hosts: map[string]*outbound.Host{}, limits: map[string][]limit{}, room: outbound.NewRoom(0),
		dialer: outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyProvider, Own: own})}
}

// Close ends idle connections.
func (w *wayOut) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		h.Close()
	}
	return nil
}

// upstream makes the way out for one operation of a connection.
func (w *wayOut) upstream(c *site.Connection, p *provider.Pack, op *contract.Operation) (egress.Upstream, error) {
	host, err := w.host(c, p, op.Server)
	if err != nil {
		return nil, err
	}
	name, auth, ok := p.AuthFor(op, c.Auth)
	if !ok {
		return nil, fmt.Errorf("provider %s has no auth %q", p.ID, op.Auth)
	}
	var credential outbound.Credential
	var visitors func(subject string) (outbound.Credential, error)
	if auth.Kind == provider.AuthUserToken {
		visitors = w.grantCredential(c, p, auth)
	} else if credential, err = w.credential(c, p, name, auth); err != nil {
		return nil, err
	}
	return &direct{host: host, visitors: visitors, credential: credential, counts: w.counts(c, p, op), pack: p, op: op,
		keep: keptHeaders(p), signs: signsOf(p, op)}, nil
}

// host finds or makes the Host of a server in the connection's mode.
func (w *wayOut) host(c *site.Connection, p *provider.Pack, server string) (*outbound.Host, error) {
	return w.hostWith(c, p, server, outbound.HostConfig{Retry: retryRule(p), Timeouts: outbound.Timeouts{Total: callTime}})
}

// hostWith finds or makes a Host with its own settings.
func (w *wayOut) hostWith(c *site.Connection, p *provider.Pack, server string, config outbound.HostConfig) (*outbound.Host, error) {
	config.Dialer, config.URL = w.dialer, p.Servers[server].URL[c.Mode]
	key := c.Site + "\x00" + p.ID + "\x00" + config.URL
	if err := upstreamOf(c, &config); err != nil {
		return nil, err
	}
	if u := c.Upstream; u != nil {
		key = strings.Join([]string{p.ID, c.Site, c.Name, u.URL, string(u.CA), fmt.Sprint(u.Private)}, "\x00")
	}
	if config.URL == "" {
		return nil, fmt.Errorf("provider %s has no server %q in mode %s", p.ID, server, c.Mode)
	}
	key += fmt.Sprint("\x00", config.Limits.Body) // a token endpoint beside the API has its own
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

// upstreamOf puts the connection's own upstream in the place of the provider's host.
func upstreamOf(c *site.Connection, config *outbound.HostConfig) error {
	u := c.Upstream
	if u == nil {
		return nil
	}
	config.URL, config.Private = u.URL, u.Private
	if len(u.CA) > 0 {
		config.Roots = x509.NewCertPool()
		if !config.Roots.AppendCertsFromPEM(u.CA) {
			return errors.New("upstream.ca holds no PEM certificate")
		}
	}
	return nil
}

func retryRule(p *provider.Pack) outbound.RetryRule {
	return outbound.RetryRule{Statuses: p.Retry.Statuses,
		ThrottledIsUnprocessed: p.Retry.ThrottledIsUnprocessed, Header: p.Retry.Header, MaxAttempts: p.Retry.MaxAttempts}
}

// credential builds the credential of an auth from the connection's refs. Nothing is
// read yet: a secret is read when it is used, so that a rotated one needs no restart.
func (w *wayOut) credential(c *site.Connection, p *provider.Pack, name string, auth provider.Auth) (outbound.Credential, error) {
	fields := map[string]outbound.Field{}
	for _, f := range p.Credentials {
		if ref, ok := c.Credentials[f.Name]; ok {
			fields[f.Name] = outbound.Field{Identifier: !f.Secret, Read: w.reader(f, c.Mode, ref, w.secrets.Read), Second: w.second(f, c.Mode, ref)}
		} else if v, ok := c.Account[f.Name]; ok {
			value := secret.NewValue([]byte(v))
			fields[f.Name] = outbound.Field{Identifier: !f.Secret,
				Read: func(context.Context) (secret.Value, error) { return value, nil }}
		}
	}
	if needsToken(auth.Kind) {
		return w.tokenCredential(tokenUse{connection: c, pack: p, name: name, auth: auth, fields: fields})
	}
	t, err := outbound.NewTemplate(placement(auth), fields)
	if err == nil && w.told != nil {
		t.OnSecond(func(ctx context.Context) { w.told(ctx, c) })
	}
	return t, err
}

// second reads the other value of a secret that is being rotated; none is no error.
func (w *wayOut) second(f provider.CredentialField, mode provider.Mode, ref secret.Ref) func(context.Context) (secret.Value, error) {
	return w.reader(f, mode, ref, w.secrets.Second)
}

// reader reads a secret and refuses one whose form says that it is of another mode or
// kind: a live key never goes out of a sandbox connection. A value that was good is not
// looked at again.
func (w *wayOut) reader(f provider.CredentialField, mode provider.Mode, ref secret.Ref,
	read func(context.Context, secret.Ref) (secret.Value, error)) func(context.Context) (secret.Value, error) {
	var good atomic.Pointer[secret.Value]
	return func(ctx context.Context) (secret.Value, error) {
		v, err := read(ctx, ref)
		if err != nil {
			return secret.Value{}, err
		}
		if last := good.Load(); last != nil && last.Equal(v) {
			return v, nil
		}
		if err := config.CheckCredential(f, mode, v.Expose()); err != nil {
			return secret.Value{}, fmt.Errorf("secret %s: %w", ref, err)
		}
		good.Store(&v)
		return v, nil
	}
}

func placement(a provider.Auth) outbound.Placement {
	p := outbound.Placement{Kind: outbound.Kind(a.Kind), Name: a.Name, Value: a.Value, User: a.User, Password: a.Password}
	for _, also := range a.Also {
		p.Also = append(p.Also, placement(also))
	}
	return p
}

// direct is the way to the provider itself.
type direct struct {
	host       *outbound.Host
	credential outbound.Credential
	visitors   func(subject string) (outbound.Credential, error) // instead, for visitors' own accounts; nil: the connection's
	counts     counts
	pack       *provider.Pack
	op         *contract.Operation
	keep       []string
	signs      []provider.Sign
}

// Send implements egress.Upstream.
func (d *direct) Send(ctx context.Context, r *egress.Request) (*egress.Response, error) {
	credential := d.credential
	if d.visitors != nil {
		var err error
		if credential, err = d.visitors(r.Subject); err != nil {
			return nil, err
		}
	}
	buckets, release := d.counts.hold(r.Args)
	defer release()
	result, err := d.host.Do(ctx, &outbound.Call{
		Method: r.Method, Path: r.Path, RawQuery: r.RawQuery, Header: r.Header, Body: r.Body,
		Credential: credential, Buckets: buckets, Safety: d.safety(r), KeyHeader: d.pack.Idempotency.Header,
		Finish: r.Uninterrupt, Intent: r.Intent, Judge: d.judge, Keep: d.keep,
	})
	if err != nil {
		return nil, err
	}
	return &egress.Response{Status: result.Status, Header: result.Header, Body: result.Body, Attempts: result.Attempts, Outcome: result.Outcome,
		Throttled: result.Verdict == outbound.Throttled, Refused: result.Verdict == outbound.Refused, RetryAfter: result.RetryAfter}, nil
}

func (d *direct) safety(r *egress.Request) outbound.Safety {
	switch {
	case d.op.Retry == contract.RetrySafe:
		return outbound.Safe
	case d.op.Retry == contract.RetryKeyed && r.Keyed:
		return outbound.Keyed
	}
	return outbound.Never
}

func (d *direct) judge(status int, header http.Header, body []byte) outbound.Verdict {
	return judge(d.signs, status, header, body)
}

func keptHeaders(p *provider.Pack) []string {
	out := slices.Clone(p.ResponseHeaders)
	if p.Retry.RetryAfter {
		out = append(out, "Retry-After")
	}
	return out
}
