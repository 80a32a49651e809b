package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/secret/keystore"
	"sallyport/internal/session"
)

func (p *Program) keysRotate() *cobra.Command {
	overlap := keystore.Overlap
	cmd := &cobra.Command{
		Use:   "rotate SITE/ID",
		Short: "Make the successor of a key; both are accepted for a while",
		Long: "Makes a new key that opens what the old one opens, in the same shape, and prints it once. The old key and the permits that it signs\n" +
			"are accepted until the overlap is over; then it is revoked by itself. Where a key has leaked, `sallyport keys revoke` it\n" +
			"at once and create another one.",
		Example: "  sallyport keys rotate shop/key_0f3a9c\n  sallyport keys rotate shop/key_0f3a9c --overlap 1h",
		Args:    exactly(1, "SITE/ID of one key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			siteName, id, ok := strings.Cut(args[0], "/")
			if !ok || !strings.HasPrefix(id, "key_") {
				return usage("this is neither SITE/ID nor the id of a key", "ids begin with key_; `sallyport keys list` shows them; never type a key itself here")
			}
			if overlap < 5*time.Minute || overlap > keystore.MaxOverlap {
				return usage("an overlap of "+overlap.String(), "write 5m to "+keystore.MaxOverlap.String()+"; `sallyport keys revoke` ends a key at once")
			}
			file, err := p.load()
			if err != nil {
				return err
			}
			return p.rotateKey(cmd.Context(), file, siteName, id, overlap)
		},
	}
	cmd.Flags().DurationVar(&overlap, "overlap", keystore.Overlap, "how long the old key is accepted beside the new one, such as `1h`")
	return p.withJSON(cmd)
}

// rotateKey makes the new key first: a crash between the two steps leaves both good.
func (p *Program) rotateKey(ctx context.Context, file *config.File, siteName, id string, overlap time.Duration) error {
	if _, _, err := findTarget(file, siteName, ""); err != nil {
		return err
	}
	old, err := p.findKey(ctx, file, siteName, id)
	if err != nil {
		return err
	}
	shape, err := p.keyShape(file, siteName, old.Connection, old.Shape)
	if err != nil {
		return err
	}
	if err := p.createKey(ctx, file, shape, siteName, old.Connection); err != nil {
		return err
	}
	until := p.Now().Add(overlap)
	err = p.withStore(ctx, file, func(s app.Store) error { return s.RevokeSiteKey(ctx, id, until) })
	if err != nil {
		return because(err, "give the old key its end", "both keys are accepted now; `sallyport keys revoke "+id+"` ends the old one")
	}
	fmt.Fprintf(p.Err, "%s is accepted until %s\n", id, day(until))
	return nil
}

func (p *Program) findKey(ctx context.Context, file *config.File, siteName, id string) (session.StoredKey, error) {
	var keys []session.StoredKey
	err := p.withStore(ctx, file, func(s app.Store) (err error) {
		keys, err = s.ListSiteKeys(ctx, siteName)
		return err
	})
	if err != nil {
		return session.StoredKey{}, err
	}
	for _, k := range keys {
		switch {
		case k.ID != id:
		case k.Revoked(p.Now()):
			return k, found(id+" is revoked", "make a new one with `sallyport keys create "+siteName+"`")
		case !k.RevokedAt.IsZero():
			return k, found(id+" was rotated already and ends "+day(k.RevokedAt), "`sallyport keys list "+siteName+"` shows its successor")
		default:
			return k, nil
		}
	}
	return session.StoredKey{}, found("the site "+siteName+" has no key "+quote(id), "`sallyport keys list "+siteName+"` shows the ids")
}
