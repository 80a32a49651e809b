package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/app"
	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/secret"
	"sallyport/internal/secret/keystore"
)

func (p *Program) secrets() *cobra.Command {
	return group("secrets", "Keep secrets in the encrypted keystore", "  sallyport secrets init\n  sallyport secrets set shop/stripe",
		p.secretsInit(), p.secretsSet(), p.secretsRotate(), p.secretsList(), p.secretsRemove(), p.secretsWrap(), p.secretsUnwrap())
}

func (p *Program) secretsInit() *cobra.Command {
	keyFile := ""
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make an empty keystore and its key",
		Long: "Makes the keystore that the file names and a key that opens it. The key is printed once, or written to a file that only\n" +
			"you can read: the one that --key-file or SALLYPORT_KEYSTORE_KEY_FILE names. Give it to the gate as SALLYPORT_KEYSTORE_KEY or\n" +
			"SALLYPORT_KEYSTORE_KEY_FILE, and keep a copy elsewhere: without it the secrets are lost.",
		Example: "  sallyport secrets init --key-file ./data/keystore.key\n  sallyport secrets init",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := p.keystorePath()
			if err != nil {
				return err
			}
			return p.initKeystore(cmd.Context(), path, keyFile)
		},
	}
	cmd.Flags().StringVar(&keyFile, "key-file", "", "write the key to `FILE` (mode 0600) instead of printing it")
	return cmd
}

func (p *Program) initKeystore(ctx context.Context, path, keyFile string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return because(err, "make the keystore's folder", "check the folder's owner")
	}
	given, err := config.KeystoreKey(ctx)
	if errors.Is(err, secret.ErrNotFound) {
		// The environment says already where the key will be.
		return p.newKeystore(path, cmp.Or(keyFile, config.KeystoreKeyFile()))
	}
	if err != nil {
		return because(err, "read the keystore's key", "")
	}
	if !given.Empty() && keyFile != "" && !exists(path) {
		return usage("the environment gives a key already, so none is made", "leave out --key-file, or unset SALLYPORT_KEYSTORE_KEY and SALLYPORT_KEYSTORE_KEY_FILE")
	}
	if !given.Empty() {
		if err := keystore.CreateWith(path, given); err != nil {
			return p.keystoreFailure(err)
		}
		p.line("made %s; the key from the environment opens it", path)
		return nil
	}
	return p.newKeystore(path, keyFile)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// newKeystore opens the key's file before it makes the keystore, so that there is never a keystore whose
// key is nowhere.
func (p *Program) newKeystore(path, keyFile string) error {
	var out io.Writer = p.Out
	if keyFile != "" {
		f, err := os.OpenFile(keyFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return because(err, "make the key's file", "name a file that is not there yet")
		}
		defer f.Close()
		out = f
	}
	key, err := keystore.Create(path)
	if err != nil {
		if keyFile != "" {
			_ = os.Remove(keyFile) // it is empty and was made above
		}
		return p.keystoreFailure(err)
	}
	if _, err := fmt.Fprintf(out, "%s\n", key.Expose()); err != nil {
		return because(err, "write the key", "remove "+path+" and run this again: its key is lost")
	}
	fmt.Fprintf(p.Err, "made %s\n", path)
	if keyFile != "" {
		fmt.Fprintf(p.Err, "its key is in %s: set SALLYPORT_KEYSTORE_KEY_FILE to that, and keep a copy elsewhere\n", keyFile)
		return nil
	}
	fmt.Fprintln(p.Err, "its key stands above and is shown only now: set SALLYPORT_KEYSTORE_KEY to it, and keep a copy elsewhere")
	return nil
}

// nameOnly refuses a value among the arguments, and says what has happened to it.
func nameOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 2 {
		return usage("`"+cmd.CommandPath()+"` takes the NAME of one secret and nothing more",
			"the value is asked for; if you wrote a real key here, it stands in your shell's history: replace it at the provider")
	}
	return exactly(1, "the NAME of one secret")(cmd, args)
}

func (p *Program) secretsSet() *cobra.Command {
	return &cobra.Command{
		Use:   "set NAME",
		Short: "Store a secret",
		Long: "Store a secret. NAME is SITE/NAME, as in keystore:SITE/NAME. The value is asked for and not shown, or read from standard input; it is\n" +
			"never an argument, because other users of the machine can see arguments. It takes the place of what is there at once;\n" +
			"`sallyport secrets rotate` goes from one value to another without a failed call.",
		Example: "  sallyport secrets set shop/stripe\n  sallyport secrets set shop/stripe < key.txt",
		Args:    nameOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := p.keystore(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			value, err := p.readSecret("Value of " + args[0] + ": ")
			if err != nil {
				return err
			}
			if err := store.Set(cmd.Context(), args[0], value); err != nil {
				return p.keystoreFailure(err)
			}
			p.noteSecret(cmd.Context(), audit.KindSecretSet, args[0])
			fmt.Fprintf(p.Err, "stored; write keystore:%s in the file\n", args[0])
			return nil
		},
	}
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

func (p *Program) secretsRemove() *cobra.Command {
	return &cobra.Command{
		Use:        "rm NAME",
		Short:      "Delete a secret and its previous value",
		SuggestFor: []string{"delete", "remove"},
		Long:       "Deletes a secret and its previous value from the keystore. A gate that runs refuses calls that need it from then on.",
		Example:    "  sallyport secrets rm shop/stripe",
		Args:       exactly(1, "the NAME of one secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := p.keystore(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := store.Remove(cmd.Context(), args[0]); err != nil {
				return p.keystoreFailure(err)
			}
			p.noteSecret(cmd.Context(), audit.KindSecretRemoved, args[0])
			fmt.Fprintf(p.Err, "deleted %s\n", args[0])
			return nil
		},
	}
}

