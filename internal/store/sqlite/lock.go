package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// lock is an exclusive lock between processes, which ends with the process however it
// dies: an open exclusive transaction on a database file of its own. That is the lock
// SQLite itself relies on, on every system it runs on.
type lock struct {
	db   *sql.DB
	conn *sql.Conn
}

// takeLock waits at most as long as wait says for the lock called path.
func takeLock(ctx context.Context, path string, wait time.Duration) (*lock, error) {
	if err := touch(path); err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path,
		RawQuery: fmt.Sprintf("_pragma=busy_timeout(%d)&_pragma=journal_mode(MEMORY)", wait.Milliseconds())}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	conn, err := db.Conn(ctx)
	if err == nil {
		_, err = conn.ExecContext(ctx, "BEGIN EXCLUSIVE")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take lock: %w", err), db.Close())
	}
	return &lock{db: db, conn: conn}, nil
}

func (l *lock) release() error {
	_, err := l.conn.ExecContext(context.Background(), "ROLLBACK")
	if err = errors.Join(err, l.conn.Close(), l.db.Close()); err != nil {
		return fmt.Errorf("release lock: %w", err)
	}
	return nil
}
