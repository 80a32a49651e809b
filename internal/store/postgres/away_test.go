package postgres_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/secret"
	"sallyport/internal/store/postgres"
	"sallyport/test/servers"
	"sallyport/test/stand"
)

// TestDatabaseRestarts: while it is away everything fails soon and closed; afterwards the
// node goes on by itself, and nothing that was acknowledged is lost.
func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	p := servers.StartPostgres(t, servers.PostgresOptions{Durable: true})
	s := open(t, options(p, p.Database(t)))
	w := watchOf(t, s)
	ends := map[string]func(){"crash": p.Crash}
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		ends["stop"] = p.Stop
	}
	for name, end := range ends {
		begin(t, s, name)
		must(t, s.FinishRepeat(t.Context(), key(name), []byte(name), time.Now().Add(time.Hour)))
		end()
		eventually(t, 1500*time.Millisecond, "nothing passes after "+name, func() bool { return !passes(w) })
		began := time.Now()
		if _, _, err := s.BeginRepeat(t.Context(), key("x"), want(), time.Now()); err == nil || time.Since(began) > 6*time.Second {
			t.Errorf("%s: a call began, or waited %s: %v", name, time.Since(began), err)
		} else if strings.Contains(err.Error(), p.Password) {
			t.Errorf("the password stands in an error: %v", err)
		}
		must(t, p.Start())
		eventually(t, 5*time.Second, "calls pass again after "+name, func() bool { return passes(w) })
		if first, known := begin(t, s, name); first || string(known.Sealed) != name {
			t.Errorf("%s: what was acknowledged: first=%v, %+v", name, first, known)
		}
	}
}

// TestHangingDatabase: somebody else's lock costs a call its statement, not the gate.
func TestHangingDatabase(t *testing.T) {
	t.Parallel()
	p := servers.SharedPostgres(t)
	o := options(p, empty(t, p))
	s := open(t, o)
	c, err := pgx.Connect(t.Context(), p.DSN(o.Database)+"?sslmode=disable")
	must(t, err)
	defer c.Close(context.WithoutCancel(t.Context()))
	tx, err := c.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE repeats IN ACCESS EXCLUSIVE MODE")
	must(t, err)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range 18 { // more than the pool has connections
		wg.Go(func() {
			if _, _, err := s.BeginRepeat(context.Background(), key(string(rune('a'+i))), want(), time.Now()); err == nil {
				t.Error("a call began under a lock")
			}
		})
	}
	time.Sleep(1500 * time.Millisecond)
	if !passes(watchOf(t, s)) {
		t.Error("calls that wait for the database took the node's lease")
	}
	wg.Wait()
	if took := time.Since(began); took > 9*time.Second {
		t.Errorf("the last call waited %s", took)
	}
	must(t, tx.Rollback(t.Context()))
	if first, _ := begin(t, s, "afterwards"); !first {
		t.Error("not first afterwards")
	}
}

func TestOpenTogether(t *testing.T) {
	t.Parallel()
	p := servers.SharedPostgres(t)
	o := options(p, p.Database(t)) // no schema yet
	errs := make(chan error)
	for range 6 {
		go func() {
			s, err := postgres.Open(context.Background(), o)
			if err == nil {
				err = s.Close()
			}
			errs <- err
		}()
	}
	for range 6 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestRefusesToOpen(t *testing.T) {
	t.Parallel()
	p := servers.SharedPostgres(t)
	good := options(p, empty(t, p))
	newer := options(p, empty(t, p))
	p.Exec(t, newer.Database, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)")
	tests := []struct {
		name   string
		change func(o *postgres.Options)
		want   string
	}{
		{"a newer schema", func(o *postgres.Options) { o.Database = newer.Database }, "newer program"},
		{"a wrong password", func(o *postgres.Options) { o.Password = secret.NewValue([]byte("wrong")) }, "password authentication failed"},
		{"no such database", func(o *postgres.Options) { o.Database = "none" }, "does not exist"},
		{"another machine in clear text", func(o *postgres.Options) { o.Host = "192.0.2.1" }, "would not be encrypted"},
		{"a port where nobody listens", func(o *postgres.Options) { o.Port = 1 }, "connect"},
		{"no user", func(o *postgres.Options) { o.User = "" }, "required"},
		{"TLS from a server without", func(o *postgres.Options) { o.TLS = &tls.Config{ServerName: "127.0.0.1"} }, "TLS"},
	}
	for _, test := range tests {
		o := good
		test.change(&o)
		s, err := postgres.Open(t.Context(), o)
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), p.Password) {
			t.Errorf("%s: %v; want %q", test.name, err, test.want)
		}
	}
}

func TestSocketAndTLS(t *testing.T) {
	t.Parallel()
	cert, private, ca, err := stand.ServerFiles(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "localhost", "127.0.0.1")
	must(t, err)
	p := servers.StartPostgres(t, servers.PostgresOptions{Certificate: cert, Key: private})
	o := options(p, p.Database(t))
	o.Role = postgres.Tool
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	o.TLS = &tls.Config{ServerName: "127.0.0.1", RootCAs: roots, MinVersion: tls.VersionTLS12}
	must(t, open(t, o).Check(t.Context()))
	for name, bad := range map[string]*tls.Config{
		"another authority": {ServerName: "127.0.0.1", RootCAs: x509.NewCertPool()}, "another name": {ServerName: "db.internal", RootCAs: roots},
	} {
		o.TLS = bad
		if _, err := postgres.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v", name, err)
		}
	}
	o.TLS, o.Host, o.Socket, o.Password = nil, "", p.Dir, secret.Value{}
	must(t, open(t, o).Check(t.Context()))
}

// TestEnvironmentIsNotRead: what libpq would take from the environment changes nothing.
func TestEnvironmentIsNotRead(t *testing.T) {
	p := servers.SharedPostgres(t)
	o := options(p, empty(t, p))
	for name, value := range map[string]string{"PGHOST": "192.0.2.1", "PGPORT": "1", "PGUSER": "nobody", "PGPASSWORD": "wrong", "PGDATABASE": "none",
		"PGOPTIONS": "-c statement_timeout=1", "PGSSLMODE": "verify-full", "PGTARGETSESSIONATTRS": "standby", "PGTZ": "Nowhere/None"} {
		t.Setenv(name, value)
	}
	must(t, open(t, o).Check(t.Context()))
}
