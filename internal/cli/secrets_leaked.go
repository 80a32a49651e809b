package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/internal/app"
	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/probe"
	"sallyport/internal/secret"
	"sallyport/internal/secret/hashivault"
	"sallyport/internal/session"
	"sallyport/internal/site"
)

// maxLeakedCalls bounds how many calls --json gathers.
const maxLeakedCalls = 10_000

// leak is what `secrets rotate NAME --leaked --json` prints.
type leak struct {
	Ref        string        `json:"ref"`
	Replaced   bool          `json:"replaced"` // false: the value had been changed already
	SitesEnded []string      `json:"sites_ended"`
	Revoke     []leakedFrom  `json:"revoke"`
	Since      *time.Time    `json:"since,omitempty"`
	Calls      []audit.Entry `json:"calls,omitempty"`
	More       bool          `json:"more,omitempty"` // calls were left out
}

// leakedFrom is a connection that uses the value, and where its provider revokes it.
type leakedFrom struct {
	Connection string `json:"connection"`
	Provider   string `json:"provider"`
	Page       string `json:"revoke_page,omitempty"`
	How        string `json:"how,omitempty"`
	Source     string `json:"source,omitempty"`
	Date       string `json:"date,omitempty"`
}

// rotateLeaked replaces a value that somebody else has. Nothing that can fail stands before the
// old value is gone.
func (p *Program) rotateLeaked(ctx context.Context, name, since string) error {
	from, err := sinceTime(since, p.Now())
	if err != nil {
		return err
	}
	ref, changed, err := leakedRef(name)
	if err != nil {
		return err
	}
	if !changed {
		if err := p.replaceLeaked(ctx, ref.Name); err != nil {
			return err
		}
	}
	p.noteSecret(ctx, audit.KindSecretLeaked, leakName(ref))
	out := leak{Ref: ref.String(), Replaced: !changed, SitesEnded: []string{}, Revoke: []leakedFrom{}}
	file, faults := config.Load(p.config, p.Catalog)
	if len(faults) > 0 {
		return found(p.config+" is not valid, so nobody knows which sites use "+ref.String()+": no visit was ended",
			"`sallyport check` names the faults; then `sallyport secrets rotate "+ref.String()+" --leaked` goes on")
	}
	users := usersOf(file, ref)
	if len(users) == 0 && changed {
		return found("no connection of "+p.config+" uses "+ref.String(), "write it as it stands in the file")
	}
	if err := p.endSites(ctx, file, users, &out); err != nil {
		return err
	}
	out.Revoke = revokePages(file, users)
	if !from.IsZero() {
		out.Since = &from
	}
	if err := p.tellLeak(file, users, out); err != nil {
		return err
	}
	return p.proveLeaked(ctx, file, ref)
}

// leakedRef reads NAME: a name in the keystore, whose new value is asked for, or a reference to
// a value that is changed already, wherever it lies.
func leakedRef(name string) (ref secret.Ref, changed bool, err error) {
	if !strings.Contains(name, ":") {
		return secret.Ref{Scheme: "keystore", Name: name}, false, nil
	}
	ref, err = secret.ParseRef(name)
	if err == nil && ref.Scheme == "vault" {
		_, err = hashivault.ParseName(ref.Name)
	}
	if err != nil {
		return ref, false, usage("this is neither a name in the keystore nor a reference", "write SITE/NAME, or, where the value is changed already, its reference as it stands in the file: env:NAME, file:PATH, vault:PATH#FIELD, keystore:SITE/NAME")
	}
	return ref, true, nil
}

// leakName is how the audit log calls a value. The path of a file tells nothing there.
func leakName(ref secret.Ref) string {
	if ref.Scheme == "keystore" {
		return ref.Name
	}
	return ref.Scheme
}

func (p *Program) replaceLeaked(ctx context.Context, name string) error {
	store, err := p.keystore(ctx, name)
	if err != nil {
		return err
	}
	value, err := p.readSecret("New value of " + name + ": ")
	if err != nil {
		return err
	}
	if err := store.Replace(ctx, name, value); err != nil {
		return p.rotationFailure(err, name)
	}
	return nil
}

// usersOf are the connections that use a value, in the file's order.
func usersOf(file *config.File, ref secret.Ref) []*site.Connection {
	uses := usesSecret(ref)
	var out []*site.Connection
	for _, s := range file.Sites {
		for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
			if c := s.Connections[name]; uses(c) {
				out = append(out, c)
			}
		}
	}
	return out
}

func sitesOf(users []*site.Connection) []string {
	var out []string
	for _, c := range users {
		if !slices.Contains(out, c.Site) {
			out = append(out, c.Site)
		}
	}
	return out
}

