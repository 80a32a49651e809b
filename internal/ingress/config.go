package ingress

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// Config is how to listen. Whether plain HTTP is allowed on an address is decided by
// the configuration's check, not here.
type Config struct {
	// Public is the data plane's address, such as ":443".
	Public string
	// HTTP is the address for ACME and for redirects of pages; empty: none.
	HTTP   string
	TLS    TLS
	Behind Behind
	// SDK is the port for SDKs that take no address; nil: none.
	SDK *SDK
	// Limits have safe defaults where they are zero.
	Limits Limits
	Log    *slog.Logger
	// Now is the wall clock; nil: time.Now.
	Now func() time.Time
	// Ready adds a condition to /readyz: an error makes it red. It must be quick. The
	// text of the error goes to the log only.
	Ready func(ctx context.Context) error
	// Refused is told of refusals that never became a call of anybody's: of targets that were
	// not acceptable, of requests without a valid key or session, and of foreign pages. Nil: nobody is. It must
	// be quick, because strangers can make any number.
	Refused func(ctx context.Context, r Refusal)
	// Degraded names what the gate does without for the moment, for the body of /readyz; it
	// stays green. Nil: nothing. It must be quick.
	Degraded func() []string
}

// TLS says where certificates come from. The zero value serves nothing: Open refuses it.
type TLS struct {
	// Off serves plain HTTP: on loopback, or behind a named proxy.
	Off bool
	// CertFile and KeyFile are PEM files, read again when they change.
	CertFile, KeyFile string
	// Auto gets certificates by ACME for the snapshot's Hosts and for no other name.
	Auto *Auto
}

// Auto is how to get certificates by ACME (RFC 8555), by tls-alpn-01 on the listeners of
// Config and by http-01 on Config.HTTP. Turning it on accepts the CA's terms.
type Auto struct {
	// Email is the account's contact; may be empty.
	Email string
	// Directory is the CA's directory URL; empty: Let's Encrypt.
	Directory string
	// Storage is the folder of keys and certificates; it is created for us alone.
	Storage string
	// Client makes the requests to the CA; it must be bound to outbound's
	// infrastructure policy. Required.
	Client *http.Client
	// RenewalRatio is the share of a certificate's life that is left when it is
	// renewed; 0: a third.
	RenewalRatio float64
	// RenewCheck is how often lives are looked at; 0: 10 minutes.
	RenewCheck time.Duration
}

// Behind names the peers that may say who the client is.
type Behind struct {
	From []netip.Prefix
	// Header is the field that they set: X-Forwarded-For, Forwarded, or one with a
	// single address.
	Header string
}

// Limits bound what strangers can take. Zero fields mean the default in brackets.
type Limits struct {
	HeaderTime time.Duration // from the first byte of a head to its last [10 s]
	BodyIdle   time.Duration // between two bytes of a body [10 s]
	ReadTotal  time.Duration // whole request [60 s]
	WriteIdle  time.Duration // for 64 KiB of a reply to be taken [20 s]
	Idle       time.Duration // connection without a request [75 s]
	Handshake  time.Duration // TLS [10 s]
	Reply      time.Duration // one HTTP/2 stream from its head to the end of the reply [120 s]
	Drain      time.Duration // graceful shutdown [30 s]

	Body        int64 // bytes [1 MiB]; the caller's own limit may be smaller
	Bodies      int64 // bytes of all large bodies in memory together [128 MiB]
	Connections int   // per server [8192]
	PerPrefix   int   // connections per client prefix, v4 /24 and v6 /56 [512]; named proxies are exempt
}

func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&l.HeaderTime, 10*time.Second)
	def(&l.BodyIdle, 10*time.Second)
	def(&l.ReadTotal, 60*time.Second)
	def(&l.WriteIdle, 20*time.Second)
	def(&l.Idle, 75*time.Second)
	def(&l.Handshake, 10*time.Second)
	def(&l.Reply, 120*time.Second)
	def(&l.Drain, 30*time.Second)
	if l.Body <= 0 {
		l.Body = 1 << 20
	}
	if l.Bodies <= 0 {
		l.Bodies = 128 << 20
	}
	if l.Connections <= 0 {
		l.Connections = 8192
	}
	if l.PerPrefix <= 0 {
		l.PerPrefix = 512
	}
	return l
}

// The bounds of a head (security reference §5.2); they are not configurable.
const (
	maxTarget  = 8 << 10
	maxHead    = 16 << 10 // header lines, without the request line
	maxFields  = 100
	maxStreams = 100
	maxTunnels = 1024 // connections of the SDK port
)
