package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/egress"
)

const repeatWhere = ` WHERE site = ? AND connection = ? AND operation = ? AND caller = ? AND key_hash = ?`

func repeatArgs(k egress.RepeatKey, before ...any) []any {
	return append(before, k.Site, k.Connection, k.Operation, k.Caller, k.KeyHash[:])
}

var (
	errNotServing = errors.New("this process does not serve from the store, so it cannot hold a call in progress")
	errNotOpen    = errors.New("no call under this key is in progress or of unknown outcome")
)

// BeginRepeat implements egress.Idempotency. A call that is already known is found
// without a write.
func (s *Store) BeginRepeat(ctx context.Context, key egress.RepeatKey, want egress.Repeat, now time.Time) (bool, egress.Repeat, error) {
	if s.role != Serve {
		return false, egress.Repeat{}, fmt.Errorf("begin call: %w", errNotServing)
	}
	known, found, err := findRepeat(s.read.QueryRowContext(ctx, repeatSelect, repeatArgs(key)...))
	if err != nil {
		return false, egress.Repeat{}, fmt.Errorf("find call: %w", err)
	}
	if found && counts(known, now) {
		return false, known, nil
	}
	first := false
	err = s.writer.do(ctx, func(tx *tx) error {
		known, found, err = findRepeat(tx.QueryRow(repeatSelect, repeatArgs(key)...))
		if err != nil || found && counts(known, now) {
			return err
		}
		first, known = true, egress.Repeat{}
		_, err = exec(tx, `INSERT INTO repeats (site, connection, operation, caller, key_hash, request_hash, state, created_at, expires_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET request_hash = excluded.request_hash, state = excluded.state, sealed = NULL,
				created_at = excluded.created_at, expires_at = excluded.expires_at`,
			append(repeatArgs(key), want.RequestHash[:], egress.RepeatInProgress, millis(now), millis(want.ExpiresAt))...)
		return err
	})
	if err != nil {
		return false, egress.Repeat{}, fmt.Errorf("begin call: %w", err)
	}
	return first, known, nil
}

// counts says whether a row still stands for its call.
func counts(r egress.Repeat, now time.Time) bool {
	return r.State == egress.RepeatInProgress || now.Before(r.ExpiresAt)
}

const repeatSelect = `SELECT request_hash, state, sealed, created_at, expires_at FROM repeats` + repeatWhere

func findRepeat(row *sql.Row) (egress.Repeat, bool, error) {
	var r egress.Repeat
	var request []byte
	var created, expires sql.NullInt64
	err := row.Scan(&request, &r.State, &r.Sealed, &created, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return egress.Repeat{}, false, nil
	}
	if err != nil {
		return egress.Repeat{}, false, err
	}
	copy(r.RequestHash[:], request)
	r.CreatedAt, r.ExpiresAt = moment(created), moment(expires)
	return r, true, nil
}

// FinishRepeat implements egress.Idempotency.
func (s *Store) FinishRepeat(ctx context.Context, key egress.RepeatKey, sealed []byte, expires time.Time) error {
	return s.leave(ctx, "finish call", `UPDATE repeats SET state = 2, sealed = ?, expires_at = ?`, repeatArgs(key, sealed, millis(expires)))
}

// MarkRepeatUnknown implements egress.Idempotency.
func (s *Store) MarkRepeatUnknown(ctx context.Context, key egress.RepeatKey) error {
	return s.leave(ctx, "mark call unknown", `UPDATE repeats SET state = 0`, repeatArgs(key))
}

// ForgetRepeat implements egress.Idempotency.
func (s *Store) ForgetRepeat(ctx context.Context, key egress.RepeatKey) error {
	return s.leave(ctx, "forget call", `DELETE FROM repeats`, repeatArgs(key))
}

// leave ends one call that is in progress, or whose outcome was unknown until a repeat
// that the provider recognised told it.
func (s *Store) leave(ctx context.Context, doing, statement string, args []any) error {
	err := s.writer.do(ctx, func(tx *tx) error {
		n, err := exec(tx, statement+repeatWhere+` AND state IN (0, 1)`, args...)
		if err == nil && n == 0 {
			return errNotOpen
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// PurgeRepeats implements egress.Idempotency.
func (s *Store) PurgeRepeats(ctx context.Context, now time.Time) (int, error) {
	var n int64
	err := s.writer.do(ctx, func(tx *tx) (err error) {
		n, err = exec(tx, `DELETE FROM repeats WHERE expires_at <= ? AND state <> 1`, millis(now))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("purge calls: %w", err)
	}
	return int(n), nil
}

// closeOrphans says of the calls that a dead process left in progress that their outcome
// is unknown. This process holds the serving lock, so no other can own them.
func (s *Store) closeOrphans(ctx context.Context) error {
	var n int64
	err := s.writer.do(ctx, func(tx *tx) (err error) {
		n, err = exec(tx, `UPDATE repeats SET state = 0 WHERE state = 1`)
		return err
	})
	if err != nil {
		return fmt.Errorf("close calls of the process before: %w", err)
	}
	if n > 0 {
		s.log.WarnContext(ctx, "calls of the process before have an unknown outcome", "count", n)
	}
	return s.releaseClaims(ctx)
}
