package env_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/secret"
	"sallyport/internal/secret/env"
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, set, want string
		missing         bool
	}{
		{name: "plain", set: "CANARY-1", want: "CANARY-1"},
		{name: "one trailing newline goes", set: "CANARY-1\n", want: "CANARY-1"},
		{name: "a trailing CRLF goes", set: "CANARY-1\r\n", want: "CANARY-1"},
		{name: "inner and second newlines stay", set: "a\nb\n\n", want: "a\nb\n"},
		{name: "spaces stay", set: " x ", want: " x "},
		{name: "empty is absent", set: "", missing: true},
		{name: "only a newline is absent", set: "\n", missing: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("SALLYPORT_TEST_SECRET", c.set)
			v, err := env.Source{}.Read(context.Background(), secret.Ref{Scheme: "env", Name: "SALLYPORT_TEST_SECRET"})
			if c.missing {
				if !errors.Is(err, secret.ErrNotFound) {
					t.Fatalf("%v", err)
				}
				return
			}
			if err != nil || string(v.Expose()) != c.want {
				t.Fatalf("%q, %v", v.Expose(), err)
			}
			if s := fmt.Sprintf("%v %+v %#v %s %x", v, v, v, v, v); strings.Contains(s, "CANARY") {
				t.Errorf("printed: %s", s)
			}
		})
	}
	_, err := env.Source{}.Read(context.Background(), secret.Ref{Scheme: "env", Name: "SALLYPORT_TEST_UNSET"})
	if !errors.Is(err, secret.ErrNotFound) || !strings.Contains(err.Error(), "SALLYPORT_TEST_UNSET") {
		t.Errorf("unset: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := (env.Source{}).Read(ctx, secret.Ref{Name: "PATH"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNamesThatNoShellExports(t *testing.T) {
	for _, name := range []string{"", "1A", "A-B", "A B", "sk_live_CANARY=x", "A.B", "Ä", "A\x00", strings.Repeat("A", 129)} {
		_, err := env.Source{}.Read(context.Background(), secret.Ref{Scheme: "env", Name: name})
		if err == nil || errors.Is(err, secret.ErrNotFound) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
