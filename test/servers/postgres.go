package servers

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions say how a server runs. The zero value is fast and loses data in a power cut.
type PostgresOptions struct {
	// Durable turns fsync on, for tests of what survives.
	Durable bool
	// Settings are further lines of its configuration, such as "max_connections": "20".
	Settings map[string]string
	// Certificate and Key are PEM: with them the server offers TLS.
	Certificate, Key []byte
}

// Postgres is a running PostgreSQL. Its only user is "sallyport", who may do everything
// and needs the password over the network.
type Postgres struct {
	Port     int
	Password string
	Dir      string // holds the data, the log and the unix socket

	program string
	options PostgresOptions
	process *process
}

// postgresFolders are where Debian and others put programs that are not in PATH.
var postgresFolders = []string{"/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/usr/pgsql-*/bin"}

// StartPostgres starts a server of the test's own, which ends with the test.
func StartPostgres(t testing.TB, o PostgresOptions) *Postgres {
	t.Helper()
	p := startPostgres(t, o)
	t.Cleanup(p.end)
	return p
}

func startPostgres(t testing.TB, o PostgresOptions) *Postgres {
	t.Helper()
	program, ok := find("postgres", postgresFolders...)
	initdb, also := find("initdb", postgresFolders...)
	if !ok || !also {
		missing(t, "PostgreSQL", "postgresql")
	}
	p := &Postgres{program: program, options: o, Password: rand.Text()}
	if err := p.create(initdb); err != nil {
		p.end()
		t.Fatalf("make a PostgreSQL database: %v", err)
	}
	for attempt := range 3 {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		p.Port = port
		if err = p.Start(); err == nil {
			return p
		}
		if attempt == 2 {
			text := err.Error()
			p.end()
			t.Fatal(text)
		}
	}
	return p
}

func (p *Postgres) create(initdb string) (err error) {
	if p.Dir, err = folder("pg"); err != nil {
		return err
	}
	secret := filepath.Join(p.Dir, "password")
	if err := p.write("password", []byte(p.Password+"\n")); err != nil {
		return err
	}
	cmd, err := command(p.Dir, p.log(), initdb, "-D", p.data(), "-U", "sallyport", "--auth-local=trust", "--auth-host=scram-sha-256",
		"--pwfile="+secret, "-E", "UTF8", "--locale=C", "-N")
	if err != nil {
		return err
	}
	made, err := spawn(cmd)
	if err != nil {
		return err
	}
	<-made.done
	if !cmd.ProcessState.Success() {
		return fmt.Errorf("initdb: %s\n%s", cmd.ProcessState, tail(p.log()))
	}
	if p.options.Certificate == nil {
		return nil
	}
	if err := p.write("server.crt", p.options.Certificate); err != nil {
		return err
	}
	return p.write("server.key", p.options.Key)
}

// write makes a file that the server may read, and nobody else.
func (p *Postgres) write(name string, data []byte) error {
	path := filepath.Join(p.Dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	if who, ok := servant(); ok {
		return os.Chown(path, int(who.uid), int(who.gid))
	}
	return nil
}

func (p *Postgres) data() string { return filepath.Join(p.Dir, "data") }
func (p *Postgres) log() string  { return filepath.Join(p.Dir, "log") }

// Log is the end of what the server printed.
func (p *Postgres) Log() string { return tail(p.log()) }

func (p *Postgres) arguments() []string {
	set := map[string]string{"listen_addresses": "127.0.0.1", "unix_socket_directories": p.Dir, "fsync": "off", "synchronous_commit": "off",
		"full_page_writes": "off", "shared_buffers": "32MB", "max_connections": "100", "log_min_messages": "warning"}
	if p.options.Durable {
		set["fsync"], set["synchronous_commit"], set["full_page_writes"] = "on", "on", "on"
	}
	if p.options.Certificate != nil {
		set["ssl"], set["ssl_cert_file"], set["ssl_key_file"] = "on", filepath.Join(p.Dir, "server.crt"), filepath.Join(p.Dir, "server.key")
	}
	for name, value := range p.options.Settings {
		set[name] = value
	}
	args := []string{"-D", p.data(), "-p", strconv.Itoa(p.Port)}
	for name, value := range set {
		args = append(args, "-c", name+"="+value)
	}
	return args
}

// Start starts a server that was stopped, on the same port, and waits until it answers.
func (p *Postgres) Start() error {
	cmd, err := command(p.Dir, p.log(), p.program, p.arguments()...)
	if err != nil {
		return err
	}
	if p.process, err = spawn(cmd); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if p.process.ended() {
			return fmt.Errorf("PostgreSQL ended at once:\n%s", p.Log())
		}
		if err = p.exec("postgres", "SELECT 1"); err == nil {
			return nil
		}
	}
	return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, p.Log())
}

// Stop ends the server in order; its data stay. Connections are cut.
func (p *Postgres) Stop() { p.process.stop(syscall.SIGINT) }

// Crash ends the server without tidying up, as the end of its process by the system would.
func (p *Postgres) Crash() { p.process.stop(syscall.SIGQUIT) }

func (p *Postgres) end() {
	if p.process != nil && !p.process.ended() {
		p.Stop()
	}
	if p.Dir != "" {
		_ = os.RemoveAll(p.Dir)
	}
}

// URL is the address of a database without the password, over loopback.
func (p *Postgres) URL(database string) string {
	return fmt.Sprintf("postgres://sallyport@127.0.0.1:%d/%s", p.Port, database)
}

// SocketURL is the address of a database over the unix socket, where no password is asked for.
func (p *Postgres) SocketURL(database string) string {
	return fmt.Sprintf("postgres://sallyport@/%s?host=%s&port=%d", database, url.QueryEscape(p.Dir), p.Port)
}

// DSN is URL with the password.
func (p *Postgres) DSN(database string) string {
	return strings.Replace(p.URL(database), "sallyport@", "sallyport:"+p.Password+"@", 1)
}

// Database makes an empty database that goes with the test, and returns its name.
func (p *Postgres) Database(t testing.TB) string { t.Helper(); return p.Copy(t, "template1") }

// Copy makes a copy of a database that nobody is connected to; it goes with the test.
func (p *Postgres) Copy(t testing.TB, of string) string {
	t.Helper()
	name := "t_" + strings.ToLower(rand.Text()[:16])
	if err := p.exec("postgres", "CREATE DATABASE "+name+" TEMPLATE "+of); err != nil {
		t.Fatalf("make database: %v\n%s", err, p.Log())
	}
	t.Cleanup(func() {
		if !p.process.ended() {
			if err := p.exec("postgres", "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
				t.Errorf("drop database: %v", err)
			}
		}
	})
	return name
}

// Exec runs a statement in a database, as somebody beside the gate would.
func (p *Postgres) Exec(t testing.TB, database, statement string) {
	t.Helper()
	if err := p.exec(database, statement); err != nil {
		t.Fatal(err)
	}
}

func (p *Postgres) exec(database, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, p.DSN(database)+"?sslmode=disable")
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%.60s: %w", statement, err)
	}
	return nil
}
