// Package hashivault reads secrets from HashiCorp Vault or OpenBao: vault:MOUNT/PATH#FIELD,
// with ?version=N before the # for an older version of a KV v2 secret.
//
// It guarantees that Vault being sealed, slow, cut off or unwilling changes nothing until
// the TTL of the last good value has passed, and that afterwards Read fails: it never gives
// an empty or an older value. Values are read ahead of their TTL, so that a call waits only
// for the first reading of a secret; however many calls ask at once, one request is made.
// Tokens and leases are renewed before they end, and where that fails the gate logs in
// anew, with credentials that are read again each time. Nothing needs a restart.
//
// A KV v2 secret has two values for a day after a new version was stored: the version before is
// the second one (see Second).
//
// KV v1 and v2 are told apart by asking the mount. Any other engine that answers a read
// works as well; a lease that comes with the answer is the value's TTL.
//
// It does not write secrets, does not make mounts, policies or roles, reads nothing of
// Vault's environment variables, and follows no redirect. It dials by the transport that
// it is given.
package hashivault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"sallyport/internal/secret"
)

const (
	// DefaultTTL is how long a value may be used without Vault.
	DefaultTTL = 5 * time.Minute
	// DefaultTimeout bounds one request to Vault.
	DefaultTimeout = 5 * time.Second
	// maxEntries bounds how many secrets are remembered. They are those that a file names.
	maxEntries = 1024
)

// Options say which Vault is asked, and how.
type Options struct {
	Address   string // scheme, host, port and nothing else
	Namespace string // of Vault Enterprise and OpenBao; empty: none
	Transport *http.Transport
	Auth      Auth
	TTL       time.Duration // 0: DefaultTTL
	Timeout   time.Duration // 0: DefaultTimeout
	// Secrets reads what Auth names; it never is this Source.
	Secrets secret.Source
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Source is a secret.Source for vault: references. It is safe for concurrent use.
type Source struct {
	o    Options
	http *http.Client

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	entries map[string]*entry
	mounts  map[string]mount
	alarms  map[string]*alarm
	runs    bool      // Run was started: trouble is told
	untold  []Trouble // for Run to tell

	login session

	oneOlder sync.Mutex
	olders   map[string]older // the versions before, by key; guarded by oneOlder
}

// Open makes a Source. It connects to nothing: a Vault that is away when the gate starts
// is no reason not to start.
func Open(o Options) (*Source, error) {
	if o.Transport == nil || o.Secrets == nil || o.Address == "" {
		return nil, errors.New("open Vault: address, transport and secrets are needed")
	}
	if err := o.Auth.check(); err != nil {
		return nil, fmt.Errorf("open Vault: %w", err)
	}
	o.fill()
	s := &Source{o: o, entries: map[string]*entry{}, mounts: map[string]mount{}, alarms: map[string]*alarm{}, olders: map[string]older{}}
	s.http = &http.Client{Transport: bounded{o.Transport}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.login.turn = make(chan struct{}, 1)
	if _, err := s.client(secret.Value{}); err != nil {
		s.cancel()
		return nil, err
	}
	return s, nil
}

func (o *Options) fill() {
	if o.TTL <= 0 {
		o.TTL = DefaultTTL
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Close ends what is under way, gives back a token that was got by logging in (its leases
// end with it), and closes connections. It may be called more than once.
func (s *Source) Close() error {
	if s.ctx.Err() != nil {
		return nil
	}
	s.cancel()
	s.work.Wait()
	s.giveBack()
	s.o.Transport.CloseIdleConnections()
	return nil
}

// Read gives the field that ref names. It waits for Vault only where no good value is
// remembered, or where ctx asks for a new one (secret.Anew); at most for the time limit of
// a few requests. Its errors wrap *Failure, and secret.ErrNotFound where Vault answered
// that there is no such secret or field.
func (s *Source) Read(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	n, err := ParseName(ref.Name)
	if err != nil {
		return secret.Value{}, err
	}
	if err := ctx.Err(); err != nil {
		return secret.Value{}, err
	}
	fields, err := s.fields(ctx, n)
	if err != nil {
		return secret.Value{}, err
	}
	v, ok := fields[n.Field]
	if !ok {
		return secret.Value{}, noField(n, fields)
	}
	return v, nil
}
