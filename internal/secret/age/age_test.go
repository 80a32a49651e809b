package age_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/secret/age"
)

type values map[string]string

func (v values) Read(_ context.Context, ref secret.Ref) (secret.Value, error) {
	if s, ok := v[ref.Name]; ok {
		return secret.NewValue([]byte(s)), nil
	}
	return secret.Value{}, secret.ErrNotFound
}

type doubled struct{ values }

func (doubled) Second(context.Context, secret.Ref) (secret.Value, error) {
	return secret.NewValue([]byte("second")), nil
}

type memory struct{ last []age.Sighting }

func (m *memory) SeeSecrets(_ context.Context, list []age.Sighting) error { m.last = list; return nil }
func (m *memory) ListSightings(context.Context) ([]age.Sighting, error)   { return m.last, nil }

func TestBook(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	store := &memory{}
	book := age.New(store, secret.NewValue([]byte("a key that is not in the store")), func() time.Time { return now })
	held := values{"a": "one", "b": "one"}
	sources := secret.Sources{"env": held, "file": doubled{held}}
	a, b, gone := secret.Ref{Scheme: "env", Name: "a"}, secret.Ref{Scheme: "env", Name: "b"}, secret.Ref{Scheme: "env", Name: "gone"}
	if err := book.Look(t.Context(), sources, []secret.Ref{a, gone, b, a}); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("a secret that is not there: %v", err)
	}
	first := store.last
	if len(first) != 2 || first[0].Ref != "env:a" || !first[0].Since.Equal(now) || !first[0].Used.IsZero() {
		t.Fatalf("%+v", first)
	}
	if first[0].Print == first[1].Print {
		t.Error("equal values of two secrets have one print")
	}
	watched := book.Watch(sources)
	if _, err := watched.Read(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if _, err := watched.Read(t.Context(), gone); err == nil {
		t.Error("a secret that is not there was read")
	}
	held["b"] = "two"
	if err := book.Look(t.Context(), sources, []secret.Ref{a, b}); err != nil {
		t.Fatal(err)
	}
	if store.last[0].Print != first[0].Print || !store.last[0].Used.Equal(now) {
		t.Errorf("the same value, used: %+v", store.last[0])
	}
	if store.last[1].Print == first[1].Print || !store.last[1].Used.IsZero() {
		t.Errorf("another value, not used: %+v", store.last[1])
	}
	if v, err := watched.Second(t.Context(), secret.Ref{Scheme: "file", Name: "a"}); err != nil || string(v.Expose()) != "second" {
		t.Errorf("the second value behind a watched source: %v", err)
	}
	if v, err := watched.Second(t.Context(), a); err != nil || !v.Empty() {
		t.Errorf("a source with one value has a second one: %v", err)
	}
}
