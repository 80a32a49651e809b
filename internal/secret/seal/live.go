package seal

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
)

const (
	// freshFor is how long a data key is used before the store is asked for its newest version.
	freshFor = 30 * time.Second
	// retryAfter keeps bytes that no version opens from asking the store at every try.
	retryAfter = 20 * time.Millisecond
	// reloadTime bounds one look at the store.
	reloadTime = 2 * time.Second
)

// live is an owner's data key as the store has it: what another process sealed with a newer
// version is opened by looking at the store again. While the store cannot be read the versions
// that are known stay in use.
type live struct {
	load func(ctx context.Context) (tink.AEAD, error)

	current atomic.Pointer[tink.AEAD]
	asked   atomic.Int64 // when the store was asked last, Unix nanoseconds
	one     sync.Mutex   // one look at a time
}

func newLive(first tink.AEAD, load func(ctx context.Context) (tink.AEAD, error)) *live {
	l := &live{load: load}
	l.current.Store(&first)
	l.asked.Store(time.Now().UnixNano())
	return l
}

// Encrypt implements tink.AEAD with the newest version that is known.
func (l *live) Encrypt(plaintext, associated []byte) ([]byte, error) {
	if l.age() >= freshFor && l.one.TryLock() {
		l.reload()
		l.one.Unlock()
	}
	return (*l.current.Load()).Encrypt(plaintext, associated)
}

// Decrypt implements tink.AEAD with all versions.
func (l *live) Decrypt(sealed, associated []byte) ([]byte, error) {
	known := l.current.Load()
	out, err := (*known).Decrypt(sealed, associated)
	if err == nil {
		return out, nil
	}
	l.one.Lock() // who comes second finds what the first one loaded
	if l.current.Load() == known && l.age() >= retryAfter {
		l.reload()
	}
	l.one.Unlock()
	if now := l.current.Load(); now != known {
		return (*now).Decrypt(sealed, associated)
	}
	return nil, err
}

func (l *live) age() time.Duration { return time.Duration(time.Now().UnixNano() - l.asked.Load()) }

func (l *live) reload() {
	l.asked.Store(time.Now().UnixNano())
	ctx, cancel := context.WithTimeout(context.Background(), reloadTime)
	defer cancel()
	if fresh, err := l.load(ctx); err == nil {
		l.current.Store(&fresh)
	}
}
