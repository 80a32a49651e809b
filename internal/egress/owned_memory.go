package egress

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/session"
)

// The bounds of what is remembered of ids.
const (
	// OwnedPerVisit is how many objects one visit can name; the oldest fall out.
	OwnedPerVisit = 256
	// OwnedPerSite is how many are kept for all visits of a site; the oldest fall out.
	OwnedPerSite = 200_000
	// OwnedFor is how long an object is remembered: as long as a visit can last, and clocks
	// of nodes differ a little.
	OwnedFor = session.MaxVisit + time.Minute

	rememberWithin = 5 * time.Second

	ownedCached = 1 << 16 // in each of two halves; about 4 MiB each when full
)

// OwnedHash stands for a visit, or for an object that a visit received: a keyed hash from
// which neither can be read.
type OwnedHash [16]byte

// OwnedRow is what is stored of objects that a visit received in one answer.
type OwnedRow struct {
	Site    string
	Visit   OwnedHash
	Objects []OwnedHash
	Expires time.Time
}

// OwnedStore keeps what visits received. Methods are safe for concurrent use, from several
// processes too; a nil error means durable.
type OwnedStore interface {
	// RememberOwned stores the objects; one that is there keeps its place and the later of
	// its two ends. Of a visit the newest perVisit stay.
	RememberOwned(ctx context.Context, row OwnedRow, perVisit int) error
	// FindOwned returns when the object expires; zero: it is not there, or has expired at now.
	FindOwned(ctx context.Context, site string, object OwnedHash, now time.Time) (time.Time, error)
	// PurgeOwned removes what expired at now, and of each site all but the newest perSite.
	PurgeOwned(ctx context.Context, now time.Time, perSite int) (int, error)
}

// OwnedMemory is Owned over a store. What this process wrote or has found is answered from
// memory; a refusal is always the store's, because another node may have written. It is
// safe for concurrent use.
type OwnedMemory struct {
	store OwnedStore
	hash  func(site string, message []byte) ([32]byte, error)
	now   func() time.Time

	mu         sync.Mutex
	young, old map[OwnedHash]time.Time // when it expires
	half       int
}

// NewOwnedMemory keeps hashes in store. hash is a keyed hash under a key of the site.
func NewOwnedMemory(store OwnedStore, hash func(site string, message []byte) ([32]byte, error), now func() time.Time) *OwnedMemory {
	return &OwnedMemory{store: store, hash: hash, now: now, young: map[OwnedHash]time.Time{}, half: ownedCached}
}

// Remember implements Owned.
func (m *OwnedMemory) Remember(ctx context.Context, by Visitor, objects []contract.Identity) error {
	now := m.now()
	row := OwnedRow{Site: by.Site, Expires: now.Add(OwnedFor)}
	for _, o := range objects {
		h, err := m.object(by, o)
		if err != nil {
			return err
		}
		if until, ok := m.cached(h); !ok || !now.Before(until) {
			row.Objects = append(row.Objects, h)
		}
	}
	if len(row.Objects) == 0 {
		return nil // a page that asks again and again pays no write
	}
	var err error
	if row.Visit, err = m.sum(by.Site, "visit", by.Visit); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, rememberWithin)
	defer cancel()
	if err := m.store.RememberOwned(ctx, row, OwnedPerVisit); err != nil {
		return fmt.Errorf("remember what a visit received: %w", err)
	}
	for _, h := range row.Objects {
		m.keep(h, row.Expires)
	}
	return nil
}

// Owns implements Owned.
func (m *OwnedMemory) Owns(ctx context.Context, by Visitor, object contract.Identity) (bool, error) {
	h, err := m.object(by, object)
	if err != nil {
		return false, err
	}
	now := m.now()
	if until, ok := m.cached(h); ok && now.Before(until) {
		return true, nil
	}
	until, err := m.store.FindOwned(ctx, by.Site, h, now)
	if err != nil {
		return false, fmt.Errorf("find what a visit received: %w", err)
	}
	if !now.Before(until) {
		return false, nil
	}
	m.keep(h, until)
	return true, nil
}

func (m *OwnedMemory) object(by Visitor, o contract.Identity) (OwnedHash, error) {
	return m.sum(by.Site, "object", by.Connection, by.Mode, by.Account, by.Visit, o.Kind, o.ID)
}

// sum hashes parts so that no two lists of parts are one message.
func (m *OwnedMemory) sum(site string, parts ...string) (OwnedHash, error) {
	message := make([]byte, 0, 256)
	add := func(p string) {
		message = binary.AppendUvarint(message, uint64(len(p)))
		message = append(message, p...)
	}
	add("owned")
	add(site)
	for _, p := range parts {
		add(p)
	}
	sum, err := m.hash(site, message)
	if err != nil {
		return OwnedHash{}, fmt.Errorf("hash what a visit received: %w", err)
	}
	return OwnedHash(sum[:16]), nil
}

func (m *OwnedMemory) cached(h OwnedHash) (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until, ok := m.young[h]; ok {
		return until, true
	}
	until, ok := m.old[h]
	return until, ok
}

// keep puts an object into the young half; when that is full it becomes the old one, and
// what was old is forgotten here, not in the store.
func (m *OwnedMemory) keep(h OwnedHash, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young) >= m.half {
		m.young, m.old = map[OwnedHash]time.Time{}, m.young
	}
	m.young[h] = until
}