// endSites ends the visits of the sites that use a value, and forgets tokens that were had for it.
func (p *Program) endSites(ctx context.Context, file *config.File, users []*site.Connection, out *leak) error {
	if len(users) == 0 {
		return nil
	}
	return p.withStore(ctx, file, func(s app.Store) error {
		for _, name := range sitesOf(users) {
			if err := session.EndSite(ctx, s, name, p.Now()); err != nil {
				return because(err, "end the visits of "+name, "the value is changed; `sallyport secrets rotate "+out.Ref+" --leaked` goes on")
			}
			out.SitesEnded = append(out.SitesEnded, name)
		}
		for _, c := range users {
			if err := s.DeleteTokens(ctx, c.Site, c.Name); err != nil {
				return because(err, "forget the tokens of "+target(c.Site, c.Name), "the value is changed and the visits have ended; `sallyport secrets rotate "+out.Ref+" --leaked` goes on")
			}
		}
		return nil
	})
}

func revokePages(file *config.File, users []*site.Connection) []leakedFrom {
	out := []leakedFrom{}
	for _, c := range users {
		from := leakedFrom{Connection: target(c.Site, c.Name), Provider: c.Provider}
		if pack, err := file.Catalog.Find(c.Provider); err == nil && pack.Rotation != nil {
			r := pack.Rotation
			from.Page, from.How, from.Source, from.Date = r.Page, r.How, r.Source, r.Date
		}
		out = append(out, from)
	}
	return out
}

func (p *Program) tellLeak(file *config.File, users []*site.Connection, out leak) error {
	if p.json {
		err := leakedCalls(file, users, out.Since, func(e audit.Entry) error {
			if out.More = len(out.Calls) == maxLeakedCalls; out.More {
				return audit.ErrStop
			}
			out.Calls = append(out.Calls, e)
			return nil
		})
		if err != nil {
			return err
		}
		return p.facts(out, nil)
	}
	p.printLeak(out)
	if out.Since == nil {
		return nil
	}
	p.line("calls in the audit log since %s:", day(*out.Since))
	n := 0
	err := leakedCalls(file, users, out.Since, func(e audit.Entry) error {
		n++
		p.line("%s", e.Text())
		return nil
	})
	if err == nil && n == 0 {
		p.line("none by the gate; somebody who has the value calls the provider without it: look at the provider's own log too")
	}
	return err
}

func (p *Program) printLeak(out leak) {
	if out.Replaced {
		p.line("%s has one value: the new one; the old one is sent no more", out.Ref)
	} else {
		p.line("%s is taken as changed already; where a second value lies beside it, remove that: it is still accepted", out.Ref)
	}
	if len(out.SitesEnded) > 0 {
		p.line("ended: all visits of %s; pages begin new ones by themselves", strings.Join(out.SitesEnded, ", "))
	}
	for _, r := range out.Revoke {
		switch {
		case r.Page != "":
			p.line("revoke the old one for %s at %s (%s; as of %s)", r.Connection, r.Page, strings.TrimSuffix(r.How, "."), r.Date)
		case r.How != "":
			p.line("revoke the old one for %s at the provider (%s; as of %s)", r.Connection, strings.TrimSuffix(r.How, "."), r.Date)
		default:
			p.line("revoke the old one for %s at the provider (%s)", r.Connection, r.Provider)
		}
	}
	if len(out.Revoke) == 0 {
		p.line("no connection of the file uses it: no visit was ended")
	}
}

// leakedCalls hands over what the audit log has of the connections: each attempt, its outcome, and
// what was refused.
func leakedCalls(file *config.File, users []*site.Connection, since *time.Time, fn func(audit.Entry) error) error {
	if since == nil {
		return nil
	}
	for _, c := range users {
		err := audit.Show(file.Audit, audit.Filter{Site: c.Site, Connection: c.Name, Since: *since}, func(e audit.Entry) error {
			if e.Kind != audit.KindIntent && e.Kind != audit.KindOutcome && e.Kind != audit.KindRefused {
				return nil
			}
			return fn(e)
		})
		if err != nil {
			return auditFailure(file, err)
		}
	}
	return nil
}

// proveLeaked asks the providers whether the new value works, after the old one is gone.
func (p *Program) proveLeaked(ctx context.Context, file *config.File, ref secret.Ref) error {
	list, err := p.probe(ctx, file, false, usesSecret(ref))
	if err != nil {
		return err
	}
	refused := 0
	for _, r := range list {
		if r.Finding == probe.NotAsked {
			continue
		}
		fmt.Fprintf(p.Err, "%s: the new value: %s\n", target(r.Site, r.Connection), inWords(r.Finding)+noted(r.Note))
		if r.Finding != probe.Works {
			refused++
		}
	}
	if refused > 0 {
		return found("the new value of "+ref.String()+" is not known to work, and the old one is gone", "`sallyport secrets set` stores another one; `sallyport check --probe` asks again")
	}
	return nil
}
