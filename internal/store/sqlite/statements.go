package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
)

// maxStatements bounds the statements that stay compiled: those of this package are far fewer,
// and the few that are put together as asked (filters) find no place after them.
const maxStatements = 256

// tx is a transaction on the writer's connection. Its statements are compiled once: parsing them
// takes longer than running them. It is used by one goroutine at a time.
type tx struct {
	conn     *sql.Conn
	compiled map[string]*sql.Stmt
}

func newTx(ctx context.Context, db *sql.DB) (*tx, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("open connection to write: %w", err)
	}
	return &tx{conn: conn, compiled: map[string]*sql.Stmt{}}, nil
}

// statement returns the compiled query, or nil where there is no place for it.
func (t *tx) statement(query string) (*sql.Stmt, error) {
	s := t.compiled[query]
	if s != nil || len(t.compiled) >= maxStatements {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err == nil {
		t.compiled[query] = s
	}
	return s, err
}

// Exec runs a statement.
func (t *tx) Exec(query string, args ...any) (sql.Result, error) {
	s, err := t.statement(query)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return t.conn.ExecContext(context.Background(), query, args...)
	}
	return s.Exec(args...)
}

// Query runs a statement that returns rows, which are closed before the next statement.
func (t *tx) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := t.statement(query)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return t.conn.QueryContext(context.Background(), query, args...)
	}
	return s.Query(args...)
}

// QueryRow runs a statement that returns one row.
func (t *tx) QueryRow(query string, args ...any) *sql.Row {
	if s, err := t.statement(query); err == nil && s != nil {
		return s.QueryRow(args...)
	}
	return t.conn.QueryRowContext(context.Background(), query, args...) // says what is wrong with it
}

// drop closes the connection and what was compiled on it. A transaction that is open is undone.
func (t *tx) drop() {
	for _, s := range t.compiled {
		_ = s.Close() // the connection ends with them
	}
	_ = t.conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool closes what is bad
	_ = t.conn.Close()
}
