package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/audit"
	"sallyport/internal/secret/keystore"
)

// rotation is what `secrets rotate NAME` was asked for.
type rotation struct {
	overlap  time.Duration
	finish   bool
	unproven bool
	leaked   bool
	since    string
	stage    bool
	keyFile  string
}

func (p *Program) secretsRotate() *cobra.Command {
	var r rotation
	cmd := &cobra.Command{
		Use:   "rotate NAME|keystore|data|sessions",
		Short: "Change a secret or a key of the gate without a failed call",
		Long: "Stores a new value of the secret beside the present one, asks the provider whether it works (the catalog says how), then sends the\n" +
			"new one and keeps the old one for an overlap: a call that the provider refuses with one of them is repeated once with the other, and an alert tells of it. After the overlap, or with\n" +
			"--finish, only the new one is left. A gate that runs takes each step without a restart. The value is asked for and not shown,\n" +
			"or read from standard input; it is never an argument.\n\n" +
			"With --leaked there is no overlap: the value that leaked is sent and accepted no more, the visits of the sites that use it end, and\n" +
			"the page where the provider revokes it is printed; with --since also the calls of these connections in the audit log. NAME may then\n" +
			"also be a reference as it stands in the file (env:NAME, file:PATH, vault:PATH#FIELD): change the value there first.\n\n" +
			"Three names are the gate's own keys. keystore: the key that opens the keystore; both open it until --finish. data: a new version of\n" +
			"every data key, and of the key that wraps them; what older versions sealed still opens. sessions: the next key that signs visits and\n" +
			"receipts; those of the key before are good until they expire, or with --leaked end at once.",
		Example: "  sallyport secrets rotate shop/stripe\n  sallyport secrets rotate shop/stripe --overlap 1h < key.txt\n  sallyport secrets rotate shop/stripe --finish\n" +
			"  sallyport secrets rotate shop/stripe --leaked --since 2026-11-20\n  sallyport secrets rotate keystore\n  sallyport secrets rotate data\n  sallyport secrets rotate sessions",
		Args: nameOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.check(cmd, args[0]); err != nil {
				return err
			}
			switch args[0] {
			case gateKeystore:
				return p.rotateKeystore(cmd.Context(), r)
			case gateData:
				return p.rotateData(cmd.Context(), r.stage)
			case gateSessions:
				return p.rotateSessions(cmd.Context(), r.leaked)
			}
			return p.rotate(cmd.Context(), args[0], r)
		},
	}
	cmd.Flags().DurationVar(&r.overlap, "overlap", keystore.Overlap, "how long the old value is accepted beside the new one, such as `1h`")
	cmd.Flags().BoolVar(&r.finish, "finish", false, "end the rotation now: only the value that is sent is left")
	cmd.Flags().BoolVar(&r.unproven, "unproven", false, "send the new value without asking the provider whether it works")
	cmd.Flags().BoolVar(&r.leaked, "leaked", false, "somebody else has the value: no overlap, and the visits of the sites that use it end")
	cmd.Flags().StringVar(&r.since, "since", "", "with --leaked, list the calls since a `DATE`: 2026-11-20, 2026-11-20T10:00:00Z, or 72h")
	cmd.Flags().BoolVar(&r.stage, "stage", false, "for data: only make the next wrapping key in this keystore, for copying it to other nodes first")
	cmd.Flags().StringVar(&r.keyFile, "key-file", "", "for keystore, where its key stands in a variable: write the new one to `FILE` (mode 0600) instead of printing it")
	return p.withJSON(cmd)
}

// check refuses flags that mean nothing for what is rotated.
func (r rotation) check(cmd *cobra.Command, name string) error {
	fits := map[string][]string{gateKeystore: {"finish", "key-file"}, gateData: {"stage"}, gateSessions: {"leaked"}}
	allowed, own := fits[name]
	if !own {
		allowed = []string{"overlap", "finish", "unproven", "leaked", "since"}
	}
	for _, flag := range []string{"overlap", "finish", "unproven", "leaked", "since", "stage", "key-file"} {
		if cmd.Flags().Changed(flag) && !slices.Contains(allowed, flag) {
			return usage("--"+flag+" means nothing for "+orElse(map[bool]string{true: name}[own], "the secret of a site"), "leave it out; `sallyport secrets rotate --help` says what each flag is for")
		}
	}
	switch {
	case r.since != "" && !r.leaked:
		return usage("--since goes with --leaked", "`sallyport audit show --connection CONNECTION --since DATE` lists calls without changing anything")
	case r.leaked && (r.finish || r.unproven || cmd.Flags().Changed("overlap")):
		return usage("--leaked has no overlap, and nothing to finish or to prove first", "leave out --overlap, --finish and --unproven")
	}
	return nil
}

func (p *Program) rotate(ctx context.Context, name string, r rotation) error {
	if r.leaked {
		return p.rotateLeaked(ctx, name, r.since)
	}
	store, err := p.keystore(ctx, name)
	if err != nil {
		return err
	}
	if r.finish {
		return p.finishRotation(ctx, store, name)
	}
	if r.overlap < 0 || r.overlap > keystore.MaxOverlap {
		return usage("an overlap of "+r.overlap.String(), "write 0s to "+keystore.MaxOverlap.String()+", such as 24h")
	}
	if err := p.stage(ctx, store, name); err != nil {
		return err
	}
	if !r.unproven {
		if err := p.proveStaged(ctx, name); err != nil {
			return err
		}
	}
	return p.promote(ctx, store, name, r.overlap)
}

// stage reads the new value and stores it beside the present one.
func (p *Program) stage(ctx context.Context, store *keystore.Store, name string) error {
	value, err := p.readSecret("New value of " + name + ": ")
	if err != nil {
		return err
	}
	if err := store.Stage(ctx, name, value); err != nil {
		return p.rotationFailure(err, name)
	}
	p.noteSecret(ctx, audit.KindSecretStaged, name)
	return nil
}

func (p *Program) promote(ctx context.Context, store *keystore.Store, name string, overlap time.Duration) error {
	if err := store.Promote(ctx, name, overlap); err != nil {
		return p.rotationFailure(err, name)
	}
	p.noteSecret(ctx, audit.KindSecretRotated, name)
	if overlap == 0 {
		fmt.Fprintf(p.Err, "the new value of %s is sent from now on; the old one is gone\n", name)
		return nil
	}
	fmt.Fprintf(p.Err, "the new value of %s is sent from now on; the old one is accepted until %s\n", name, day(p.Now().Add(overlap)))
	fmt.Fprintf(p.Err, "when calls go well, delete the old one at the provider, and: sallyport secrets rotate %s --finish\n", name)
	return nil
}

func (p *Program) finishRotation(ctx context.Context, store *keystore.Store, name string) error {
	if err := store.Finish(ctx, name); err != nil {
		return p.rotationFailure(err, name)
	}
	p.noteSecret(ctx, audit.KindSecretFinished, name)
	fmt.Fprintf(p.Err, "%s has one value: the one that is sent\n", name)
	return nil
}

func (p *Program) rotationFailure(err error, name string) error {
	switch {
	case errors.Is(err, keystore.ErrRotating):
		return found("the last rotation of "+name+" is not over", "`sallyport secrets rotate "+name+" --finish` ends it; `sallyport secrets list` shows when it ends by itself")
	case errors.Is(err, keystore.ErrNotStaged):
		return found("no new value of "+name+" is staged", "run `sallyport secrets rotate "+name+"`, which asks for one")
	}
	return p.keystoreFailure(err)
}
