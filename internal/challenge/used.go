package challenge

import (
	"context"
	"sync"
	"time"

	"sallyport/internal/problem"
)

// Used remembers what may be used once: proofs of work, vouchers, tokens of a bot check. It
// is safe for concurrent use; where several nodes serve one site, they share one.
type Used interface {
	// Use marks id as used until it no longer matters, and says whether this was the first
	// time. Of any number of calls with one id, on all nodes together, exactly one is told
	// so. An error means that it is not known, and the caller lets nothing through.
	Use(ctx context.Context, id [32]byte, until time.Time) (first bool, err error)
}

// DefaultMemory is the number of used ids that a Memory keeps: about 12 MiB at most.
const DefaultMemory = 1 << 17

// Memory is a Used of one process. It refuses, rather than forgets, when it is full. The
// zero Memory is not usable; see NewMemory.
type Memory struct {
	now  func() time.Time
	most int

	mu    sync.Mutex
	used  map[[32]byte]int64 // until, in Unix seconds
	purge time.Time
}

// NewMemory keeps at most entries ids; 0 means DefaultMemory.
func NewMemory(now func() time.Time, entries int) *Memory {
	if entries <= 0 {
		entries = DefaultMemory
	}
	return &Memory{now: now, most: entries, used: map[[32]byte]int64{}}
}

// Use implements Used.
func (m *Memory) Use(_ context.Context, id [32]byte, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if _, ok := m.used[id]; ok { // also past its end: a clock that steps back revives nothing
		return false, nil
	}
	if !now.Before(m.purge) || len(m.used) >= m.most {
		m.forget(now)
	}
	if len(m.used) >= m.most {
		p := problem.New(problem.Overloaded, "too many proofs were used in the last minutes")
		p.RetryAfter = time.Minute
		return false, p
	}
	m.used[id] = until.Unix()
	return true, nil
}

// forget drops what ended at least a minute ago.
func (m *Memory) forget(now time.Time) {
	if len(m.used) >= m.most && now.Before(m.purge) {
		return // it was looked through within the minute: looking again would find little
	}
	old := now.Add(-time.Minute).Unix()
	for id, until := range m.used {
		if until < old {
			delete(m.used, id)
		}
	}
	m.purge = now.Add(time.Minute)
}
