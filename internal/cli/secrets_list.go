package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/secret/age"
	"sallyport/internal/secret/keystore"
	"sallyport/internal/session"
)

// idleAfter is how long nobody needs a secret before it counts as unused.
const idleAfter = 30 * 24 * time.Hour

// listedSecret is one line of `secrets list`. It has no value and nothing made of one.
type listedSecret struct {
	Name     string     `json:"name"`
	Kind     string     `json:"kind"`
	UsedBy   []string   `json:"used_by"`
	Since    *time.Time `json:"since,omitempty"`
	LastUsed *time.Time `json:"last_used,omitempty"`
	DueAt    *time.Time `json:"due_at,omitempty"`
	Due      bool       `json:"due"`
	Unused   bool       `json:"unused"`
	// Previous and Next tell of the two values of a rotation.
	Previous bool `json:"previous"`
	Next     bool `json:"next"`
}

func (p *Program) secretsList() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:        "list",
		Short:      "List secrets and keys with use and age, never the values",
		SuggestFor: []string{"get", "show", "ls"},
		Long: "Lists every secret that the file names, those of the keystore that it does not name, the sites' keys and the gate's own keys: what each\n" +
			"is, who uses it, since when it has its present value, when a call last needed it, and which are unused or due (secrets.rotate_after,\n" +
			"90 days unless the file says otherwise). Ages are those that a gate which ran has seen; it keeps a keyed hash of each value, never the value.\n" +
			"It may run while the gate runs, and before there is a store.",
		Example: "  sallyport secrets list\n  sallyport secrets list --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := p.gatherSecrets(cmd.Context())
			if err != nil {
				return err
			}
			return p.facts(list, func() { p.printSecrets(list) })
		},
	})
}

