package ingress

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// TestStorageCloses: Close waits for who holds a lock, for a time, and nobody begins after it.
func TestStorageCloses(t *testing.T) {
	t.Parallel()
	open := func() *autoStorage { return &autoStorage{FileStorage: &certmagic.FileStorage{Path: t.TempDir()}} }
	s := open()
	for range 2 { // given back, it can be had again
		if err := s.Lock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if ok, err := s.TryLock(t.Context(), "a"); ok || err != nil {
			t.Errorf("a lock was given twice: %v", err)
		}
		if err := s.Unlock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Lock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() { s.close(time.Minute); close(closed) }()
	for {
		ok, err := s.TryLock(t.Context(), "b")
		if errors.Is(err, errStorageClosed) {
			break
		}
		if ok {
			_ = s.Unlock(t.Context(), "b")
		}
	}
	if err := s.Lock(t.Context(), "c"); !errors.Is(err, errStorageClosed) {
		t.Errorf("a lock after Close: %v", err)
	}
	select {
	case <-closed:
		t.Error("Close did not wait")
	default:
	}
	if err := s.Unlock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	<-closed
	if err := os.RemoveAll(s.Path); err != nil {
		t.Error(err)
	}
	s = open()
	if ok, err := s.TryLock(t.Context(), "a"); !ok || err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.close(30 * time.Millisecond)
	if took := time.Since(began); took < 30*time.Millisecond || took > 10*time.Second {
		t.Errorf("a lock that is never given back held Close for %s", took)
	}
	s.close(0)
}
