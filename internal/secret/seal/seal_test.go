package seal_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
	"sallyport/internal/secret/seal/sealtest"
)

func root(t *testing.T, b byte) *seal.Sealer {
	t.Helper()
	s, err := seal.NewRoot(secret.NewValue(bytes.Repeat([]byte{b}, seal.RootSize)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dataKey(t *testing.T, r *seal.Sealer, owner string) *seal.Sealer {
	t.Helper()
	wrapped, err := r.NewKey(owner)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.OpenKey(wrapped, owner)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRootNeeds32Bytes(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33, 64} {
		_, err := seal.NewRoot(secret.NewValue(make([]byte, n)))
		if err == nil || !strings.Contains(err.Error(), "32") {
			t.Errorf("a root key of %d bytes: %v, want an error that names 32", n, err)
		}
	}
}

func TestOpensOnlyWhatItSealedForThePurpose(t *testing.T) {
	r := root(t, 1)
	for _, s := range []*seal.Sealer{r, dataKey(t, r, "shop")} {
		sealed, err := s.Seal([]byte("4111"), "answer")
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(sealed, []byte("4111")) {
			t.Fatal("the plain text stands in the sealed bytes")
		}
		if got, err := s.Open(sealed, "answer"); err != nil || string(got) != "4111" {
			t.Fatalf("Open = %q, %v", got, err)
		}
		refuse := map[string]func() ([]byte, error){
			"another purpose": func() ([]byte, error) { return s.Open(sealed, "answer2") },
			"another root":    func() ([]byte, error) { return root(t, 2).Open(sealed, "answer") },
			"another owner":   func() ([]byte, error) { return dataKey(t, r, "blog").Open(sealed, "answer") },
			"empty":           func() ([]byte, error) { return s.Open(nil, "answer") },
		}
		for i := range sealed {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1
			if _, err := s.Open(bad, "answer"); !errors.Is(err, seal.ErrOpen) {
				t.Fatalf("byte %d changed: %v, want ErrOpen", i, err)
			}
		}
		for name, open := range refuse {
			if got, err := open(); !errors.Is(err, seal.ErrOpen) {
				t.Errorf("%s: %q, %v; want ErrOpen", name, got, err)
			}
		}
	}
}

func TestWrappedKeyIsBoundToItsOwner(t *testing.T) {
	r := root(t, 1)
	wrapped, err := r.NewKey("shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.OpenKey(wrapped, "blog"); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("another owner's name: %v, want ErrOpen", err)
	}
	if _, err := root(t, 2).OpenKey(wrapped, "shop"); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("another root: %v, want ErrOpen", err)
	}
}

func TestTwoSealsDiffer(t *testing.T) {
	s := root(t, 1)
	a, _ := s.Seal([]byte("x"), "p")
	b, _ := s.Seal([]byte("x"), "p")
	if bytes.Equal(a, b) {
		t.Error("sealing twice gave the same bytes: the nonce does not change")
	}
}

// memory is the smallest KeyStore, for the keyring's own tests.
type memory struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (m *memory) FindDataKey(_ context.Context, owner string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.keys[owner]; ok {
		return k, nil
	}
	return nil, seal.ErrNoKey
}

func (m *memory) CreateDataKey(_ context.Context, owner string, wrapped []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.keys[owner]; ok {
		return k, nil
	}
	m.keys[owner] = wrapped
	return wrapped, nil
}

func TestKeyring(t *testing.T) {
	sealtest.KeyStore(t, func(*testing.T) seal.KeyStore { return &memory{keys: map[string][]byte{}} })
}

func TestKeyringNeverReplacesAKeyItCannotOpen(t *testing.T) {
	m := &memory{keys: map[string][]byte{"shop": []byte("damaged")}}
	if _, err := seal.NewKeyring(root(t, 1), m).DataKey(t.Context(), "shop"); !errors.Is(err, seal.ErrOpen) {
		t.Fatalf("a damaged key: %v, want ErrOpen", err)
	}
	if string(m.keys["shop"]) != "damaged" {
		t.Fatal("the stored key was replaced")
	}
}
