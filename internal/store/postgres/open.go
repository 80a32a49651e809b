package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/secret"
)

// Role says what a process does with the store. The zero Role is a tool.
type Role uint8

// The roles.
const (
	// Tool reads and writes beside serving processes (keys, freeze, thaw).
	Tool Role = iota
	// Serve takes calls: the process is a node.
	Serve
)

// ErrServed is wrapped by Open where another node serves and limits are not shared.
var ErrServed = errors.New("another node serves from this database")

// Options are what Open needs. Host or Socket, Database, User and Dial are required.
type Options struct {
	Host     string // name or address; empty with Socket
	Port     int    // 0: 5432
	Socket   string // folder of the server's unix socket, instead of Host
	Database string
	User     string
	Password secret.Value // empty: the server asks for none (unix socket, client certificate)
	// TLS is required for a Host that is not this machine, unless Private says that the
	// network between is the operator's alone.
	TLS     *tls.Config
	Private bool
	// Dial opens every connection: network is tcp (host:port) or unix (a path).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Role Role
	// Shares says that limits are shared between nodes, so that more than one may serve.
	Shares bool
	// Name tells operators which node it is; empty: no name.
	Name string
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger     // nil: nothing is logged
}

const (
	// maxConnections bounds a node's pool. Beside it a node holds one connection for its lease.
	maxConnections = 16
	// patience bounds everything that is asked of the database for a call.
	patience = 5 * time.Second
)

// Store is an open database. It is safe for concurrent use.
type Store struct {
	o    Options
	pool *pgxpool.Pool
	node *node // nil for a tool
	now  func() time.Time
	log  *slog.Logger

	doubts doubts

	closing sync.Once
}

// Open connects, brings the schema up to date, and for Serve makes the process a node. A
// database that only answers questions (a standby), a schema newer than this program, and a
// second node where limits are not shared are refused.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{o: o, now: o.Now, log: o.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.open(ctx); err != nil {
		_ = s.Close() // what was opened so far; the error that matters is the first
		return nil, fmt.Errorf("open store %s: %w", o.where(), err)
	}
	return s, nil
}

func (o *Options) check() error {
	switch {
	case (o.Host == "") == (o.Socket == ""):
		return errors.New("a host or the folder of a socket is required, not both")
	case o.Database == "" || o.User == "" || o.Dial == nil:
		return errors.New("database, user and a way to dial are required")
	case o.TLS == nil && !o.Private && o.Socket == "" && !local(o.Host):
		return fmt.Errorf("%s is another machine, and the connection to it would not be encrypted", o.Host)
	}
	if o.Port == 0 {
		o.Port = 5432
	}
	return nil
}

// local says whether host is this machine.
func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// where names the database in errors.
func (o *Options) where() string {
	if o.Socket != "" {
		return fmt.Sprintf("postgres://%s@/%s?host=%s", o.User, o.Database, o.Socket)
	}
	return fmt.Sprintf("postgres://%s@%s/%s", o.User, net.JoinHostPort(o.Host, fmt.Sprint(o.Port)), o.Database)
}

func (s *Store) open(ctx context.Context) error {
	c, err := s.poolConfig()
	if err != nil {
		return err
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, c); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := s.writable(ctx); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.o.Role == Serve {
		s.node, err = s.join(ctx)
	}
	return err
}

// writable refuses a server that is too old, or a standby.
func (s *Store) writable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var version int
	var standby bool
	err := s.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, pg_is_in_recovery()`).Scan(&version, &standby)
	switch {
	case err != nil:
		return fmt.Errorf("connect: %w", err)
	case version < 130000:
		return fmt.Errorf("the server is PostgreSQL %d; 13 or newer is needed", version/10000)
	case standby:
		return errors.New("the server is a standby, which takes no writes; name the primary")
	}
	return nil
}

// Close leaves the nodes and closes all connections. Closing twice is no error.
func (s *Store) Close() error {
	s.closing.Do(func() {
		if s.node != nil {
			s.node.leave()
		}
		if s.pool != nil {
			s.pool.Close()
		}
	})
	return nil
}

// Check reports whether the store can be used; for readiness. Of a node it is the lease,
// from memory.
func (s *Store) Check(ctx context.Context) error {
	if s.node != nil {
		return s.node.holds()
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := s.pool.Exec(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("check store: %w", err)
	}
	return nil
}
