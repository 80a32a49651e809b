package keystore

import (
	"context"
	"testing"
)

// HoldLock takes the writers' lock, as another process would.
func HoldLock(t *testing.T, path string) (release func()) {
	t.Helper()
	unlock, err := lock(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	return unlock
}