// keystorePath is the keystore that the file names. The rest of the file may still be faulty: secrets
// are often stored before the file is whole.
func (p *Program) keystorePath() (string, error) {
	path, faults := config.KeystorePath(p.config)
	if len(faults) > 0 {
		return "", faults
	}
	return path, nil
}

// keystore opens the keystore; a name, if one is given, is checked before anything is asked.
func (p *Program) keystore(ctx context.Context, name string) (*keystore.Store, error) {
	if name != "" {
		if err := keystore.CheckName(name); err != nil {
			return nil, usage("this is not a name in the keystore", "write SITE/NAME in a-z 0-9 . _ -, for instance shop/stripe")
		}
	}
	file, faults := config.Places(p.config)
	if len(faults) > 0 {
		return nil, faults
	}
	sources, err := file.VaultOnly()
	if err != nil {
		return nil, because(err, "open Vault", "")
	}
	defer config.CloseSecrets(sources)
	return p.openKeystore(ctx, file, sources)
}

// openKeystore opens the keystore of a file; sources have the Vault that may wrap its key.
func (p *Program) openKeystore(ctx context.Context, file *config.File, sources secret.Sources) (*keystore.Store, error) {
	key, err := file.KeystoreKey(ctx, sources)
	if err != nil {
		return nil, because(err, "read the keystore's key", "")
	}
	if key.Empty() {
		return nil, found("the keystore's key is not set", "set SALLYPORT_KEYSTORE_KEY_FILE or SALLYPORT_KEYSTORE_KEY; `sallyport secrets init` makes a keystore and its key")
	}
	store, err := file.OpenKeystore(ctx, sources)
	if err != nil {
		return nil, p.keystoreFailure(err)
	}
	return store, nil
}

func (p *Program) keystoreFailure(err error) error {
	switch {
	case errors.Is(err, keystore.ErrWrongKey):
		return found("the key does not open the keystore", "look at SALLYPORT_KEYSTORE_KEY and SALLYPORT_KEYSTORE_KEY_FILE: is it the key that `sallyport secrets init` made?")
	case errors.Is(err, keystore.ErrExists):
		return found("there is a keystore already", "use it, or move it away first: its secrets would be lost")
	case errors.Is(err, os.ErrNotExist):
		return found("there is no keystore yet", "run `sallyport secrets init`")
	case errors.Is(err, secret.ErrNotFound):
		return found("the keystore has no secret of this name", "`sallyport secrets list` shows the names, `sallyport secrets set NAME` stores a new one")
	}
	return because(err, "use the keystore", "")
}

// readSecret asks on the terminal, or reads standard input where that is none.
func (p *Program) readSecret(question string) (secret.Value, error) {
	if p.Prompt != nil {
		answer, ok, err := p.Prompt(question)
		if err != nil {
			return secret.Value{}, because(err, "read the value", "")
		}
		if ok {
			defer clear(answer)
			return checkValue(answer)
		}
	}
	data, err := io.ReadAll(bufio.NewReader(io.LimitReader(p.In, keystore.MaxValue+2)))
	if err != nil {
		return secret.Value{}, because(err, "read the value from standard input", "")
	}
	defer clear(data)
	return checkValue(data)
}

func checkValue(b []byte) (secret.Value, error) {
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(bytes.TrimSpace(b)) == 0 {
		return secret.Value{}, found("the value is empty", "type it, or pipe it in: sallyport secrets set shop/stripe < key.txt")
	}
	if len(b) > keystore.MaxValue {
		return secret.Value{}, found(fmt.Sprintf("the value has more than %d bytes", keystore.MaxValue), "a secret is a key or a PEM file, not an archive")
	}
	return secret.NewValue(b), nil
}

// noteSecret tells the audit log of a change of the keystore, by way of the store. The
// change is made already, so a fault is told and not an error.
func (p *Program) noteSecret(ctx context.Context, kind audit.Kind, name string) {
	file, faults := config.Load(p.config, p.Catalog)
	if len(faults) > 0 {
		fmt.Fprintf(p.Err, "note: %s is not valid yet, so the audit log does not hear of this\n", p.config)
		return
	}
	err := p.withStore(ctx, file, func(s app.Store) error {
		return s.CreateAdminEvent(ctx, audit.AdminEvent{Kind: kind, Name: name})
	})
	if err != nil {
		fmt.Fprintf(p.Err, "note: the audit log does not hear of this: %v\n", err)
	}
}
