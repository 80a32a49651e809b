package egress

import (
	"context"
	"sync"
)

// Flights lets calls with one key share one call within this process: repeats wait in
// memory for its end and take its answer. It outlives snapshots; the zero value is ready
// and safe for concurrent use.
type Flights struct {
	mu     sync.Mutex
	flying map[RepeatKey]*flight
}

// flight is a call under way. hash and answer are set before done is closed; answer
// stays nil where the end left nothing to share.
type flight struct {
	done   chan struct{}
	hash   [32]byte
	answer []byte
}

// enter makes the caller's flight the one with the key, or waits for the one under way
// and returns it, ended.
func (f *Flights) enter(ctx context.Context, key RepeatKey) (mine, ended *flight, err error) {
	f.mu.Lock()
	other, busy := f.flying[key]
	if !busy {
		mine = &flight{done: make(chan struct{})}
		if f.flying == nil {
			f.flying = map[RepeatKey]*flight{}
		}
		f.flying[key] = mine
		f.mu.Unlock()
		return mine, nil, nil
	}
	f.mu.Unlock()
	select {
	case <-other.done:
		return nil, other, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func (f *Flights) leave(key RepeatKey, mine *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.flying, key)
	close(mine.done)
}
