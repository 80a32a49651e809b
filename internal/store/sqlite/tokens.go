package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/oauth"
)

const tokenWhere = ` WHERE site = ? AND connection = ? AND name = ?`

func tokenArgs(k oauth.Key, after ...any) []any {
	return append([]any{k.Site, k.Connection, k.Name}, after...)
}

// LeaseToken implements oauth.TokenStore. A lease or a pause that ends later than any can is
// one of a clock that was wrong, and does not count.
func (s *Store) LeaseToken(ctx context.Context, k oauth.Key, l oauth.Lease) (r oauth.Record, err error) {
	err = s.writer.do(ctx, func(tx *tx) error {
		now := s.now()
		n, err := exec(tx, `INSERT INTO tokens (site, connection, name, holder, held_until, changed_at) VALUES (?1, ?2, ?3, ?4, ?6 + ?7, ?6)
			ON CONFLICT DO UPDATE SET holder = ?4, held_until = ?6 + ?7, changed_at = ?6
			WHERE version <= ?5 AND (holder IN ('', ?4) OR held_until NOT BETWEEN ?6 + 1 AND ?6 + ?7) AND pause_until NOT BETWEEN ?6 + 1 AND ?6 + ?8`,
			tokenArgs(k, l.Holder, l.Seen, millis(now), l.For.Milliseconds(), oauth.LongestPause.Milliseconds())...)
		if err != nil {
			return err
		}
		r, err = scanToken(tx.QueryRow(`SELECT version, sealed, pause_until, failures, reason FROM tokens`+tokenWhere, tokenArgs(k)...), now)
		r.Granted = n == 1
		return err
	})
	if err != nil {
		return oauth.Record{}, fmt.Errorf("lease token of %s: %w", k, err)
	}
	return r, nil
}

func scanToken(row *sql.Row, now time.Time) (r oauth.Record, err error) {
	var until sql.NullInt64
	if err = row.Scan(&r.Version, &r.Sealed, &until, &r.Pause.Failures, &r.Pause.Reason); err != nil {
		return oauth.Record{}, err
	}
	if left := moment(until).Sub(now); left > 0 && left <= oauth.LongestPause {
		r.Pause.For = left
	}
	return r, nil
}

// ExtendLease implements oauth.TokenStore.
func (s *Store) ExtendLease(ctx context.Context, k oauth.Key, l oauth.Lease) (bool, error) {
	n, err := s.token(ctx, `UPDATE tokens SET held_until = ?4 + ?5 WHERE site = ?1 AND connection = ?2 AND name = ?3 AND holder = ?6 AND holder <> ''`,
		tokenArgs(k, millis(s.now()), l.For.Milliseconds(), l.Holder)...)
	if err != nil {
		return false, fmt.Errorf("extend lease of token of %s: %w", k, err)
	}
	return n == 1, nil
}

// SaveToken implements oauth.TokenStore.
func (s *Store) SaveToken(ctx context.Context, k oauth.Key, holder string, t oauth.Sealed) (version int64, err error) {
	err = s.writer.do(ctx, func(tx *tx) error {
		err := tx.QueryRow(`UPDATE tokens SET version = version + 1, sealed = ?5, expires_at = ?6, holder = '', held_until = 0, pause_until = 0,
			failures = 0, reason = '', changed_at = ?7 WHERE site = ?1 AND connection = ?2 AND name = ?3 AND holder = ?4 AND holder <> '' RETURNING version`,
			tokenArgs(k, holder, t.Bytes, millis(t.Expires), millis(s.now()))...).Scan(&version)
		if errors.Is(err, sql.ErrNoRows) {
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
	_, err := s.token(ctx, `UPDATE tokens SET holder = '', held_until = 0, pause_until = ?5 + ?6, failures = ?7, reason = ?8, changed_at = ?5
		WHERE site = ?1 AND connection = ?2 AND name = ?3 AND holder = ?4 AND holder <> ''`,
		tokenArgs(k, holder, millis(s.now()), p.For.Milliseconds(), p.Failures, p.Reason)...)
	if err != nil {
		return fmt.Errorf("give back lease of token of %s: %w", k, err)
	}
	return nil
}

// DeleteTokens implements oauth.TokenStore.
func (s *Store) DeleteTokens(ctx context.Context, site, connection string) error {
	if _, err := s.token(ctx, `DELETE FROM tokens WHERE site = ? AND connection = ?`, site, connection); err != nil {
		return fmt.Errorf("delete tokens of %s/%s: %w", site, connection, err)
	}
	return nil
}

// PurgeTokens implements oauth.TokenStore. What has no token yet goes by when it last changed.
func (s *Store) PurgeTokens(ctx context.Context, before time.Time) (int, error) {
	return s.purge(ctx, "tokens", `DELETE FROM tokens WHERE coalesce(expires_at, changed_at) <= ?1 AND changed_at <= ?1`, before)
}

// token runs one statement.
func (s *Store) token(ctx context.Context, statement string, args ...any) (n int64, err error) {
	err = s.writer.do(ctx, func(tx *tx) (err error) {
		n, err = exec(tx, statement, args...)
		return err
	})
	return n, err
}
