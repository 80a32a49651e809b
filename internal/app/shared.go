package app

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/egress"
	"sallyport/internal/guard"
	"sallyport/internal/outbound"
	"sallyport/internal/secret"
	"sallyport/internal/session"
	"sallyport/internal/store/redis"
)

// Limiter counts for this node, or for all of them together.
type Limiter interface {
	egress.Limiter
	session.Limiter
}

// openShared connects to the Redis of the file, where there is one.
func (g *Gate) openShared(ctx context.Context, f *config.File) error {
	g.limits = g.limiter
	if f.SharedState == nil {
		return nil
	}
	key, err := g.hashKeys.shared()
	if err != nil {
		return err
	}
	g.shared, err = OpenShared(ctx, f.SharedState, SharedOptions{Key: key, Secrets: g.secrets, Dialer: g.dialer(), Log: g.log})
	if err != nil {
		return err
	}
	g.onClose(g.shared.Close)
	g.limits = g.shared.Limiter(g.limiter, g.liveNodes)
	g.guards = guard.New(g.limits) // hard limits count over all nodes; shares and runs stay each node's own
	return nil
}

// shared derives the key that names in Redis are hashed with: the nodes of one
// installation have one root key, and so one such key.
func (h *hashKeys) shared() ([]byte, error) {
	key, err := hkdf.Key(sha256.New, h.root.Expose(), nil, "sallyport/v1/shared-state", redis.KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of shared state: %w", err)
	}
	return key, nil
}

// SharedOptions say how a Redis is opened.
type SharedOptions struct {
	Key     []byte
	Secrets secret.Source
	Dialer  *outbound.Dialer
	Log     *slog.Logger // nil: nothing is logged
}

// OpenShared opens the Redis that a file names.
func OpenShared(ctx context.Context, c *config.SharedState, o SharedOptions) (*redis.Server, error) {
	options := redis.Options{Address: c.Address, User: c.User, Database: c.Database, Key: o.Key, Log: o.Log,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return o.Dialer.DialContext(ctx, network, address)
		}}
	if c.Password != (secret.Ref{}) {
		if _, err := o.Secrets.Read(ctx, c.Password); err != nil {
			return nil, fmt.Errorf("read shared_state.password: %w", err)
		}
		options.Password = func(ctx context.Context) (secret.Value, error) { return o.Secrets.Read(ctx, c.Password) }
	}
	if c.TLS {
		options.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.Host}
		if len(c.CA) > 0 {
			options.TLS.RootCAs = x509.NewCertPool()
			if !options.TLS.RootCAs.AppendCertsFromPEM(c.CA) {
				return nil, errors.New("shared_state.ca holds no PEM certificate")
			}
		}
	}
	return redis.Open(ctx, options)
}

// degraded is what /readyz tells beside "ready": a node without Redis still serves, with its
// share of the limits. Were it red, an outage of Redis would take all nodes away at once.
func (g *Gate) degraded() []string {
	if g.shared == nil {
		return nil
	}
	if _, err := g.shared.Away(); err != nil {
		return []string{"shared_state"}
	}
	return nil
}

// Nodes is a store that several nodes serve from.
type Nodes interface {
	// Crew is which of the live nodes this one is, how many there are, and since when it is
	// one of them. It must be quick.
	Crew() (index, live int, since time.Time)
}

// liveNodes is how many nodes share the limits; at least one.
func (g *Gate) liveNodes() int {
	if n, ok := g.store.(Nodes); ok {
		_, live, _ := n.Crew()
		return max(1, live)
	}
	return 1
}

// crew tells the way out which share of a provider's limits is this node's; nil where the
// store is this node's own.
func (g *Gate) crew() func() outbound.Crew {
	n, ok := g.store.(Nodes)
	if !ok {
		return nil
	}
	return func() outbound.Crew {
		index, live, since := n.Crew()
		return outbound.Crew{Index: index, Live: live, Since: since}
	}
}
