// Package secret holds values that must never be printed, and says where they
// come from.
//
// A Value hides its bytes from fmt, slog, encoding/json and encoding by type; the
// only way to them is Expose, whose callers internal/arch lists. A Ref is how
// configuration names a secret without holding it. A Source reads one scheme of
// refs; the back ends (environment, file, keystore) live in packages of their own.
package secret

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// ErrNotFound is wrapped by a Source when nothing is stored under a Ref.
var ErrNotFound = errors.New("secret not found")

const hidden = "[secret]"

// Value is a secret. The zero Value is empty. It is immutable and may be shared.
//
// The bytes are kept by a function, not in a field: fmt reaches through pointers in
// unexported fields of other structs, where no method of ours is asked, but it never
// calls a function.
type Value struct{ bytes func() []byte }

// NewValue copies b into a Value; the caller should clear its own copy.
func NewValue(b []byte) Value {
	c := make([]byte, len(b))
	copy(c, b)
	return Value{bytes: func() []byte { return c }}
}

// Expose returns the bytes themselves, not a copy; they must not be changed,
// kept or printed.
func (v Value) Expose() []byte {
	if v.bytes == nil {
		return nil
	}
	return v.bytes()
}

// Empty reports whether there is nothing in v. An empty credential is never sent.
func (v Value) Empty() bool { return len(v.Expose()) == 0 }

// Len is how many bytes the secret has: what a rule about its length may know.
func (v Value) Len() int { return len(v.Expose()) }

// Equal compares in constant time for values of equal length.
func (v Value) Equal(o Value) bool { return subtle.ConstantTimeCompare(v.Expose(), o.Expose()) == 1 }

// String, GoString, Format, MarshalText, MarshalJSON and LogValue all hide the bytes.
func (v Value) String() string { return hidden }

// GoString hides the bytes from %#v.
func (v Value) GoString() string { return hidden }

// Format hides the bytes from every verb, %x included.
func (v Value) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(hidden)) }

// MarshalText hides the bytes from encoders.
func (v Value) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON hides the bytes from encoding/json.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// LogValue hides the bytes from slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(hidden) }

// Ref names a secret: env:NAME, file:/path, keystore:site/name, vault:mount/path#field.
type Ref struct {
	Scheme string
	Name   string
}

// Schemes are the ref schemes of the design; which of them a binary can read is
// for config.Check to say.
func Schemes() []string { return []string{"env", "file", "keystore", "vault"} }

// ParseRef reads a ref. Its error never repeats s, which may be a literal secret
// that somebody pasted.
func ParseRef(s string) (Ref, error) {
	scheme, name, ok := strings.Cut(s, ":")
	if !ok || name == "" {
		return Ref{}, errors.New("not a reference: a secret is named (env:NAME, file:/path, keystore:site/name), never written into the file")
	}
	for _, known := range Schemes() {
		if scheme == known {
			return Ref{Scheme: scheme, Name: name}, nil
		}
	}
	return Ref{}, errors.New("unknown reference scheme: write env:NAME, file:/path or keystore:site/name")
}

// String is the ref as written. A ref is not a secret.
func (r Ref) String() string {
	if r.Scheme == "" {
		return ""
	}
	return r.Scheme + ":" + r.Name
}

// Source reads secrets of one scheme. Read blocks until the value is there or ctx
// ends; it wraps ErrNotFound where nothing is stored and never returns an empty
// Value without an error.
type Source interface {
	Read(ctx context.Context, ref Ref) (Value, error)
}

// Sources finds the source of a ref by its scheme. It is itself a Source.
type Sources map[string]Source

// Read finds the scheme's source and reads from it.
func (s Sources) Read(ctx context.Context, ref Ref) (Value, error) {
	source, ok := s[ref.Scheme]
	if !ok {
		return Value{}, fmt.Errorf("read secret %s: no source for scheme %q", ref, ref.Scheme)
	}
	v, err := source.Read(ctx, ref)
	if err != nil {
		return Value{}, fmt.Errorf("read secret %s: %w", ref, err)
	}
	if v.Empty() {
		return Value{}, fmt.Errorf("read secret %s: %w (it is empty)", ref, ErrNotFound)
	}
	return v, nil
}

// Doubler is a Source that can hold two values of one name while it is rotated. Second finds
// the other one that is accepted at present; an empty Value without an error means that there
// is none. It blocks as Read does.
type Doubler interface {
	Second(ctx context.Context, ref Ref) (Value, error)
}

// Second finds the other value of a ref, where its source can hold two.
func (s Sources) Second(ctx context.Context, ref Ref) (Value, error) {
	source, ok := s[ref.Scheme].(Doubler)
	if !ok {
		return Value{}, nil
	}
	v, err := source.Second(ctx, ref)
	if err != nil {
		return Value{}, fmt.Errorf("read the second value of secret %s: %w", ref, err)
	}
	return v, nil
}

// Accepted lists the values that are good under a ref at present, the one that is sent first:
// one, or two while it is rotated. Whoever verifies with a secret (the signature of an event)
// accepts either.
func Accepted(ctx context.Context, source Source, ref Ref) ([]Value, error) {
	first, err := source.Read(ctx, ref)
	if err != nil {
		return nil, err
	}
	both, ok := source.(Doubler)
	if !ok {
		return []Value{first}, nil
	}
	second, err := both.Second(ctx, ref)
	if err != nil {
		return nil, err
	}
	if second.Empty() || second.Equal(first) {
		return []Value{first}, nil
	}
	return []Value{first, second}, nil
}

// anew is the key of Anew's mark in a context.
type anew struct{}

// Anew asks sources that remember values to look again, because the one they gave was
// refused. A Source that cannot look now still gives what it has.
func Anew(ctx context.Context) context.Context { return context.WithValue(ctx, anew{}, true) }

// WantsAnew reports whether ctx comes from Anew.
func WantsAnew(ctx context.Context) bool { return ctx.Value(anew{}) != nil }
