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
	"time"

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

// RotatingStore runs KeyStore's suite, and the one of keys that are replaced under those who use them.
func RotatingStore(t *testing.T, open func(t *testing.T) seal.RotatingStore) {
	KeyStore(t, func(t *testing.T) seal.KeyStore { return open(t) })
	t.Run("a key is replaced by those who know it", func(t *testing.T) {
		s, ctx := open(t), t.Context()
		if _, err := s.CreateDataKey(ctx, "shop", []byte("one")); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			owner, old, fresh string
			want              bool
		}{{"shop", "none", "two", false}, {"blog", "one", "two", false}, {"shop", "one", "two", true}, {"shop", "one", "three", false}} {
			if done, err := s.ReplaceDataKey(ctx, step.owner, []byte(step.old), []byte(step.fresh)); err != nil || done != step.want {
				t.Fatalf("%+v: %t, %v", step, done, err)
			}
		}
		if all, err := s.ListDataKeys(ctx); err != nil || len(all) != 1 || string(all["shop"]) != "two" {
			t.Fatalf("%q, %v", all, err)
		}
	})
	t.Run("rotated under load", func(t *testing.T) { rotated(t, open(t)) })
}

// rotated changes data key and root key while others seal and open with keyrings of their own:
// whatever anybody sealed opens for everybody.
func rotated(t *testing.T, store seal.RotatingStore) {
	ctx := context.WithoutCancel(t.Context())
	old, fresh := key(1), key(2)
	both := func(context.Context) (*seal.Sealer, error) { return seal.NewRoots(fresh, old) }
	rings := make([]*seal.Keyring, 4)
	for i := range rings {
		first, err := seal.NewRoot(old)
		if err != nil {
			t.Fatal(err)
		}
		rings[i] = seal.NewKeyring(first, store)
		rings[i].Reroot(both)
		if _, err := rings[i].DataKey(ctx, "shop"); err != nil {
			t.Fatal(err)
		}
	}
	start := sealWith(t, rings[0], "start")
	root, err := both(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tool := seal.NewKeyring(root, store)
	for range 2 {
		if err := tool.Rotate(ctx, store, "shop"); err != nil {
			t.Fatal(err)
		}
	}
	if err := tool.Rewrap(ctx, store); err != nil {
		t.Fatal(err)
	}
	newest, err := seal.NewRoot(fresh)
	if err != nil {
		t.Fatal(err)
	}
	if err := seal.Verify(ctx, store, newest); err != nil {
		t.Fatalf("the newest root key alone does not open all: %v", err)
	}
	time.Sleep(50 * time.Millisecond) // a keyring asks the store at most every 20 ms
	after := sealWith(t, tool, "after")
	var wg sync.WaitGroup
	for _, ring := range rings {
		wg.Go(func() {
			for _, sealed := range [][]byte{after, start} {
				s, err := ring.DataKey(ctx, "shop")
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.Open(sealed, "test"); err != nil {
					t.Errorf("a keyring of before the rotation: %v", err)
				}
				if _, err := s.Open([]byte("nobody sealed this"), "test"); !errors.Is(err, seal.ErrOpen) {
					t.Errorf("rubbish: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func key(b byte) secret.Value { return secret.NewValue(bytes.Repeat([]byte{b}, seal.RootSize)) }

func sealWith(t *testing.T, ring *seal.Keyring, text string) []byte {
	t.Helper()
	s, err := ring.DataKey(context.WithoutCancel(t.Context()), "shop")
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Seal([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	return out
}
