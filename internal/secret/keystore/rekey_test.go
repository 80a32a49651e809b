package keystore_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/secret/keystore"
)

// While the keystore's key is changed both keys open it, and what either writes keeps it so.
func TestTwoKeysOpenUntilOneIsLeft(t *testing.T) {
	path, old, s := make1(t)
	ctx := context.Background()
	if err := s.Set(ctx, "shop/stripe", value(canary)); err != nil {
		t.Fatal(err)
	}
	if err := s.FinishKey(ctx); !errors.Is(err, keystore.ErrNotStaged) {
		t.Fatalf("finish nothing: %v", err)
	}
	lost, fresh := newKey(t), newKey(t)
	for _, next := range []secret.Value{lost, fresh} { // the first one was lost before it was used
		if err := s.StageKey(ctx, next); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := keystore.Open(path, lost); !errors.Is(err, keystore.ErrWrongKey) {
		t.Errorf("a staged key that was replaced: %v", err)
	}
	if err := s.StageKey(ctx, old); err == nil {
		t.Error("the present key was staged")
	}
	other, err := keystore.Open(path, fresh)
	if err != nil {
		t.Fatal(err)
	}
	for name, by := range map[string]*keystore.Store{"shop/by-old": s, "shop/by-new": other} {
		if err := by.Set(ctx, name, value(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, by := range []*keystore.Store{s, other} {
		for _, name := range []string{"shop/stripe", "shop/by-old", "shop/by-new"} {
			if _, err := by.Read(ctx, ref(name)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if staged, newest, err := s.KeyStaged(); err != nil || !staged || newest {
		t.Errorf("the old key's view: %t %t %v", staged, newest, err)
	}
	if err := s.FinishKey(ctx); !errors.Is(err, keystore.ErrOldKey) {
		t.Fatalf("finished with the old key: %v", err)
	}
	if err := other.FinishKey(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := keystore.Open(path, old); !errors.Is(err, keystore.ErrWrongKey) {
		t.Errorf("the old key still opens it: %v", err)
	}
	if _, err := s.Read(ctx, ref("shop/stripe")); !errors.Is(err, keystore.ErrWrongKey) {
		t.Errorf("a reader that knows only the old key: %v", err)
	}
	if v, err := other.Read(ctx, ref("shop/stripe")); err != nil || !v.Equal(value(canary)) {
		t.Errorf("the new key: %v", err)
	}
}

// A reader that is told the new key goes on without being opened again, and one that is told
// nothing good stays closed.
func TestReaderTakesTheNewKeyUp(t *testing.T) {
	path, old, s := make1(t)
	ctx := context.Background()
	if err := s.Set(ctx, "shop/stripe", value(canary)); err != nil {
		t.Fatal(err)
	}
	fresh := newKey(t)
	told := []secret.Value{old, {}, newKey(t)}
	reader, err := keystore.Open(path, old)
	if err != nil {
		t.Fatal(err)
	}
	reader.Rekeys(func(context.Context) ([]secret.Value, error) { return told, nil })
	if err := s.Rekey(ctx, fresh); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Read(ctx, ref("shop/stripe")); !errors.Is(err, keystore.ErrWrongKey) {
		t.Fatalf("without the key: %v", err)
	}
	told = append(told, fresh)
	if v, err := reader.Read(ctx, ref("shop/stripe")); err != nil || !v.Equal(value(canary)) {
		t.Fatalf("with the key: %v", err)
	}
	if err := reader.Set(ctx, "shop/more", value("more")); err != nil {
		t.Fatal(err)
	}
	if _, err := keystore.Open(path, old); !errors.Is(err, keystore.ErrWrongKey) {
		t.Errorf("a write by a reader of before brought the old key back: %v", err)
	}
}

// A passphrase has no second key beside it; it can be left for a key at once.
func TestPassphraseIsLeft(t *testing.T) {
	path, phrase := filepath.Join(t.TempDir(), "keystore.age"), value("a passphrase with length")
	if err := keystore.CreateWith(path, phrase); err != nil {
		t.Fatal(err)
	}
	s, err := keystore.Open(path, phrase)
	if err != nil {
		t.Fatal(err)
	}
	ctx, fresh := context.Background(), newKey(t)
	if err := s.StageKey(ctx, fresh); !errors.Is(err, keystore.ErrPassphrase) {
		t.Fatalf("staged beside a passphrase: %v", err)
	}
	if err := s.Rekey(ctx, fresh); err != nil {
		t.Fatal(err)
	}
	if _, err := keystore.Open(path, phrase); !errors.Is(err, keystore.ErrWrongKey) {
		t.Errorf("the passphrase still opens it: %v", err)
	}
	if _, err := keystore.Open(path, fresh); err != nil {
		t.Error(err)
	}
}

// A key that cannot be one leaves file and key as they were.
func TestBadKeyChangesNothing(t *testing.T) {
	path, old, s := make1(t)
	ctx := context.Background()
	if err := s.Set(ctx, "shop/stripe", value(canary)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(context.Context, secret.Value) error{"Rekey": s.Rekey, "StageKey": s.StageKey} {
		for _, bad := range []secret.Value{{}, value("short"), value("AGE-SECRET-KEY-1CUT")} {
			if err := change(ctx, bad); err == nil {
				t.Errorf("%s took a key that cannot be one", name)
			}
		}
	}
	again, err := keystore.Open(path, old)
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []*keystore.Store{s, again} {
		if v, err := by.Read(ctx, ref("shop/stripe")); err != nil || !v.Equal(value(canary)) {
			t.Error(err)
		}
	}
}

// The wrapping key goes from version to version; what was broken off goes on with the same one.
func TestWrapKeyVersions(t *testing.T) {
	path, key, _ := make1(t)
	s, err := keystore.OpenAt(path, key, func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) })
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	list := func(staged bool) []secret.Value {
		t.Helper()
		keys, err := s.WrapKeys(ctx, staged)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	root := list(false)
	if len(root) != 1 {
		t.Fatalf("%d keys before the first rotation", len(root))
	}
	if err := s.PromoteWrapKey(ctx); !errors.Is(err, keystore.ErrNotStaged) {
		t.Fatalf("promote nothing: %v", err)
	}
	wraps := root[0]
	for round := range 3 {
		if err := s.StageWrapKey(ctx); err != nil {
			t.Fatal(err)
		}
		next := list(true)[0]
		if err := s.StageWrapKey(ctx); err != nil { // as after a crash
			t.Fatal(err)
		}
		if !list(true)[0].Equal(next) || !list(false)[0].Equal(wraps) || next.Equal(wraps) {
			t.Fatalf("round %d: staging again made another key, or staging changed what wraps", round)
		}
		if err := s.PromoteWrapKey(ctx); err != nil {
			t.Fatal(err)
		}
		after := list(false)
		if !after[0].Equal(next) || !after[1].Equal(wraps) || !after[len(after)-1].Equal(root[0]) {
			t.Fatalf("round %d: the order of the versions is wrong", round)
		}
		wraps = next
	}
	if err := s.Remove(ctx, "gate/wrap-key"); err == nil {
		t.Error("the wrapping key can be removed like a secret")
	}
}

func newKey(t *testing.T) secret.Value {
	t.Helper()
	key, err := keystore.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
