package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/egress"
)

const repeatWhere = ` WHERE site = $1 AND connection = $2 AND operation = $3 AND caller = $4 AND key_hash = $5`

func repeatArgs(k egress.RepeatKey, after ...any) []any {
	return append([]any{k.Site, k.Connection, k.Operation, k.Caller, k.KeyHash[:]}, after...)
}

var (
	errNotServing = errors.New("this process does not serve from the store, so it cannot hold a call in progress")
	errNotOpen    = errors.New("no call under this key is in progress here or of unknown outcome")
	errUnsettled  = errors.New("the record changes faster than it can be read")
)

// storedRepeat is a row of a call and the node that makes it.
type storedRepeat struct {
	egress.Repeat
	node int64
}

// BeginRepeat implements egress.Idempotency. A call that is already known is found without
// a write. The row of a call in progress bears the number of its node.
func (s *Store) BeginRepeat(ctx context.Context, key egress.RepeatKey, want egress.Repeat, now time.Time) (bool, egress.Repeat, error) {
	if s.node == nil {
		return false, egress.Repeat{}, fmt.Errorf("begin call: %w", errNotServing)
	}
	for range 5 {
		known, found, err := one(ctx, s, scanRepeat, `SELECT request_hash, state, sealed, created_at, expires_at, node FROM repeats`+repeatWhere, repeatArgs(key)...)
		if err != nil {
			return false, egress.Repeat{}, fmt.Errorf("find call: %w", err)
		}
		mine := s.node.id.Load()
		residue := found && known.State == egress.RepeatInProgress && known.node == mine && s.doubts.has(key)
		if found && !residue && (known.State == egress.RepeatInProgress || now.Before(known.ExpiresAt)) {
			return false, known.Repeat, nil
		}
		first, err := s.insertRepeat(ctx, key, want, now, residue)
		if err != nil {
			s.doubts.add(key)
			return false, egress.Repeat{}, fmt.Errorf("begin call: %w", err)
		}
		if first {
			s.doubts.remove(key)
			return true, egress.Repeat{}, nil
		}
	}
	return false, egress.Repeat{}, fmt.Errorf("begin call: %w", errUnsettled)
}

// insertRepeat makes this node's call the first, unless another one is meanwhile. residue
// lets it take over a row of its own.
func (s *Store) insertRepeat(ctx context.Context, key egress.RepeatKey, want egress.Repeat, now time.Time, residue bool) (bool, error) {
	mine := s.node.id.Load()
	n, err := s.exec(ctx, `INSERT INTO repeats (site, connection, operation, caller, key_hash, request_hash, state, node, created_at, expires_at)
		SELECT $1, $2, $3, $4, $5, $6, 1, id, $8, $9 FROM nodes WHERE id = $7 AND expires_at > clock_timestamp()
		ON CONFLICT (site, connection, operation, caller, key_hash) DO UPDATE SET request_hash = excluded.request_hash, state = 1,
			node = excluded.node, sealed = NULL, created_at = excluded.created_at, expires_at = excluded.expires_at
		WHERE repeats.state <> 1 AND repeats.expires_at <= $8 OR $10 AND repeats.state = 1 AND repeats.node = $7`,
		repeatArgs(key, want.RequestHash[:], mine, millis(now), millis(want.ExpiresAt), residue)...)
	if err != nil || n == 1 {
		return n == 1, err
	}
	return false, s.node.holds() // no row: another call is first, or this node has no lease
}

func scanRepeat(row pgx.CollectableRow) (r storedRepeat, err error) {
	var request []byte
	var created, expires *int64
	err = row.Scan(&request, &r.State, &r.Sealed, &created, &expires, &r.node)
	copy(r.RequestHash[:], request)
	r.CreatedAt, r.ExpiresAt = moment(created), moment(expires)
	return r, err
}

// FinishRepeat implements egress.Idempotency. A node ends its own calls only.
func (s *Store) FinishRepeat(ctx context.Context, key egress.RepeatKey, sealed []byte, expires time.Time) error {
	return s.end(ctx, "finish call", `UPDATE repeats SET state = 2, sealed = $7, expires_at = $8`+repeatWhere+mineOrUnknown,
		repeatArgs(key, s.fence(), sealed, millis(expires)))
}

// ForgetRepeat implements egress.Idempotency. A node forgets its own calls only.
func (s *Store) ForgetRepeat(ctx context.Context, key egress.RepeatKey) error {
	return s.end(ctx, "forget call", `DELETE FROM repeats`+repeatWhere+mineOrUnknown, repeatArgs(key, s.fence()))
}

// MarkRepeatUnknown implements egress.Idempotency. Any node may say so: it is what keeps a
// call from being made twice.
func (s *Store) MarkRepeatUnknown(ctx context.Context, key egress.RepeatKey) error {
	return s.end(ctx, "mark call unknown", `UPDATE repeats SET state = 0`+repeatWhere+` AND state IN (0, 1)`, repeatArgs(key))
}

const mineOrUnknown = ` AND (state = 0 OR state = 1 AND node = $6)`

// fence is the number of this node; a tool has none.
func (s *Store) fence() int64 {
	if s.node == nil {
		return 0
	}
	return s.node.id.Load()
}

// end ends one call that is in progress, or whose outcome was unknown until a repeat that
// the provider recognised told it.
func (s *Store) end(ctx context.Context, doing, statement string, args []any) error {
	n, err := s.exec(ctx, statement, args...)
	if err == nil && n == 0 {
		err = errNotOpen
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// PurgeRepeats implements egress.Idempotency.
func (s *Store) PurgeRepeats(ctx context.Context, now time.Time) (int, error) {
	n, err := s.exec(ctx, `DELETE FROM repeats WHERE expires_at <= $1 AND state <> 1`, millis(now))
	if err != nil {
		return 0, fmt.Errorf("purge calls: %w", err)
	}
	return int(n), nil
}

// maxDoubts bounds what is remembered of beginnings that failed.
const maxDoubts = 4096

// doubts are the calls whose beginning the database did not confirm: the row may be there,
// and no call belongs to it. The next try takes such a row over, where everybody else would
// wait for a call that nobody makes. Within a process one call at a time has a key
// (egress.Flights), so nobody else's row is taken. The zero value is ready.
type doubts struct {
	mu   sync.Mutex
	keys map[egress.RepeatKey]struct{}
}

func (d *doubts) has(k egress.RepeatKey) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.keys[k]
	return ok
}

// add forgets the doubt rather than growing without bound: then the row becomes unknown.
func (d *doubts) add(k egress.RepeatKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil {
		d.keys = map[egress.RepeatKey]struct{}{}
	}
	if len(d.keys) < maxDoubts {
		d.keys[k] = struct{}{}
	}
}

func (d *doubts) remove(k egress.RepeatKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.keys, k)
}
