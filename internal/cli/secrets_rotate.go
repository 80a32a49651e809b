package cli

import (
	"context"
	"errors"
	"fmt"
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
}

func (p *Program) secretsRotate() *cobra.Command {
	var r rotation
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Go from one value of a secret to another without a failed call",
		Long: "Stores a new value of the secret beside the present one, asks the provider whether it works (the catalog says how), then sends the\n" +
			"new one and keeps the old one for an overlap: a call that the provider refuses with one of them is repeated once with the other, and an alert tells of it. After the overlap, or with\n" +
			"--finish, only the new one is left. A gate that runs takes each step without a restart. The value is asked for and not shown,\n" +
			"or read from standard input; it is never an argument.",
		Example: "  sallyport secrets rotate shop/stripe\n  sallyport secrets rotate shop/stripe --overlap 1h < key.txt\n  sallyport secrets rotate shop/stripe --finish",
		Args:    nameOnly,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.rotate(cmd.Context(), args[0], r) },
	}
	cmd.Flags().DurationVar(&r.overlap, "overlap", keystore.Overlap, "how long the old value is accepted beside the new one, such as `1h`")
	cmd.Flags().BoolVar(&r.finish, "finish", false, "end the rotation now: only the value that is sent is left")
	cmd.Flags().BoolVar(&r.unproven, "unproven", false, "send the new value without asking the provider whether it works")
	return cmd
}

func (p *Program) rotate(ctx context.Context, name string, r rotation) error {
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
