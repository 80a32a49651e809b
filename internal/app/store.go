package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/budget"
	"sallyport/internal/config"
	"sallyport/internal/egress"
	"sallyport/internal/grant"
	"sallyport/internal/login"
	"sallyport/internal/oauth"
	"sallyport/internal/openid"
	"sallyport/internal/outbound"
	"sallyport/internal/probe"
	"sallyport/internal/receipt"
	"sallyport/internal/secret"
	"sallyport/internal/secret/age"
	"sallyport/internal/secret/seal"
	"sallyport/internal/session"
	"sallyport/internal/store/postgres"
	"sallyport/internal/store/sqlite"
	"sallyport/internal/webhook"
)

// Store is everything that a gate remembers. The packages that use a part of it define the
// part and its conformance suite.
type Store interface {
	session.KeyStore
	session.SiteKeyStore
	session.ApplicationStore
	session.RevocationStore
	egress.FreezeStore
	egress.Idempotency
	egress.OwnedStore
	egress.Permits
	receipt.Store
	openid.KeyStore
	login.Store
	grant.Store
	webhook.Store
	seal.RotatingStore
	budget.Store
	oauth.TokenStore
	age.Store
	probe.Store
	audit.AdminEvents
	// Follow adds what this process does before a change that others make (a freeze, a
	// revocation) is acknowledged; where one process serves, nothing has to be.
	Follow(f func(ctx context.Context) error)
	// Check reports whether the store can be used; for readiness.
	Check(ctx context.Context) error
	Close() error
}

// Every port exists in both stores.
var (
	_ Store = (*sqlite.Store)(nil)
	_ Store = (*postgres.Store)(nil)
)

// StoreOptions say what the store is opened for.
type StoreOptions struct {
	Serve   bool             // take calls; false: beside a gate that may be running
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: nothing is logged
	Secrets secret.Source    // for the password of a database; nil: the file's own
}

// OpenStore opens the store that the file names.
func OpenStore(ctx context.Context, file *config.File, o StoreOptions) (Store, error) {
	if file.Postgres != nil {
		s, err := openPostgres(ctx, file, o)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	role := sqlite.Tool
	if o.Serve {
		role = sqlite.Serve
	}
	s, err := sqlite.Open(ctx, sqlite.Options{Path: file.Store, Role: role, Now: o.Now, Log: o.Log})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// storeName is the store in errors and log lines.
func storeName(file *config.File) string {
	if p := file.Postgres; p != nil {
		return fmt.Sprintf("%s of the database %s:%d", p.Database, cmp.Or(p.Host, p.Socket), p.Port)
	}
	return file.Store
}

func openPostgres(ctx context.Context, file *config.File, o StoreOptions) (*postgres.Store, error) {
	p := file.Postgres
	dialer := outbound.NewDialer(outbound.DialerConfig{Policy: outbound.PolicyInfrastructure})
	options := postgres.Options{
		Host: p.Host, Port: p.Port, Socket: p.Socket, Database: p.Database, User: p.User, Private: p.Private,
		Dial: dialer.DialContext, Shares: file.SharedState != nil, Name: nodeName(), Now: o.Now, Log: o.Log,
	}
	if o.Serve {
		options.Role = postgres.Serve
	}
	if p.TLS {
		options.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: p.Host}
		if p.CA != nil {
			options.TLS.RootCAs = x509.NewCertPool()
			options.TLS.RootCAs.AppendCertsFromPEM(p.CA) // config looked at it
		}
	}
	if p.Password != (secret.Ref{}) {
		secrets := o.Secrets
		if secrets == nil {
			own, err := file.Secrets(ctx)
			if err != nil {
				return nil, err
			}
			defer config.CloseSecrets(own)
			secrets = own
		}
		var err error
		if options.Password, err = secrets.Read(ctx, p.Password); err != nil {
			return nil, fmt.Errorf("open store: the database's password: %w", err)
		}
	}
	return postgres.Open(ctx, options)
}

// nodeName tells operators which node it is.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "a node"
	}
	return fmt.Sprintf("%s, process %d", host, os.Getpid())
}