// gatherSecrets lists what the file, the keystore and the store know.
func (p *Program) gatherSecrets(ctx context.Context) ([]listedSecret, error) {
	file, faults := config.Load(p.config, p.Catalog)
	if len(faults) > 0 {
		fmt.Fprintf(p.Err, "note: %s is not valid yet, so only the keystore is listed\n", p.config)
		places, uncertain := config.Places(p.config)
		if len(uncertain) > 0 {
			return nil, uncertain
		}
		entries, err := p.keystoreEntries(ctx, places, true)
		return p.finishSecrets(keystoreLines(nil, entries), config.RotateAfter), err
	}
	list := fileLines(file)
	needs := slices.ContainsFunc(list, func(s *listedSecret) bool { return strings.HasPrefix(s.Name, "keystore:") })
	entries, err := p.keystoreEntries(ctx, file, needs)
	if err != nil {
		return nil, err
	}
	list = keystoreLines(list, entries)
	if _, err := os.Stat(file.Store); file.Postgres == nil && errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(p.Err, "note: there is no store yet; ages are known once the gate has run")
		return p.finishSecrets(list, file.RotateAfter), nil
	}
	err = p.withStore(ctx, file, func(s app.Store) error {
		list, err = storeLines(ctx, s, list)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.finishSecrets(list, file.RotateAfter), nil
}

// keystoreEntries lists the keystore. One that neither exists nor is needed is empty.
func (p *Program) keystoreEntries(ctx context.Context, file *config.File, needed bool) ([]keystore.Entry, error) {
	if !needed && !exists(file.Keystore) {
		return nil, nil
	}
	store, err := p.keystore(ctx, "")
	if err != nil {
		return nil, err
	}
	entries, err := store.List()
	if err != nil {
		return nil, p.keystoreFailure(err)
	}
	return entries, nil
}

// fileLines has a line for each secret that the file names.
func fileLines(file *config.File) []*listedSecret {
	known := map[string]*listedSecret{}
	var list []*listedSecret
	for _, u := range file.SecretUses() {
		name := u.Ref.String()
		line, ok := known[name]
		if !ok {
			line = &listedSecret{Name: name, Kind: u.Kind}
			known[name], list = line, append(list, line)
		}
		if !slices.Contains(line.UsedBy, u.By) {
			line.UsedBy = append(line.UsedBy, u.By)
		}
	}
	slices.SortFunc(list, func(a, b *listedSecret) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// keystoreLines adds what the keystore knows, and what is in it that nobody names.
func keystoreLines(list []*listedSecret, entries []keystore.Entry) []*listedSecret {
	for _, e := range entries {
		name := "keystore:" + e.Name
		at := slices.IndexFunc(list, func(s *listedSecret) bool { return s.Name == name })
		if at < 0 {
			list, at = append(list, &listedSecret{Name: name, Kind: "secret", Unused: true}), len(list)
		}
		since := e.Created
		if e.Rotated.After(since) {
			since = e.Rotated
		}
		list[at].Since, list[at].Previous, list[at].Next = orNil(since), e.Previous, e.Next
	}
	return list
}

// storeLines adds what gates have seen, the sites' keys, and the gate's own.
func storeLines(ctx context.Context, s app.Store, list []*listedSecret) ([]*listedSecret, error) {
	seen, err := s.ListSightings(ctx)
	if err != nil {
		return nil, err
	}
	addSightings(list, seen)
	keys, err := s.ListSiteKeys(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.RevokedAt.IsZero() {
			list = append(list, siteKeyLine(k))
		}
	}
	signing, err := s.ListSigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range signing {
		list = append(list, &listedSecret{Name: k.ID, Kind: "session key", UsedBy: []string{"visits, receipts"}, Since: orNil(k.SignsFrom)})
	}
	data, err := s.ListDataKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(data) > 0 {
		list = append(list, &listedSecret{Name: counted(len(data), "data key"), Kind: "data key", UsedBy: []string{"what is sealed in the store"}})
	}
	return list, nil
}

func addSightings(list []*listedSecret, seen []age.Sighting) {
	for _, line := range list {
		for _, x := range seen {
			if x.Ref != line.Name {
				continue
			}
			line.LastUsed = orNil(x.Used)
			if line.Since == nil {
				line.Since = orNil(x.Since)
			}
		}
	}
}

func siteKeyLine(k session.StoredKey) *listedSecret {
	return &listedSecret{Name: k.ID, Kind: "site key", UsedBy: []string{target(k.Site, k.Connection)}, Since: orNil(k.CreatedAt), LastUsed: orNil(k.LastUsedAt)}
}

// finishSecrets says what is due and what is unused. The gate changes its own keys by itself, or
// with `secrets rotate`; they are never due.
func (p *Program) finishSecrets(list []*listedSecret, after time.Duration) []listedSecret {
	out := []listedSecret{}
	now := p.Now()
	for _, s := range list {
		if s.UsedBy == nil {
			s.UsedBy = []string{}
		}
		own := s.Kind == "session key" || s.Kind == "data key"
		if s.Since != nil && after > 0 && !own {
			s.DueAt = orNil(s.Since.Add(after).UTC())
			s.Due = !s.DueAt.After(now)
		}
		if s.Since != nil && !own && len(s.UsedBy) > 0 && (strings.Contains(s.UsedBy[0], "/") || s.Kind == "site key") {
			last := *s.Since
			if s.LastUsed != nil && s.LastUsed.After(last) {
				last = *s.LastUsed
			}
			s.Unused = s.Unused || now.Sub(last) >= idleAfter
		}
		out = append(out, *s)
	}
	return out
}

func (p *Program) printSecrets(list []listedSecret) {
	rows := [][]string{{"SECRET", "KIND", "USED BY", "AGE", "LAST USED", "STATE"}}
	due := 0
	for _, s := range list {
		if s.Due {
			due++
		}
		rows = append(rows, []string{s.Name, s.Kind, listOr(s.UsedBy, "nobody"), p.ago(s.Since, ""), p.ago(s.LastUsed, " ago"), s.state()})
	}
	p.table(rows)
	if due > 0 {
		fmt.Fprintf(p.Err, "%s %s due: `sallyport secrets rotate NAME` and `sallyport keys rotate SITE/ID` change them without a failed call\n", counted(due, "secret"), isAre(due))
	}
}

func (s listedSecret) state() string {
	var words []string
	if s.Next {
		words = append(words, "next value staged")
	}
	if s.Previous {
		words = append(words, "old value kept")
	}
	if s.Unused {
		words = append(words, "unused")
	}
	if s.Due {
		words = append(words, "due since "+s.DueAt.UTC().Format(time.DateOnly))
	}
	if s.Since == nil && s.Kind != "data key" && len(words) == 0 {
		return "not seen yet"
	}
	return listOr(words, "good")
}

// ago is how long ago something was, in the largest unit that fits.
func (p *Program) ago(t *time.Time, suffix string) string {
	if t == nil {
		return "-"
	}
	d := max(p.Now().Sub(*t), 0)
	switch {
	case d < time.Minute:
		return "under a minute" + suffix
	case d < time.Hour:
		return counted(int(d.Minutes()), "minute") + suffix
	case d < 48*time.Hour:
		return counted(int(d.Hours()), "hour") + suffix
	}
	return counted(int(d.Hours()/24), "day") + suffix
}
