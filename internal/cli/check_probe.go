package cli

import (
	"context"
	"fmt"

	"sallyport/internal/app"
	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/probe"
	"sallyport/internal/secret"
	"sallyport/internal/site"
)

// probing is what `check` was asked to find out from providers.
type probing struct{ wanted, paid bool }

// probe asks the providers of a file's connections; only narrows it, nil: all. Each question
// stands in the store for the audit log before it is sent.
func (p *Program) probe(ctx context.Context, file *config.File, paid bool, only func(*site.Connection) bool) ([]app.Probed, error) {
	sources, err := file.Secrets(ctx)
	if err != nil {
		return nil, p.keystoreFailure(err)
	}
	var out []app.Probed
	err = p.withStore(ctx, file, func(s app.Store) error {
		note := func(ctx context.Context, c string, on, what string) error {
			return s.CreateAdminEvent(ctx, audit.AdminEvent{Kind: audit.KindProbed, Site: on, Connection: c, Name: what})
		}
		out = app.Probe(ctx, file, app.ProbeOptions{Secrets: sources, Only: only, Paid: paid,
			Before: func(ctx context.Context, c *site.Connection) error { return note(ctx, c.Name, c.Site, "asked") },
			After: func(ctx context.Context, r app.Probed) {
				if err := note(ctx, r.Connection, r.Site, string(r.Finding)); err != nil {
					fmt.Fprintf(p.Err, "note: the audit log does not hear of this: %v\n", err)
				}
			}})
		return nil
	})
	return out, err
}

func (p *Program) printProbes(list []app.Probed) {
	rows := [][]string{{"CONNECTION", "PROVIDER", "MODE", "VALUE", "CREDENTIAL", ""}}
	for _, r := range list {
		rows = append(rows, []string{target(r.Site, r.Connection), r.Provider, string(r.Mode), orElse(r.Value, "-"), inWords(r.Finding), r.Note})
	}
	p.table(rows)
}

func inWords(f probe.Finding) string {
	switch f {
	case probe.WrongMode:
		return "wrong mode"
	case probe.LacksPermission:
		return "lacks permission"
	case probe.NotAsked:
		return "not asked"
	}
	return string(f)
}

// unproven counts the credentials of which nobody can say that they work.
func unproven(list []app.Probed) int {
	n := 0
	for _, r := range list {
		if !r.Finding.Good() {
			n++
		}
	}
	return n
}

// proveStaged asks with the staged value of a secret, before it is sent: every connection that
// uses it must be accepted with it.
func (p *Program) proveStaged(ctx context.Context, name string) error {
	file, faults := config.Load(p.config, p.Catalog)
	if len(faults) > 0 {
		return found(p.config+" is not valid, so no provider can be asked about the new value", "`sallyport check` names the faults; --unproven sends the new value without asking")
	}
	list, err := p.probe(ctx, file, false, usesSecret(secret.Ref{Scheme: "keystore", Name: name}))
	if err != nil {
		return err
	}
	refused := 0
	for _, r := range list {
		switch {
		case r.Finding == probe.NotAsked:
			fmt.Fprintf(p.Err, "%s: not asked: %s\n", target(r.Site, r.Connection), r.Note)
		case r.Value == "other":
			fmt.Fprintf(p.Err, "%s: the new value: %s\n", target(r.Site, r.Connection), orElse(inWords(r.Finding)+noted(r.Note), ""))
			if r.Finding != probe.Works {
				refused++
			}
		}
	}
	if refused > 0 {
		return found("the provider does not accept the new value of "+name+"; it is staged and not sent",
			"look at the value and run this again, or `sallyport secrets rotate "+name+" --finish` to drop it; --unproven sends it all the same")
	}
	return nil
}

func noted(note string) string {
	if note == "" {
		return ""
	}
	return " (" + note + ")"
}

func usesSecret(ref secret.Ref) func(*site.Connection) bool {
	return func(c *site.Connection) bool {
		for _, r := range c.Credentials {
			if r == ref {
				return true
			}
		}
		return false
	}
}
