package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// connConfig is one connection. Nothing of it comes from the environment or from files in
// the home of whoever runs the gate (PGHOST, .pgpass, …): the file names the database.
func (s *Store) connConfig() (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig("host=localhost sslmode=disable passfile='' application_name=sallyport")
	if err != nil {
		return nil, fmt.Errorf("prepare connection: %w", err)
	}
	c.Host, c.Port, c.Database, c.User = s.o.Host, uint16(s.o.Port), s.o.Database, s.o.User
	if s.o.Socket != "" {
		c.Host = s.o.Socket
	}
	c.Password, c.TLSConfig, c.Fallbacks = string(s.o.Password.Expose()), s.o.TLS, nil
	c.ConnectTimeout, c.ValidateConnect, c.AfterConnect = 3*time.Second, nil, nil
	// The name goes to the dialler as it is: it looks it up and judges the address itself.
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := s.o.Dial(ctx, network, address)
		if err != nil { // a problem of the way to the database is not one of a provider
			return nil, errors.New(err.Error())
		}
		return conn, nil
	}
	c.RuntimeParams = map[string]string{
		"application_name": "sallyport", "synchronous_commit": "on", "statement_timeout": "3000", "lock_timeout": "2000",
		"idle_in_transaction_session_timeout": "5000", "default_transaction_isolation": "read committed",
	}
	return c, nil
}

func (s *Store) poolConfig() (*pgxpool.Config, error) {
	conn, err := s.connConfig()
	if err != nil {
		return nil, err
	}
	c, err := pgxpool.ParseConfig("host=localhost sslmode=disable passfile=''")
	if err != nil {
		return nil, fmt.Errorf("prepare connections: %w", err)
	}
	c.ConnConfig = conn
	c.MaxConns, c.MinConns = maxConnections, 0
	if s.o.Role == Tool {
		c.MaxConns = 2
	}
	c.MaxConnIdleTime, c.MaxConnLifetime, c.MaxConnLifetimeJitter = 5*time.Minute, time.Hour, 5*time.Minute
	c.HealthCheckPeriod = 30 * time.Second
	return c, nil
}

// tx runs fn in a transaction and returns when it is durable, or failed and left nothing.
// fn may run a second time, after a deadlock, and must only use tx.
func (s *Store) tx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return fn(ctx, tx) })
		if !again(err) || attempt == 2 {
			return err
		}
	}
}

// again says whether the database undid a transaction because of another one.
func again(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "40001")
}

// exec runs one statement in a transaction of its own and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, query string, args ...any) (int64, error) {
	var n int64
	err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, query, args...)
		n = tag.RowsAffected()
		return err
	})
	return n, err
}

// list reads all rows of a query.
func list[T any](ctx context.Context, s *Store, scan pgx.RowToFunc[T], query string, args ...any) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]T(nil), rows, scan)
}

// one reads one row; found is false where there is none.
func one[T any](ctx context.Context, s *Store, scan pgx.RowToFunc[T], query string, args ...any) (row T, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return row, false, err
	}
	row, err = pgx.CollectOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, false, nil
	}
	return row, err == nil, err
}
