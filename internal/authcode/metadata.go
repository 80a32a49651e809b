package authcode

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"sallyport/internal/jws"
)

// How long an issuer's metadata are kept, and how soon they are asked for again after a
// failure.
const (
	metadataFresh = time.Hour
	metadataStale = 24 * time.Hour
	metadataRetry = 5 * time.Second
	metadataTime  = 10 * time.Second
)

// Issuer is an OpenID Connect issuer by its name: its metadata and its keys, fetched when
// they are needed and kept for a while. Safe for concurrent use.
type Issuer struct {
	name string
	way  Way
	now  func() time.Time

	mu     sync.Mutex // held while metadata are fetched: one at a time
	server Server
	keys   *jws.Remote
	got    time.Time
	tried  time.Time
	failed error
}

// NewIssuer makes an Issuer; it fetches nothing yet.
func NewIssuer(name string, way Way, now func() time.Time) *Issuer {
	return &Issuer{name: name, way: way, now: now}
}

// MetadataAddress is where an issuer's metadata lie (OpenID Connect Discovery §4).
func MetadataAddress(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

// Server gives the issuer's metadata and keys. Metadata that cannot be fetched again count
// for a day.
func (i *Issuer) Server(ctx context.Context) (Server, *jws.Remote, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	if i.keys != nil && now.Sub(i.got) < metadataFresh && !now.Before(i.got) {
		return i.server, i.keys, nil
	}
	if i.failed != nil && now.Sub(i.tried) < metadataRetry && !now.Before(i.tried) {
		return i.last(now)
	}
	i.tried = now
	if i.failed = i.fetch(ctx); i.failed == nil {
		i.got = now
	}
	return i.last(now)
}

// last is what is known after a try.
func (i *Issuer) last(now time.Time) (Server, *jws.Remote, error) {
	if i.keys != nil && now.Sub(i.got) < metadataStale {
		return i.server, i.keys, nil
	}
	return Server{}, nil, fmt.Errorf("find the issuer's metadata: %w", errors.Join(i.failed))
}

func (i *Issuer) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), metadataTime)
	defer cancel()
	raw, _, err := Fetch(ctx, i.way, MetadataAddress(i.name))
	if err != nil {
		return err
	}
	server, err := ParseServer(raw, i.name)
	if err != nil {
		return err
	}
	if server.Keys == "" || len(server.Algorithms) == 0 {
		return errors.New("the issuer names no keys, or no algorithm that is read here")
	}
	if i.keys != nil && server.Keys == i.server.Keys {
		i.server = server
		return nil
	}
	keys, err := jws.NewRemote(jws.RemoteOptions{Now: i.now, Accept: server.Accept(),
		Fetch: func(ctx context.Context) ([]byte, time.Duration, error) { return Fetch(ctx, i.way, server.Keys) }})
	if err != nil {
		return err
	}
	i.server, i.keys = server, keys
	return nil
}
