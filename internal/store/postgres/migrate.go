package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// turnToMigrate is the advisory lock that one process at a time holds while it migrates.
const turnToMigrate = 0x5a11790727

// migrate brings the schema up to date. Only one process migrates at a time. A schema that
// is newer than this program is refused: an old program would break its rules.
func (s *Store) migrate(ctx context.Context) error {
	if current, err := s.current(ctx); current || err != nil {
		return err
	}
	conn, err := s.connConfig()
	if err != nil {
		return err
	}
	conn.RuntimeParams = maps.Clone(conn.RuntimeParams)
	conn.RuntimeParams["statement_timeout"], conn.RuntimeParams["lock_timeout"] = "120000", "60000"
	conn.RuntimeParams["idle_in_transaction_session_timeout"] = "120000"
	db := stdlib.OpenDB(*conn)
	defer db.Close()
	db.SetMaxOpenConns(2) // one holds the lock
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	p, err := provider(db)
	if err != nil {
		return err
	}
	turn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer turn.Close()
	if _, err := turn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, int64(turnToMigrate)); err != nil {
		return fmt.Errorf("wait for the turn to migrate: %w", err)
	}
	err = up(ctx, p)
	_, unlock := turn.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, int64(turnToMigrate))
	return errors.Join(err, unlock)
}

// current says without a lock whether there is nothing to migrate, which is the usual case.
func (s *Store) current(ctx context.Context) (bool, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(files) == 0 {
		return false, fmt.Errorf("read migrations: %w", err)
	}
	wants, err := goose.NumericComponent(files[len(files)-1]) // they are sorted
	if err != nil {
		return false, fmt.Errorf("read migrations: %w", err)
	}
	is, _, err := one(ctx, s, pgx.RowTo[int64], `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" { // there is no such table: the database is new
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read schema version: %w", err)
	}
	return is == wants, nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

func up(ctx context.Context, p *goose.Provider) error {
	is, wants, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if is > wants {
		return fmt.Errorf("the store has schema %d, this program knows %d: use the newer program again, or restore a backup made before it", is, wants)
	}
	if is == wants {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate schema: %w", err)
	}
	return nil
}
