package ingress

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// autoStorage is certmagic's folder of keys and certificates, which knows whether
// somebody is at work in it: all that certmagic and the issuer write, they write under a
// lock. Close lets that work end, so that a certificate that a CA has just issued is
// kept whole, and lets no other begin.
type autoStorage struct {
	*certmagic.FileStorage

	mu     sync.Mutex
	closed bool
	locks  int           // held, or being waited for
	idle   chan struct{} // is closed when Close waits and the last lock is given back
}

var errStorageClosed = errors.New("the gate is stopping")

func (s *autoStorage) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errStorageClosed
	}
	s.locks++
	return nil
}

func (s *autoStorage) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locks--
	if s.locks == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// Lock implements certmagic.Locker.
func (s *autoStorage) Lock(ctx context.Context, name string) error {
	if err := s.enter(); err != nil {
		return err
	}
	err := s.FileStorage.Lock(ctx, name)
	if err != nil {
		s.leave()
	}
	return err
}

// TryLock implements certmagic.TryLocker.
func (s *autoStorage) TryLock(ctx context.Context, name string) (bool, error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	ok, err := s.FileStorage.TryLock(ctx, name)
	if !ok || err != nil {
		s.leave()
	}
	return ok, err
}

// Unlock implements certmagic.Locker.
func (s *autoStorage) Unlock(ctx context.Context, name string) error {
	defer s.leave()
	return s.FileStorage.Unlock(ctx, name)
}

// close waits until nobody is at work, for the given time at most.
func (s *autoStorage) close(most time.Duration) {
	s.mu.Lock()
	s.closed = true
	idle := make(chan struct{})
	if s.locks == 0 {
		close(idle)
	} else {
		s.idle = idle
	}
	s.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}
