package servers_test

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"sallyport/test/servers"
	"sallyport/test/stand"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Ending(m)) }

func TestPostgresStopsAndComesBack(t *testing.T) {
	p := servers.StartPostgres(t, servers.PostgresOptions{Durable: true})
	db := p.Database(t)
	p.Exec(t, db, "CREATE TABLE kept (n int)")
	p.Exec(t, db, "INSERT INTO kept VALUES (1)")
	for what, end := range map[string]func(){"stop": p.Stop, "crash": p.Crash} {
		end()
		if c, err := net.DialTimeout("tcp", strings.Split(strings.TrimPrefix(p.URL(""), "postgres://sallyport@"), "/")[0], time.Second); err == nil {
			c.Close()
			t.Errorf("after %s something listens still", what)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, p.DSN(db)+"?sslmode=disable"); n != 1 {
			t.Errorf("after %s: %d rows, want 1", what, n)
		}
	}
	if n := count(t, p.SocketURL(db)); n != 1 {
		t.Errorf("over the unix socket: %d rows", n)
	}
}

func count(t *testing.T, dsn string) (n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context()))
	if err := c.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPostgresAsksForThePasswordAndOffersTLS(t *testing.T) {
	cert, key, ca, err := stand.ServerFiles(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	p := servers.StartPostgres(t, servers.PostgresOptions{Certificate: cert, Key: key})
	file := t.TempDir() + "/ca.pem"
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.Connect(t.Context(), strings.Replace(p.DSN("postgres"), p.Password, "wrong", 1)); err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("with a wrong password: %v", err)
	}
	c, err := pgx.Connect(t.Context(), p.DSN("postgres")+"?sslmode=verify-full&sslrootcert="+file)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context()))
}

func TestSharedServersAreOne(t *testing.T) {
	p := servers.SharedPostgres(t)
	if again := servers.SharedPostgres(t); again != p {
		t.Error("two PostgreSQL servers")
	}
	a, b := p.Database(t), p.Database(t)
	p.Exec(t, a, "CREATE TABLE kept (n int)")
	p.Exec(t, b, "CREATE TABLE kept (n int)")
	r := servers.SharedRedis(t)
	if info, err := os.Stat(r.Socket()); err != nil || info.Mode()&os.ModeSocket == 0 {
		t.Errorf("redis socket: %v, %v", info, err)
	}
}

func TestRedisHangsAndComesBack(t *testing.T) {
	r := servers.StartRedis(t)
	r.Pause()
	c, err := net.Dial("tcp", r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = c.Write([]byte("PING\r\n"))
	if n, err := c.Read(make([]byte, 8)); err == nil {
		t.Errorf("a paused server answered %d bytes", n)
	}
	r.Resume()
	r.Stop()
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
}
