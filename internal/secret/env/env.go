// Package env reads secrets from the process's environment: env:NAME.
//
// With config it is the only place that looks at the environment. It reads the
// variable at each Read, trims one trailing newline, and treats an empty variable
// as absent, because an empty credential is never sent. It does not change the
// environment: other processes of the same user can read it, so a keystore or a
// file is the better place on shared machines.
package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"sallyport/internal/secret"
)

// Source reads env:NAME. The zero Source is ready and safe for concurrent use.
type Source struct{}

// Read finds the variable. It wraps secret.ErrNotFound where it is unset or empty.
func (Source) Read(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	if err := ctx.Err(); err != nil {
		return secret.Value{}, err
	}
	if err := CheckName(ref.Name); err != nil {
		return secret.Value{}, err
	}
	value, ok := os.LookupEnv(ref.Name)
	value = strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
	switch {
	case !ok:
		return secret.Value{}, fmt.Errorf("environment variable %s is not set: %w", ref.Name, secret.ErrNotFound)
	case value == "":
		return secret.Value{}, fmt.Errorf("environment variable %s is empty: %w", ref.Name, secret.ErrNotFound)
	}
	return secret.NewValue([]byte(value)), nil
}

// NextSuffix is what the variable of a second value is called: env:STRIPE_KEY has it in
// STRIPE_KEY_NEXT. It is accepted while it is set.
const NextSuffix = "_NEXT"

// Second reads the variable beside the ref's own, or gives an empty Value where there is none.
func (s Source) Second(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	v, err := s.Read(ctx, secret.Ref{Scheme: ref.Scheme, Name: ref.Name + NextSuffix})
	if errors.Is(err, secret.ErrNotFound) {
		return secret.Value{}, nil
	}
	return v, err
}

// CheckName says whether a shell can export a variable of that name. Its error does
// not repeat the name: it may be a secret that somebody pasted.
func CheckName(name string) error {
	if name == "" || len(name) > 128 {
		return fmt.Errorf("an environment variable's name has 1 to 128 characters, this one has %d", len(name))
	}
	for i := range len(name) {
		c := name[i]
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return fmt.Errorf("character %d cannot stand in an environment variable's name: write env:NAME with letters, digits and _", i+1)
		}
	}
	return nil
}
