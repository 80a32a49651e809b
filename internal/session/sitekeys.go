package session

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
)

const (
	// recheckAfter is how long a key that was found is trusted without asking the store
	// again; a revocation by another process holds after that, well within a second.
	recheckAfter = 500 * time.Millisecond

	touchInterval  = time.Minute
	siteKeyEntries = 1 << 14

	// What a caller may present: more values or other lengths are not looked at.
	maxPresented       = 4
	minPresentedLength = 8
	maxPresentedLength = 256
)

// Presented are the values that stood where the provider's key would stand: the one
// value of a header or query field, or both halves of a pair. The zero Presented fits
// no key.
type Presented struct {
	values [maxPresented]string
	n      int
}

// ParsePresented takes the candidates in any order. Values that no key can have (wrong
// length, not visible ASCII) are left out, as are all beyond the fourth.
func ParsePresented(values ...string) Presented {
	var p Presented
	for _, v := range values {
		if p.n < maxPresented && presentable(v) {
			p.values[p.n] = v
			p.n++
		}
	}
	return p
}

// Empty reports whether nothing was presented that could be a key.
func (p Presented) Empty() bool { return p.n == 0 }

func presentable(s string) bool {
	if len(s) < minPresentedLength || len(s) > maxPresentedLength {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// SiteKeysOptions are what SiteKeys need. Store, Limiter and Now are required.
type SiteKeysOptions struct {
	Store   SiteKeyStore
	Limiter Limiter
	Now     func() time.Time
	Log     *slog.Logger // nil: nothing is logged
	// Failures is how many unknown keys one client network may present before it is
	// held back; zero: 30 per minute per prefix.
	Failures ratelimit.Rule
	// Tokens sign what stands for a key (IssueToken). Nil: no token is made or taken.
	Tokens StatementKeys
	// Applications finds the keys whose holders sign tokens themselves. Nil: none is taken.
	Applications ApplicationStore
}

// SiteKeys checks site keys. A found key is remembered for half a second, so that a hot
// key costs a hash; memory is bounded. Safe for concurrent use.
type SiteKeys struct {
	o       SiteKeysOptions
	cache   *otter.Cache[[32]byte, *found] // by the SHA-256 of what was presented
	permits *otter.Cache[[32]byte, *found] // by permit key
	tokens  *otter.Cache[[32]byte, *keyToken]

	applications *otter.Cache[[32]byte, *foundApplication]

	// asks counts Recheck: what was found before the last one is asked for again.
	asks atomic.Int64

	mu   sync.Mutex
	used map[string]time.Time // key id → last use not yet stored; ids of real keys only
}

type found struct {
	key     StoredKey
	checked time.Time
	asks    int64
}

// trusted says whether what was found needs no look at the store.
func (s *SiteKeys) trusted(f *found, now time.Time) bool {
	age := now.Sub(f.checked)
	return age >= 0 && age < recheckAfter && f.asks == s.asks.Load()
}

// Recheck makes the next use of every key ask the store: a revocation that was stored before
// holds when it returns.
func (s *SiteKeys) Recheck() { s.asks.Add(1) }

// NewSiteKeys checks the options.
func NewSiteKeys(o SiteKeysOptions) (*SiteKeys, error) {
	if o.Store == nil || o.Limiter == nil || o.Now == nil {
		return nil, errors.New("make site keys: store, limiter and clock are required")
	}
	if o.Failures == (ratelimit.Rule{}) {
		o.Failures = ratelimit.Rule{Calls: 30, Window: time.Minute, Per: ratelimit.PerPrefix}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	cache, err := otter.New(&otter.Options[[32]byte, *found]{MaximumSize: siteKeyEntries})
	if err != nil {
		return nil, fmt.Errorf("make site keys: %w", err)
	}
	permits, err := otter.New(&otter.Options[[32]byte, *found]{MaximumSize: siteKeyEntries})
	if err != nil {
		return nil, fmt.Errorf("make site keys: %w", err)
	}
	tokens, err := otter.New(&otter.Options[[32]byte, *keyToken]{MaximumSize: keyTokenEntries})
	if err != nil {
		return nil, fmt.Errorf("make site keys: %w", err)
	}
	applications, err := otter.New(&otter.Options[[32]byte, *foundApplication]{MaximumSize: applicationEntries})
	if err != nil {
		return nil, fmt.Errorf("make site keys: %w", err)
	}
	return &SiteKeys{o: o, cache: cache, permits: permits, tokens: tokens, applications: applications, used: make(map[string]time.Time)}, nil
}

// Attempt is one presentation of a key.
type Attempt struct {
	Site, Connection string
	// Mode is the connection's; only statements are bound to one.
	Mode      provider.Mode
	Client    netip.Addr
	Presented Presented
	// Statement is a bearer value in the form of a signed statement (see Statement). It counts
	// only where no key was presented beside it.
	Statement string
	// Application is how the connection's provider has applications sign tokens; the zero value
	// means not at all.
	Application ApplicationRule
}

// ApplicationRule says what a self-signed token of a provider's SDK looks like.
type ApplicationRule struct {
	Claim string        // that holds the application's id
	Life  time.Duration // the longest that the provider allows
}

// Verify finds the one live key among the presented values that opens the connection.
// Every refusal is the same problem.Unauthenticated, except that a network with many
// failures gets problem.RateLimited for keys that this process has not seen before (keys
// in use keep working). A store that cannot be asked is problem.StoreUnavailable.
func (s *SiteKeys) Verify(ctx context.Context, a Attempt) (StoredKey, error) {
	return s.verify(ctx, a, s.opens)
}

// VerifyAny is Verify for what belongs to no connection: a key of one connection is good
// too, and the caller holds the key's Connection against what is asked for.
func (s *SiteKeys) VerifyAny(ctx context.Context, a Attempt) (StoredKey, error) {
	return s.verify(ctx, a, func(k *StoredKey, a Attempt) bool { return !k.Revoked(s.o.Now()) && k.Site == a.Site })
}

func (s *SiteKeys) verify(ctx context.Context, a Attempt, good func(*StoredKey, Attempt) bool) (StoredKey, error) {
	if a.Presented.Empty() && a.Statement == "" || a.Site == "" {
		return StoredKey{}, refused(errors.New("no site key was presented"))
	}
	now := s.o.Now()
	find := s.find
	if a.Statement != "" {
		find = s.findStated
	}
	key, err := find(ctx, a, now)
	if err != nil {
		return StoredKey{}, err
	}
	if key == nil || !good(key, a) {
		if _, err := s.o.Limiter.AllowAll(ctx, now, []ratelimit.Check{s.failures(a.Client)}); err != nil {
			return StoredKey{}, limiterFault(err)
		}
		return StoredKey{}, refused(errors.New("no live site key of this connection was presented"))
	}
	s.touch(key.ID, now)
	return *key, nil
}

// failures counts the unknown keys of a client's network.
func (s *SiteKeys) failures(client netip.Addr) ratelimit.Check {
	subject := ratelimit.Subject{Operation: "sitekey.failure", Client: client}
	return s.o.Limiter.Check(ratelimit.AtOperation, s.o.Failures, &subject)
}

// find looks the values up; nil means that none, or more than one, is a key. Values that
// were keys before come first: the other half of their pair then needs no look-up.
func (s *SiteKeys) find(ctx context.Context, a Attempt, now time.Time) (*StoredKey, error) {
	p := &a.Presented
	var short [maxPresented][32]byte
	var known [maxPresented]*found
	for i, v := range p.values[:p.n] {
		short[i] = sha256.Sum256([]byte(v))
		known[i], _ = s.cache.GetIfPresent(short[i])
	}
	var hit *StoredKey
	for _, seen := range [...]bool{true, false} {
		for i, v := range p.values[:p.n] {
			if (known[i] != nil) != seen || hit != nil && hit.UserHash == short[i] {
				continue
			}
			key, err := s.lookup(ctx, v, short[i], known[i], now, a.Client)
			if err != nil {
				return nil, err
			}
			if key != nil && hit != nil {
				return nil, nil // two keys at once: which one is meant is not ours to guess
			}
			if key != nil {
				hit = key
			}
		}
	}
	if hit == nil || !userFits(hit, short[:p.n]) {
		return nil, nil
	}
	return hit, nil
}

// findStated finds the key that a statement stands for: one that the gate signed, or one that
// the holder of an application's key did. A network with many failures is held back before
// anything is verified, but for what was good before.
func (s *SiteKeys) findStated(ctx context.Context, a Attempt, now time.Time) (*StoredKey, error) {
	if !a.Presented.Empty() || len(a.Statement) > MaxStatement {
		return nil, nil // two at once: which one is meant is not ours to guess
	}
	if !s.seen(a) {
		if err := s.heldBack(ctx, now, a.Client); err != nil {
			return nil, err
		}
	}
	key, err := s.verifyToken(ctx, a, now)
	if key == nil && err == nil && a.Application.Claim != "" {
		key, err = s.verifySigned(ctx, a, now)
	}
	return key, err
}

// seen reports whether a's statement, or its application, was good before.
func (s *SiteKeys) seen(a Attempt) bool {
	if _, ok := s.tokens.GetIfPresent(sha256.Sum256([]byte(a.Statement))); ok {
		return true
	}
	if a.Application.Claim == "" {
		return false
	}
	_, ok := s.applications.GetIfPresent(applicationHash(unverifiedText(a.Statement, a.Application.Claim)))
	return ok
}

// heldBack is the problem of a network that presented too many unknown keys, or nil.
func (s *SiteKeys) heldBack(ctx context.Context, now time.Time, client netip.Addr) error {
	d, err := s.o.Limiter.Peek(ctx, now, s.failures(client))
	if err != nil {
		return limiterFault(err)
	}
	if d.Allowed {
		return nil
	}
	p := problem.New(problem.RateLimited, "too many unknown keys came from this network").
		WithHint("check the site key, then wait as long as Retry-After says")
	p.RetryAfter = max(d.RetryAfter, time.Second)
	return p
}

// lookup finds the key whose secret v is, or nil.
func (s *SiteKeys) lookup(ctx context.Context, v string, short [32]byte, known *found, now time.Time, client netip.Addr) (*StoredKey, error) {
	if known == nil {
		if err := s.heldBack(ctx, now, client); err != nil {
			return nil, err
		}
	}
	if known != nil {
		if s.trusted(known, now) {
			return &known.key, nil
		}
	}
	asks := s.asks.Load()
	hash, err := authHash(v)
	if err != nil {
		return nil, err
	}
	key, err := s.o.Store.FindSiteKey(ctx, hash)
	if errors.Is(err, ErrKeyNotFound) {
		s.cache.Invalidate(short)
		return nil, nil
	}
	if err != nil {
		return nil, storeFault(fmt.Errorf("find site key: %w", err))
	}
	if subtle.ConstantTimeCompare(key.AuthHash[:], hash[:]) != 1 {
		return nil, storeFault(errors.New("the store answered with another key"))
	}
	if key.Revoked(now) {
		s.cache.Invalidate(short)
		return nil, nil
	}
	fresh := &found{key: key, checked: now, asks: asks}
	s.cache.Set(short, fresh)
	return &fresh.key, nil
}

// userFits says whether the other half of a pair stands among the values. The secret
// itself cannot pass for it: the halves of a pair differ.
func userFits(k *StoredKey, short [][32]byte) bool {
	if k.UserHash == ([32]byte{}) {
		return true
	}
	for _, h := range short {
		if subtle.ConstantTimeCompare(h[:], k.UserHash[:]) == 1 {
			return true
		}
	}
	return false
}

func (s *SiteKeys) opens(k *StoredKey, a Attempt) bool {
	return !k.Revoked(s.o.Now()) && k.Site == a.Site && (k.Connection == "" || k.Connection == a.Connection)
}

func (s *SiteKeys) touch(id string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used[id] = now
}

// Run stores the last uses once a minute until ctx ends, then once more, and returns nil.
func (s *SiteKeys) Run(ctx context.Context) error {
	tick := time.NewTicker(touchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			s.flush(last)
			return nil
		case <-tick.C:
			s.flush(ctx)
		}
	}
}

func (s *SiteKeys) flush(ctx context.Context) {
	s.mu.Lock()
	used := s.used
	s.used = make(map[string]time.Time)
	s.mu.Unlock()
	if len(used) == 0 {
		return
	}
	if err := s.o.Store.TouchSiteKeys(ctx, used); err != nil {
		s.o.Log.WarnContext(ctx, "last use of site keys not stored", "error", err)
	}
}
