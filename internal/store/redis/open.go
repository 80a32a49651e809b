package redis

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"sallyport/internal/secret"
)

const (
	// DefaultTimeout bounds one question, its connection and its answer.
	DefaultTimeout = 50 * time.Millisecond
	// KeySize is the least length of the key that names are hashed with.
	KeySize = 32

	// connectTimeout bounds the first questions of a start, and the probes of a Redis that
	// was away: they may be slow, nobody waits for them.
	connectTimeout = 2 * time.Second
	poolSize       = 48
	idleSize       = 4
)

// Options say where Redis is. Address, Dial and Key are required.
type Options struct {
	// Address is host:port.
	Address string
	// Dial connects; TLS is put on top where it is not nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	TLS  *tls.Config
	// User and Password of Redis; a nil Password means that none is asked for. It is read
	// for each connection, so that a changed one needs no restart.
	User     string
	Password func(ctx context.Context) (secret.Value, error)
	Database int
	// Key hashes names: 32 secret bytes, the same on all nodes of an installation.
	Key []byte
	// Timeout bounds one question; 0: DefaultTimeout.
	Timeout time.Duration
	Log     *slog.Logger // nil: nothing is logged
}

// Server is one Redis. It is safe for concurrent use. Run watches it.
type Server struct {
	client *redis.Client
	o      Options
	prefix string
	link   link
}

// Open makes a Server and asks it who it is. A Redis that does not answer is no error: the
// Server begins away, and its users do what they do then. An error means that waiting will
// not help: the password or the certificate is refused, it is a replica that takes no
// writes, or no Redis at all.
func Open(ctx context.Context, o Options) (*Server, error) {
	if o.Address == "" || o.Dial == nil || len(o.Key) < KeySize {
		return nil, errors.New("open redis: an address, a way to dial and a key of 32 bytes are required")
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	redis.SetLogger(silent{})
	s := &Server{o: o, prefix: "sallyport:" + installation(o.Key) + ":", client: newClient(o)}
	s.link.log = o.Log
	err := s.probe(ctx)
	switch {
	case err == nil:
		s.warn(ctx)
	case lasting(err):
		return nil, errors.Join(fmt.Errorf("open redis %s: %w", o.Address, told(err)), s.Close())
	default:
		s.link.lost(err)
	}
	return s, nil
}

// silent is the library's log, which would go past ours: what its lines tell, the link tells
// once and in our words. It is set for the whole process.
type silent struct{}

// Printf implements the library's interface.
func (silent) Printf(context.Context, string, ...any) {}

// installation tells installations on one Redis apart, and nothing else.
func installation(key []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("sallyport/v1/redis-installation"))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:6])
}

func newClient(o Options) *redis.Client {
	c := &redis.Options{
		Addr: o.Address, DB: o.Database, Protocol: 2, DisableIdentity: true, ClientName: "sallyport",
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		// A question is asked once: a call that was counted and whose answer was lost must
		// not be counted twice.
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: connectTimeout, ReadTimeout: connectTimeout, WriteTimeout: connectTimeout, PoolTimeout: connectTimeout,
		PoolSize: poolSize, MaxActiveConns: poolSize, MinIdleConns: idleSize, PipelinePoolSize: -1,
		ReadBufferSize: 4 << 10, WriteBufferSize: 4 << 10, ConnMaxIdleTime: 5 * time.Minute,
		Dialer: dialer(o),
	}
	if o.Password != nil {
		c.CredentialsProviderContext = func(ctx context.Context) (string, string, error) {
			v, err := o.Password(ctx)
			if err != nil {
				return "", "", fmt.Errorf("read the password of redis: %w", err)
			}
			return o.User, string(v.Expose()), nil
		}
	}
	return redis.NewClient(c)
}

func dialer(o Options) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := o.Dial(ctx, network, address)
		if err != nil || o.TLS == nil {
			return conn, err
		}
		secured := tls.Client(conn, o.TLS)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("tls: %w", err), conn.Close())
		}
		return secured, nil
	}
}

// Close ends the connections. What is asked afterwards fails.
func (s *Server) Close() error { return s.client.Close() }

// probe asks whether Redis would do what is asked of it: it writes.
func (s *Server) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return s.client.Set(ctx, s.prefix+"probe", "1", time.Second).Err()
}

// warn tells of settings that make Redis forget at the wrong moment.
func (s *Server) warn(ctx context.Context) {
	for _, w := range s.Doubts(ctx) {
		s.o.Log.WarnContext(ctx, "configuration", "name", "shared_state", "reason", w)
	}
}

// Doubts are settings of the server that a careful operator would change, in sentences. A
// server that does not tell its settings gives rise to none.
func (s *Server) Doubts(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	info, err := s.client.Info(ctx, "memory").Result()
	if err != nil {
		return nil
	}
	var policy, most string
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "maxmemory_policy":
			policy = value
		case "maxmemory":
			most = value
		}
	}
	if policy == "" || policy == "noeviction" {
		return nil
	}
	when := "if it is given a maxmemory one day"
	if most != "0" && most != "" {
		when = "when its memory is full"
	}
	return []string{fmt.Sprintf("this Redis throws counts away %s (maxmemory-policy %s), and what was used up is free again; set maxmemory-policy noeviction", when, policy)}
}

// name is the key in Redis of what a keyed hash stands for.
func (s *Server) name(kind string, hash []byte) string {
	return s.prefix + kind + ":" + base64.RawURLEncoding.EncodeToString(hash)
}
