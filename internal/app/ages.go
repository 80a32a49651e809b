package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/egress"
	"sallyport/internal/probe"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/secret/age"
	"sallyport/internal/site"
)

// lookEvery is how often the gate looks whether secrets have another value.
const lookEvery = time.Minute

// openAges makes the book of secrets' ages and gives the sources that note uses.
func (g *Gate) openAges() (secret.Sources, error) {
	key, err := g.hashKeys.derive("sallyport/v1/secret-age")
	if err != nil {
		return nil, err
	}
	g.ages = age.New(g.store, key, g.options.Now)
	return g.ages.Watch(g.secrets), nil
}

// watchSecrets keeps in the store since when each secret has its value and when it was used. A
// secret that cannot be read was told of at the start and is refused by the calls that need it.
func (g *Gate) watchSecrets(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		var refs []secret.Ref
		for _, u := range g.File().SecretUses() {
			refs = append(refs, u.Ref)
		}
		if err := g.ages.Look(ctx, g.secrets, refs); err != nil && ctx.Err() == nil {
			g.log.DebugContext(ctx, "the age of a secret is not known", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// watchProbes asks providers on the file's schedule whether credentials are good.
func (g *Gate) watchProbes(ctx context.Context) error {
	w := &probe.Watch{Store: g.store, Now: g.options.Now, Log: g.log,
		Every:   func() time.Duration { return g.File().ProbeEvery },
		Targets: func() []probe.Target { return g.probeTargets(g.File()) },
		Ask:     g.askProvider,
		Alert: func(ctx context.Context, r probe.Result) {
			g.bell.Tell(ctx, egress.Alert{Source: "probe", Reason: string(r.Finding), Site: r.Site, Connection: r.Connection, Observed: true})
		}}
	return w.Run(ctx)
}

// probeTargets are the connections that can be asked about without costs and are not frozen.
func (g *Gate) probeTargets(file *config.File) []probe.Target {
	var out []probe.Target
	for _, s := range file.Sites {
		for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
			c := s.Connections[name]
			p, err := file.Catalog.Find(c.Provider)
			if err != nil || c.Mode == provider.Mock {
				continue
			}
			one, ok := probe.Select(c, p)
			if !ok || one.Costs != "" {
				continue
			}
			if _, frozen, err := g.freezes.Frozen(s.Name, name); frozen || err != nil {
				continue
			}
			out = append(out, probe.Target{Site: s.Name, Connection: name})
		}
	}
	return out
}

// askProvider probes the value that is sent, each question on record before it goes out.
func (g *Gate) askProvider(ctx context.Context, t probe.Target) (probe.Finding, string) {
	way := newWayOut(g.secrets, g.ownAddresses, nil)
	defer way.Close()
	record := func(ctx context.Context, what string) error {
		return g.audit.Record(ctx, audit.Event{Kind: audit.KindProbed, Site: t.Site, Connection: t.Connection, Name: what})
	}
	list := way.probeAll(ctx, g.File(), ProbeOptions{Secrets: g.secrets,
		Only:   func(c *site.Connection) bool { return c.Site == t.Site && c.Name == t.Connection },
		Before: func(ctx context.Context, _ *site.Connection) error { return record(ctx, "asked") },
		After: func(ctx context.Context, r Probed) {
			if err := record(ctx, string(r.Finding)); err != nil {
				g.log.ErrorContext(ctx, "audit event was not written", "kind", string(audit.KindProbed), "error", err)
			}
		}})
	if len(list) == 0 {
		return probe.NotAsked, "the connection left the file"
	}
	return list[0].Finding, list[0].Note
}
