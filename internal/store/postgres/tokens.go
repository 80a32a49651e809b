package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/oauth"
)

const (
	tokenWhere = ` WHERE site = $1 AND connection = $2 AND name = $3`
	// ours is the database's clock: all nodes go by it.
	ours = `(SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now)`
)

func tokenArgs(k oauth.Key, after ...any) []any {
	return append([]any{k.Site, k.Connection, k.Name}, after...)
}

// LeaseToken implements oauth.TokenStore. The row's lock decides between nodes. A lease or a
// pause that ends later than any can is one of a clock that was wrong, and does not count.
func (s *Store) LeaseToken(ctx context.Context, k oauth.Key, l oauth.Lease) (r oauth.Record, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var now int64
		// Whoever comes second waits here, and then reads a later time.
		if _, err := tx.Exec(ctx, `INSERT INTO tokens (site, connection, name, changed_at) SELECT $1, $2, $3, now FROM `+ours+` c
			ON CONFLICT (site, connection, name) DO NOTHING`, tokenArgs(k)...); err != nil {
			return err
		}
		var holder string
		var held, pause int64
		err := tx.QueryRow(ctx, `SELECT version, sealed, holder, held_until, pause_until, failures, reason FROM tokens`+tokenWhere+` FOR UPDATE`, tokenArgs(k)...).
			Scan(&r.Version, &r.Sealed, &holder, &held, &pause, &r.Pause.Failures, &r.Pause.Reason)
		if err == nil {
			err = tx.QueryRow(ctx, `SELECT now FROM `+ours+` c`).Scan(&now)
		}
		if err != nil {
			return err
		}
		r.Pause.For = left(now, pause, oauth.LongestPause)
		r.Granted = r.Version <= l.Seen && r.Pause.For == 0 && (holder == "" || holder == l.Holder || left(now, held, l.For) == 0)
		if !r.Granted {
			return nil
		}
		_, err = tx.Exec(ctx, `UPDATE tokens SET holder = $4, held_until = $5, changed_at = $6`+tokenWhere, tokenArgs(k, l.Holder, now+l.For.Milliseconds(), now)...)
		return err
	})
	if err != nil {
		return oauth.Record{}, fmt.Errorf("lease token of %s: %w", k, err)
	}
	return r, nil
}

// left is how long it is until a time, or 0 if that is past or farther than most.
func left(now, until int64, most time.Duration) time.Duration {
	d := time.Duration(until-now) * time.Millisecond
	if until <= now || d > most {
		return 0
	}
	return d
}

// ExtendLease implements oauth.TokenStore.
func (s *Store) ExtendLease(ctx context.Context, k oauth.Key, l oauth.Lease) (bool, error) {
	n, err := s.exec(ctx, `UPDATE tokens SET held_until = c.now + $5 FROM `+ours+` c`+tokenWhere+` AND holder = $4 AND holder <> ''`, tokenArgs(k, l.Holder, l.For.Milliseconds())...)
	if err != nil {
		return false, fmt.Errorf("extend lease of token of %s: %w", k, err)
	}
	return n == 1, nil
}

// SaveToken implements oauth.TokenStore.
func (s *Store) SaveToken(ctx context.Context, k oauth.Key, holder string, t oauth.Sealed) (version int64, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `UPDATE tokens SET version = version + 1, sealed = $5, expires_at = $6, holder = '', held_until = 0, pause_until = 0,
			failures = 0, reason = '', changed_at = c.now FROM `+ours+` c`+tokenWhere+` AND holder = $4 AND holder <> '' RETURNING version`,
			tokenArgs(k, holder, t.Bytes, millis(t.Expires))...).Scan(&version)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("save token of %s: %w", k, err)
	}
	return version, nil
}

// ReleaseToken implements oauth.TokenStore.
func (s *Store) ReleaseToken(ctx context.Context, k oauth.Key, holder string, p oauth.Pause) error {
	_, err := s.exec(ctx, `UPDATE tokens SET holder = '', held_until = 0, pause_until = c.now + $5, failures = $6, reason = $7, changed_at = c.now
		FROM `+ours+` c`+tokenWhere+` AND holder = $4 AND holder <> ''`, tokenArgs(k, holder, p.For.Milliseconds(), p.Failures, p.Reason)...)
	if err != nil {
		return fmt.Errorf("give back lease of token of %s: %w", k, err)
	}
	return nil
}

// DeleteTokens implements oauth.TokenStore.
func (s *Store) DeleteTokens(ctx context.Context, site, connection string) error {
	if _, err := s.exec(ctx, `DELETE FROM tokens WHERE site = $1 AND connection = $2`, site, connection); err != nil {
		return fmt.Errorf("delete tokens of %s/%s: %w", site, connection, err)
	}
	return nil
}

// PurgeTokens implements oauth.TokenStore. What has no token yet goes by when it last changed.
func (s *Store) PurgeTokens(ctx context.Context, before time.Time) (int, error) {
	n, err := s.exec(ctx, `DELETE FROM tokens WHERE coalesce(expires_at, changed_at) <= $1 AND changed_at <= $1`, millis(before))
	if err != nil {
		return 0, fmt.Errorf("purge tokens: %w", err)
	}
	return int(n), nil
}
