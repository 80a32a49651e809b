package postgres_test

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"sallyport/internal/audit"
	"sallyport/internal/audit/audittest"
	"sallyport/internal/budget"
	"sallyport/internal/egress"
	"sallyport/internal/egress/egresstest"
	"sallyport/internal/grant"
	"sallyport/internal/grant/granttest"
	"sallyport/internal/login"
	"sallyport/internal/login/logintest"
	"sallyport/internal/oauth"
	"sallyport/internal/oauth/oauthtest"
	"sallyport/internal/openid"
	"sallyport/internal/openid/openidtest"
	"sallyport/internal/outbound"
	"sallyport/internal/probe"
	"sallyport/internal/probe/probetest"
	"sallyport/internal/receipt"
	"sallyport/internal/receipt/receipttest"
	"sallyport/internal/secret"
	"sallyport/internal/secret/age"
	"sallyport/internal/secret/age/agetest"
	"sallyport/internal/secret/seal"
	"sallyport/internal/secret/seal/sealtest"
	"sallyport/internal/session"
	"sallyport/internal/session/sessiontest"
	"sallyport/internal/store/postgres"
	"sallyport/internal/webhook"
	"sallyport/internal/webhook/webhooktest"
	"sallyport/test/servers"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // most of these tests wait, and compute nothing
		panic(err)
	}
	goleak.VerifyTestMain(servers.Ending(m))
}

// options name a database of a server over loopback.
func options(p *servers.Postgres, database string) postgres.Options {
	d := outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyInfrastructure})
	return postgres.Options{Host: "127.0.0.1", Port: p.Port, Database: database, User: "sallyport",
		Password: secret.NewValue([]byte(p.Password)), Dial: d.DialContext, Role: postgres.Serve, Shares: true, Name: "test"}
}

func open(t *testing.T, o postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// template is the database that empty ones are copied from: its schema is up to date.
var template struct {
	once sync.Once
	name string
}

// empty makes an empty database whose schema is up to date.
func empty(t *testing.T, p *servers.Postgres) string {
	t.Helper()
	template.once.Do(func() {
		o := options(p, "template_gate")
		o.Role = postgres.Tool
		p.Exec(t, "postgres", "CREATE DATABASE template_gate")
		s, err := postgres.Open(t.Context(), o)
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		template.name = o.Database
	})
	return p.Copy(t, template.name)
}

// TestConformance runs the suites over one node, whose database is emptied for each test.
func TestConformance(t *testing.T) {
	p := servers.SharedPostgres(t)
	database := empty(t, p)
	s := open(t, options(p, database))
	fresh := func(t *testing.T) *postgres.Store {
		t.Helper()
		p.Exec(t, database, emptied)
		return s
	}
	t.Run("session.KeyStore", func(t *testing.T) {
		sessiontest.KeyStore(t, func(t *testing.T) session.KeyStore { return fresh(t) })
	})
	t.Run("session.SiteKeyStore", func(t *testing.T) {
		sessiontest.SiteKeyStore(t, func(t *testing.T) session.SiteKeyStore { return fresh(t) })
	})
	t.Run("session.ApplicationStore", func(t *testing.T) {
		sessiontest.ApplicationStore(t, func(t *testing.T) session.ApplicationStore { return fresh(t) })
	})
	t.Run("session.RevocationStore", func(t *testing.T) {
		sessiontest.RevocationStore(t, func(t *testing.T) session.RevocationStore { return fresh(t) })
	})
	t.Run("openid.KeyStore", func(t *testing.T) {
		openidtest.KeyStore(t, func(t *testing.T) openid.KeyStore { return fresh(t) })
	})
	t.Run("login.Store", func(t *testing.T) {
		logintest.Store(t, func(t *testing.T) login.Store { return fresh(t) })
	})
	t.Run("grant.Store", func(t *testing.T) {
		granttest.Store(t, func(t *testing.T) grant.Store { return fresh(t) })
	})
	t.Run("webhook.Store", func(t *testing.T) {
		webhooktest.Store(t, func(t *testing.T) webhook.Store { return fresh(t) })
	})
	t.Run("egress.Idempotency", func(t *testing.T) {
		egresstest.Idempotency(t, func(t *testing.T) egress.Idempotency { return fresh(t) })
	})
	t.Run("egress.OwnedStore", func(t *testing.T) {
		egresstest.OwnedStore(t, func(t *testing.T) egress.OwnedStore { return fresh(t) })
	})
	t.Run("age.Store", func(t *testing.T) {
		agetest.Store(t, func(t *testing.T) age.Store { return fresh(t) })
	})
	t.Run("probe.Store", func(t *testing.T) {
		probetest.Store(t, func(t *testing.T) probe.Store { return fresh(t) })
	})
	t.Run("oauth.TokenStore", func(t *testing.T) {
		oauthtest.TokenStore(t, func(t *testing.T) oauth.TokenStore { return fresh(t) })
	})
	t.Run("egress.Permits", func(t *testing.T) {
		egresstest.Permits(t, func(t *testing.T) egress.Permits { return fresh(t) })
	})
	t.Run("receipt.Store", func(t *testing.T) {
		receipttest.Store(t, func(t *testing.T) receipt.Store { return fresh(t) })
	})
	t.Run("budget.Store", func(t *testing.T) {
		egresstest.Budgets(t, func(t *testing.T) budget.Store { return fresh(t) })
	})
	t.Run("egress.FreezeStore", func(t *testing.T) {
		egresstest.FreezeStore(t, func(t *testing.T) egress.FreezeStore { return fresh(t) })
	})
	t.Run("audit.AdminEvents", func(t *testing.T) {
		audittest.AdminEvents(t, func(t *testing.T) audit.AdminEvents { return fresh(t) })
	})
	t.Run("seal.RotatingStore", func(t *testing.T) {
		sealtest.RotatingStore(t, func(t *testing.T) seal.RotatingStore { return fresh(t) })
	})
}

// emptied removes every row but those of nodes and changes, which belong to the node that runs.
const emptied = `DO $$ DECLARE every text; BEGIN
	SELECT string_agg(quote_ident(tablename), ', ') INTO every FROM pg_tables
		WHERE schemaname = 'public' AND tablename NOT IN ('nodes', 'changes', 'goose_db_version');
	EXECUTE 'TRUNCATE ' || every;
END $$`

// lines is a log that a test reads.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// cutter is a way to the database that a test can cut.
type cutter struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return nil, net.ErrClosed
	}
	d := outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyInfrastructure})
	conn, err := d.DialContext(ctx, network, address)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

// set cuts all connections, or lets new ones come about.
func (c *cutter) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for _, conn := range c.conns {
			_ = conn.Close()
		}
		c.conns = nil
	}
}
