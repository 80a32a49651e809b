package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/probe"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/site"
)

// Probed is what was found of one connection's credential.
type Probed struct {
	Site       string        `json:"site"`
	Connection string        `json:"connection"`
	Provider   string        `json:"provider"`
	Mode       provider.Mode `json:"mode"`
	// Value says which of two values of a rotation it is; empty: there is only one.
	Value   string        `json:"value,omitempty"`
	Finding probe.Finding `json:"finding"`
	Note    string        `json:"note,omitempty"`
	Took    time.Duration `json:"took_ns,omitempty"`
}

// ProbeOptions say what is asked.
type ProbeOptions struct {
	// Secrets is where credentials are read.
	Secrets secret.Sources
	// Only narrows it to some connections; nil: all.
	Only func(*site.Connection) bool
	// Paid also makes probes that cost.
	Paid bool
	// Before is called before each question is sent, and After with what was found; an error of
	// Before means that it is not sent. Nil: nobody is told.
	Before func(ctx context.Context, c *site.Connection) error
	After  func(ctx context.Context, r Probed)
}

// Probe asks the provider of each connection of a file whether its credential is good, one after
// the other. Where a secret has two values, both are asked for, apart.
func Probe(ctx context.Context, file *config.File, o ProbeOptions) []Probed {
	way := newWayOut(o.Secrets, nil, nil)
	defer way.Close()
	return way.probeAll(ctx, file, o)
}

func (w *wayOut) probeAll(ctx context.Context, file *config.File, o ProbeOptions) []Probed {
	out := []Probed{}
	for _, s := range file.Sites {
		for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
			c := s.Connections[name]
			if ctx.Err() != nil {
				return out
			}
			if o.Only != nil && !o.Only(c) {
				continue
			}
			p, err := file.Catalog.Find(c.Provider)
			if err != nil {
				continue // Load has checked it
			}
			for _, r := range w.probeOne(ctx, c, p, o) {
				if o.After != nil && r.Finding != probe.NotAsked {
					o.After(ctx, r)
				}
				out = append(out, r)
			}
		}
	}
	return out
}

// probeOne asks for the value that is sent, and for the other one of a rotation.
func (w *wayOut) probeOne(ctx context.Context, c *site.Connection, p *provider.Pack, o ProbeOptions) []Probed {
	r := Probed{Site: c.Site, Connection: c.Name, Provider: c.Provider, Mode: c.Mode, Finding: probe.NotAsked}
	one, ok := probe.Select(c, p)
	switch {
	case c.Mode == provider.Mock:
		r.Note = "mode mock asks nobody"
		return []Probed{r}
	case !ok:
		r.Note = "the catalog has no probe for this credential"
		return []Probed{r}
	case one.Costs != "" && !o.Paid:
		r.Note = "it costs " + one.Costs
		return []Probed{r}
	}
	out := []Probed{}
	for _, value := range w.values(ctx, c, p.Auth[one.Auth]) {
		r := r
		r.Value = value.name
		began := time.Now()
		r.Finding, r.Note = w.ask(ctx, asked{c, p, one, value.sources}, o)
		r.Took = time.Since(began)
		out = append(out, r)
	}
	return out
}

// oneValue is the sources as if a rotation had only one of its two values.
type oneValue struct {
	name    string
	sources secret.Sources
}

func (w *wayOut) values(ctx context.Context, c *site.Connection, auth provider.Auth) []oneValue {
	first, second, two := secret.Sources{}, secret.Sources{}, false
	for scheme, source := range w.secrets {
		first[scheme], second[scheme] = only{source, false}, only{source, true}
	}
	for _, field := range auth.Fields() {
		if ref, ok := c.Credentials[field]; ok {
			v, err := w.secrets.Second(ctx, ref)
			two = two || err == nil && !v.Empty()
		}
	}
	if !two {
		return []oneValue{{"", first}}
	}
	return []oneValue{{"sent", first}, {"other", second}}
}

// only reads one of two values: the second where there is one and it is wanted, else the first.
type only struct {
	source secret.Source
	second bool
}

// Read implements secret.Source.
func (o only) Read(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	if both, ok := o.source.(secret.Doubler); ok && o.second {
		if v, err := both.Second(ctx, ref); err != nil || !v.Empty() {
			return v, err
		}
	}
	return o.source.Read(ctx, ref)
}

// asked is one question before it is put together.
type asked struct {
	c       *site.Connection
	p       *provider.Pack
	one     *provider.Probe
	secrets secret.Sources
}

func (w *wayOut) ask(ctx context.Context, a asked, o ProbeOptions) (probe.Finding, string) {
	identifiers, finding, note := readable(ctx, a)
	if finding != "" {
		return finding, note
	}
	way := &wayOut{secrets: a.secrets}
	auth := a.p.Auth[a.one.Auth]
	if auth.Kind == "oauth_client_credentials" { // the probe is the token endpoint itself
		auth.Kind = "basic"
	}
	credential, err := way.credential(a.c, a.p, a.one.Auth, auth)
	if err != nil {
		return probe.Missing, err.Error()
	}
	host, err := w.host(a.c, a.p, a.one.Server)
	if err != nil {
		return probe.NotAsked, err.Error()
	}
	if o.Before != nil {
		if err := o.Before(ctx, a.c); err != nil {
			return probe.NotAsked, "it could not be put on record first: " + err.Error()
		}
	}
	q := probe.Question{Connection: a.c, Probe: a.one, Host: host, Credential: credential, Identifiers: identifiers}
	finding, note = probe.Ask(ctx, q)
	if finding == probe.Refused && a.one.OtherMode && a.c.Upstream == nil {
		if w.knownElsewhere(ctx, a, q) {
			return probe.WrongMode, "the provider's other system accepts it"
		}
	}
	return finding, note
}

// knownElsewhere asks the provider's system of the other mode.
func (w *wayOut) knownElsewhere(ctx context.Context, a asked, q probe.Question) bool {
	other := *a.c
	other.Mode = provider.Live
	if a.c.Mode == provider.Live {
		other.Mode = provider.Sandbox
	}
	host, err := w.host(&other, a.p, a.one.Server)
	if err != nil {
		return false
	}
	q.Host = host
	finding, _ := probe.Ask(ctx, q)
	return finding == probe.Works
}

// readable reads the fields of the probe's auth before anything is sent, because a value with
// the form of another mode's is not sent at all.
func readable(ctx context.Context, a asked) (map[string]string, probe.Finding, string) {
	identifiers := map[string]string{}
	for _, f := range a.p.Credentials {
		if !f.Secret {
			identifiers[f.Name] = a.c.Account[f.Name]
		}
		ref, ok := a.c.Credentials[f.Name]
		if !ok || f.Secret && !slices.Contains(a.p.Auth[a.one.Auth].Fields(), f.Name) {
			continue
		}
		v, err := a.secrets.Read(ctx, ref)
		switch {
		case errors.Is(err, secret.ErrNotFound):
			return nil, probe.Missing, "nothing is stored under " + ref.String()
		case err != nil:
			return nil, probe.Missing, err.Error()
		}
		if err := config.CheckCredential(f, a.c.Mode, v.Expose()); errors.Is(err, config.ErrOtherMode) {
			return nil, probe.WrongMode, err.Error()
		} else if err != nil {
			return nil, probe.Missing, err.Error()
		}
		if !f.Secret {
			identifiers[f.Name] = string(v.Expose())
		}
	}
	return identifiers, "", ""
}
