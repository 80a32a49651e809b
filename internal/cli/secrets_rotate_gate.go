package cli

import (
	"context"
	"errors"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/secret/seal"
)

// The names of the gate's own keys, as `secrets rotate` takes them. No secret of a site has such
// a name: those have two parts.
const (
	gateKeystore = "keystore"
	gateData     = "data"
	gateSessions = "sessions"
)

// withCustody opens the gate's own keys, beside a gate that may be running.
func (p *Program) withCustody(ctx context.Context, do func(*config.File, *app.Custody) error) error {
	file, _, err := p.places()
	if err != nil {
		return err
	}
	return p.withStore(ctx, file, func(s app.Store) error {
		c, err := app.OpenCustody(ctx, file, s, p.Now)
		switch {
		case errors.Is(err, seal.ErrNoKey):
			return found("there are no keys yet", "start the gate once: `sallyport run` makes them")
		case err != nil:
			return because(err, "open the gate's own keys", "run it where the gate runs, with the same file and the same key of the keystore")
		}
		return errors.Join(do(file, c), c.Close())
	})
}

func (p *Program) rotateData(ctx context.Context, stage bool) error {
	return p.withCustody(ctx, func(file *config.File, c *app.Custody) error {
		if stage {
			return p.stageWrapping(ctx, file, c)
		}
		done, err := c.RotateData(ctx)
		if err != nil {
			return because(err, "rotate the data keys", "run it again: what is done stays done, and all that was sealed still opens")
		}
		return p.facts(done, func() {
			p.line("%s: a new version seals from now on, on every gate within a minute; what was sealed before still opens", counted(done.Keys, "data key"))
			if done.Wrapped {
				p.line("all are wrapped with a new version of the wrapping key, which is in the keystore: make a new copy of it for your backup")
				return
			}
			p.line("the key that wraps them is the one of before: %s", wrappingStays(file))
		})
	})
}

// wrappingStays says why the wrapping key has no new version.
func wrappingStays(file *config.File) string {
	if !exists(file.Keystore) {
		return "versions of it need a keystore (`sallyport secrets init`)"
	}
	return "other nodes need the next one first (`sallyport secrets rotate data --stage`)"
}

func (p *Program) stageWrapping(ctx context.Context, file *config.File, c *app.Custody) error {
	staged, err := c.StageRoot(ctx)
	if err != nil {
		return because(err, "make the next wrapping key", "")
	}
	if !staged {
		return found("there is no keystore to keep the next wrapping key in", "leave out --stage: the data keys get new versions all the same")
	}
	return p.facts(map[string]bool{"staged": true}, func() {
		p.line("the next wrapping key is in %s and wraps nothing yet", file.Keystore)
		p.line("copy that file to every node that has a keystore of its own, then: sallyport secrets rotate data")
	})
}

// rotatedSessions is what `secrets rotate sessions --json` prints.
type rotatedSessions struct {
	SignsFrom string `json:"signs_from"`
	Ended     bool   `json:"ended"`
}

func (p *Program) rotateSessions(ctx context.Context, leaked bool) error {
	return p.withCustody(ctx, func(_ *config.File, c *app.Custody) error {
		if leaked {
			if err := c.ReplaceSessions(ctx); err != nil {
				return because(err, "replace the keys that sign sessions", "run it again")
			}
			return p.facts(rotatedSessions{SignsFrom: day(p.Now()), Ended: true}, func() {
				p.line("a new key signs sessions and receipts; every visit of every site has ended, and pages begin new ones by themselves")
			})
		}
		from, err := c.RotateSessions(ctx)
		if err != nil {
			return because(err, "make the next key that signs sessions", "run it again")
		}
		return p.facts(rotatedSessions{SignsFrom: from.UTC().Format("2006-01-02T15:04:05Z")}, func() {
			p.line("the next key is published and signs sessions and receipts from %s; those of the key before are good until they expire", day(from))
		})
	})
}
