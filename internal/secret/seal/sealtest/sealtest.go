// Package sealtest is the conformance suite of seal.KeyStore, for every store of data keys.
//
// A store that passes keeps the first key of an owner whoever asks and however many ask
// at once, so that nothing is ever sealed with a key that is then lost. The suite does
// not look at how a store keeps its bytes.
package sealtest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
)

// KeyStore runs the suite over stores that open makes, empty, one for each test.
func KeyStore(t *testing.T, open func(t *testing.T) seal.KeyStore) {
	t.Run("absent", func(t *testing.T) {
		if _, err := open(t).FindDataKey(t.Context(), "shop"); !errors.Is(err, seal.ErrNoKey) {
			t.Fatalf("FindDataKey of an empty store: %v, want ErrNoKey", err)
		}
	})
	t.Run("the first stays", func(t *testing.T) {
		s := open(t)
		for _, wrapped := range []string{"one", "two"} {
			got, err := s.CreateDataKey(t.Context(), "shop", []byte(wrapped))
			if err != nil || string(got) != "one" {
				t.Fatalf("CreateDataKey(%s) = %q, %v; want the first one", wrapped, got, err)
			}
		}
		if got, err := s.CreateDataKey(t.Context(), "blog", []byte("three")); err != nil || string(got) != "three" {
			t.Fatalf("CreateDataKey of another owner = %q, %v", got, err)
		}
		if got, err := s.FindDataKey(t.Context(), "shop"); err != nil || string(got) != "one" {
			t.Fatalf("FindDataKey = %q, %v", got, err)
		}
	})
	t.Run("one key for all, however many ask first", func(t *testing.T) { parallel(t, open(t)) })
}

// parallel asks eight keyrings, as of eight processes, for a key that is not there yet.
func parallel(t *testing.T, store seal.KeyStore) {
	root, err := seal.NewRoot(secret.NewValue(bytes.Repeat([]byte{7}, seal.RootSize)))
	if err != nil {
		t.Fatal(err)
	}
	sealers := make([]*seal.Sealer, 8)
	var wg sync.WaitGroup
	for i := range sealers {
		wg.Go(func() {
			var err error
			if sealers[i], err = seal.NewKeyring(root, store).DataKey(context.WithoutCancel(t.Context()), "shop"); err != nil {
				t.Errorf("DataKey: %v", err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sealed, err := sealers[0].Seal([]byte("data"), "test")
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sealers {
		if got, err := s.Open(sealed, "test"); err != nil || string(got) != "data" {
			t.Errorf("keyring %d has another key: %q, %v", i, got, err)
		}
	}
}
