package oauth_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"sallyport/internal/oauth"
	"sallyport/internal/oauth/oauthtest"
)

// memory is the smallest TokenStore, for the keeper's own tests.
type memory struct {
	mu   sync.Mutex
	rows map[oauth.Key]*row
	down bool
}

type row struct {
	version int64
	sealed  oauth.Sealed
	holder  string
	held    time.Time
	until   time.Time
	pause   oauth.Pause
	changed time.Time
}

var errDown = errors.New("the store is away")

func newMemory() *memory { return &memory{rows: map[oauth.Key]*row{}} }

func (m *memory) LeaseToken(_ context.Context, k oauth.Key, l oauth.Lease) (oauth.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return oauth.Record{}, errDown
	}
	now := time.Now()
	r := m.rows[k]
	if r == nil {
		r = &row{changed: now}
		m.rows[k] = r
	}
	out := oauth.Record{Version: r.version, Sealed: r.sealed.Bytes, Pause: r.pause}
	out.Pause.For = max(r.until.Sub(now), 0)
	if r.version <= l.Seen && out.Pause.For == 0 && (r.holder == "" || r.holder == l.Holder || !now.Before(r.held)) {
		r.holder, r.held, r.changed, out.Granted = l.Holder, now.Add(l.For), now, true
	}
	return out, nil
}

func (m *memory) own(k oauth.Key, holder string) *row {
	if r := m.rows[k]; r != nil && holder != "" && r.holder == holder && !m.down {
		return r
	}
	return nil
}

func (m *memory) ExtendLease(_ context.Context, k oauth.Key, l oauth.Lease) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.own(k, l.Holder)
	if r != nil {
		r.held = time.Now().Add(l.For)
	}
	return r != nil, nil
}

func (m *memory) SaveToken(_ context.Context, k oauth.Key, holder string, s oauth.Sealed) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return 0, errDown
	}
	r := m.own(k, holder)
	if r == nil {
		return 0, nil
	}
	*r = row{version: r.version + 1, sealed: s, changed: time.Now()}
	return r.version, nil
}

func (m *memory) ReleaseToken(_ context.Context, k oauth.Key, holder string, p oauth.Pause) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.own(k, holder); r != nil {
		r.holder, r.pause, r.until = "", oauth.Pause{Failures: p.Failures, Reason: p.Reason}, time.Now().Add(p.For)
	}
	return nil
}

func (m *memory) DeleteTokens(_ context.Context, site, connection string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.rows {
		if k.Site == site && k.Connection == connection {
			delete(m.rows, k)
		}
	}
	return nil
}

func (m *memory) PurgeTokens(_ context.Context, before time.Time) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, r := range m.rows {
		if !r.changed.After(before) && !r.sealed.Expires.After(before) {
			delete(m.rows, k)
			n++
		}
	}
	return n, nil
}

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func TestMemoryIsATokenStore(t *testing.T) {
	oauthtest.TokenStore(t, func(*testing.T) oauth.TokenStore { return newMemory() })
}
