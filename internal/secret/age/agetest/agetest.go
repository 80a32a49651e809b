// Package agetest holds the conformance suite of the store that age uses.
package agetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/secret/age"
)

// Store runs the suite over stores that open makes, empty, one for each test.
func Store(t *testing.T, open func(t *testing.T) age.Store) {
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	one := age.Sighting{Ref: "env:A", Print: [32]byte{1}, Since: noon}
	s := open(t)
	see := func(x ...age.Sighting) {
		t.Helper()
		if err := s.SeeSecrets(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want ...age.Sighting) {
		t.Helper()
		got, err := s.ListSightings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	expect()
	see()
	see(age.Sighting{Ref: "env:B", Print: [32]byte{9}, Since: noon}, one)
	b := age.Sighting{Ref: "env:B", Print: [32]byte{9}, Since: noon}
	expect(one, b)
	again := one
	again.Since, again.Used = noon.Add(time.Hour), noon.Add(time.Minute)
	see(again)
	one.Used = again.Used
	expect(one, b)
	again.Used = time.Time{}
	see(again)
	again.Used = noon
	see(again)
	expect(one, b)
	again.Print, again.Used = [32]byte{2}, time.Time{}
	see(again)
	one.Print, one.Since = again.Print, again.Since
	expect(one, b)
}
