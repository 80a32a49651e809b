package session

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/jws"
)

// The timetable of signing keys.
const (
	// DefaultPeriod is how long a key signs before the next one takes over.
	DefaultPeriod = 24 * time.Hour
	// DefaultLead is how long a key is published before it signs. It is much longer than
	// JWKSMaxAge, so that whoever caches the set has the key when it is first used.
	DefaultLead = time.Hour
	// JWKSMaxAge is how long the published set may be cached.
	JWKSMaxAge = 5 * time.Minute

	retireMargin    = time.Minute
	refreshInterval = time.Minute
	keyPurpose      = "session-signing-key"
)

// KeysOptions are what Keys need. Store, Sealer and Now are required.
type KeysOptions struct {
	Store  KeyStore
	Sealer Sealer
	Now    func() time.Time
	Log    *slog.Logger  // nil: nothing is logged
	Period time.Duration // 0: DefaultPeriod
	Lead   time.Duration // 0: DefaultLead
}

// Keys are the signing keys of a gate: one signs, the next is published ahead of its
// turn, and an old one stays until the last token it signed has expired. Safe for
// concurrent use.
type Keys struct {
	o    KeysOptions
	turn sync.Mutex // one refresh at a time
	set  atomic.Pointer[keySet]
}

// keySet is an immutable picture of the store.
type keySet struct {
	keys []openKey // by SignsFrom
	byID map[string]ed25519.PublicKey
	jwks []byte
}

type openKey struct {
	stored  StoredSigningKey
	signer  jose.Signer // of session tokens
	private ed25519.PrivateKey
}

// OpenKeys loads the keys and makes the first one in an empty store. A stored key that
// the sealer cannot open is an error: signing with another key would lock out every
// visit, so somebody must look.
func OpenKeys(ctx context.Context, o KeysOptions) (*Keys, error) {
	if o.Store == nil || o.Sealer == nil || o.Now == nil {
		return nil, errors.New("open session keys: store, sealer and clock are required")
	}
	if o.Period == 0 {
		o.Period = DefaultPeriod
	}
	if o.Lead == 0 {
		o.Lead = DefaultLead
	}
	if o.Lead <= JWKSMaxAge || o.Period <= o.Lead {
		return nil, fmt.Errorf("open session keys: the lead %s must be longer than %s and shorter than the period %s", o.Lead, JWKSMaxAge, o.Period)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keys{o: o}
	if err := k.Refresh(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Run refreshes every minute until ctx ends, and then returns nil. A refresh that fails
// is logged; the keys that are known stay in use.
func (k *Keys) Run(ctx context.Context) error {
	tick := time.NewTicker(refreshInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := k.Refresh(ctx); err != nil && ctx.Err() == nil {
				k.o.Log.ErrorContext(ctx, "session keys not refreshed; the known ones stay in use", "error", err)
			}
		}
	}
}

// Refresh reads the store, makes the next key when its time to be published has come,
// and removes keys whose last token has expired.
func (k *Keys) Refresh(ctx context.Context) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	stored, err := k.o.Store.ListSigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("list signing keys: %w", err)
	}
	if next, due := k.due(stored); due {
		if err := k.create(ctx, next); err != nil {
			return err
		}
		if stored, err = k.o.Store.ListSigningKeys(ctx); err != nil {
			return fmt.Errorf("list signing keys: %w", err)
		}
	}
	live, err := k.retire(ctx, stored)
	if err != nil {
		return err
	}
	set, err := k.open(live)
	if err != nil {
		return err
	}
	k.set.Store(set)
	return nil
}

// due says whether a key must be made, and with what timetable: the first one signs at
// once, each other one only after it was published for the lead.
func (k *Keys) due(stored []StoredSigningKey) (StoredSigningKey, bool) {
	now := k.o.Now()
	if len(stored) == 0 {
		return StoredSigningKey{CreatedAt: now, SignsFrom: now}, true
	}
	last := stored[len(stored)-1]
	if now.Before(last.SignsFrom.Add(k.o.Period - k.o.Lead)) {
		return StoredSigningKey{}, false
	}
	return StoredSigningKey{CreatedAt: now, SignsFrom: now.Add(k.o.Lead), Predecessor: last.ID}, true
}

func (k *Keys) create(ctx context.Context, key StoredSigningKey) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	defer clear(private)
	key.ID, key.Public = "k"+randomID(), public
	if key.Sealed, err = k.o.Sealer.Seal(private.Seed(), keyPurpose+"/"+key.ID); err != nil {
		return fmt.Errorf("seal signing key: %w", err)
	}
	err = k.o.Store.CreateSigningKey(ctx, key)
	if errors.Is(err, ErrKeyExists) { // another process made it: read that one
		return nil
	}
	if err != nil {
		return fmt.Errorf("store signing key: %w", err)
	}
	k.o.Log.InfoContext(ctx, "session signing key made", "key_id", key.ID, "signs_from", key.SignsFrom)
	return nil
}

// retire drops keys whose successor has signed for longer than any token lives.
func (k *Keys) retire(ctx context.Context, stored []StoredSigningKey) ([]StoredSigningKey, error) {
	now := k.o.Now()
	for len(stored) > 1 && !now.Before(stored[1].SignsFrom.Add(MaxTTL+retireMargin)) {
		if err := k.o.Store.DeleteSigningKey(ctx, stored[0].ID); err != nil {
			return nil, fmt.Errorf("delete signing key: %w", err)
		}
		k.o.Log.InfoContext(ctx, "session signing key retired", "key_id", stored[0].ID)
		stored = stored[1:]
	}
	return stored, nil
}

func (k *Keys) open(stored []StoredSigningKey) (*keySet, error) {
	old := k.set.Load()
	set := &keySet{byID: make(map[string]ed25519.PublicKey, len(stored))}
	doc := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, s := range stored {
		key, err := k.openKey(old, s)
		if err != nil {
			return nil, err
		}
		set.keys = append(set.keys, key)
		set.byID[s.ID] = s.Public
		doc.Keys = append(doc.Keys, jose.JSONWebKey{Key: s.Public, KeyID: s.ID, Algorithm: string(jose.EdDSA), Use: "sig"})
	}
	var err error
	if set.jwks, err = json.Marshal(doc); err != nil {
		return nil, fmt.Errorf("write key set: %w", err)
	}
	return set, nil
}

// openKey opens the private half, or takes it from the picture before.
func (k *Keys) openKey(old *keySet, s StoredSigningKey) (openKey, error) {
	if old != nil {
		for _, o := range old.keys {
			if o.stored.ID == s.ID && o.stored.Public.Equal(s.Public) {
				return openKey{stored: s, signer: o.signer, private: o.private}, nil
			}
		}
	}
	seed, err := k.o.Sealer.Open(s.Sealed, keyPurpose+"/"+s.ID)
	if err != nil {
		return openKey{}, fmt.Errorf("open signing key %s: %w", s.ID, err)
	}
	if len(seed) != ed25519.SeedSize {
		return openKey{}, fmt.Errorf("open signing key %s: it is damaged", s.ID)
	}
	private := ed25519.NewKeyFromSeed(seed)
	clear(seed)
	if !s.Public.Equal(private.Public()) {
		return openKey{}, fmt.Errorf("open signing key %s: its public half is another key's", s.ID)
	}
	key := jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: s.ID}}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType(tokenType))
	if err != nil {
		return openKey{}, fmt.Errorf("use signing key %s: %w", s.ID, err)
	}
	return openKey{stored: s, signer: signer, private: private}, nil
}

// current is the newest key whose turn has come.
func (k *Keys) current() (openKey, error) {
	now, keys := k.o.Now(), k.set.Load().keys
	for i := len(keys) - 1; i >= 0; i-- {
		if !now.Before(keys[i].stored.SignsFrom) {
			return keys[i], nil
		}
	}
	return openKey{}, errors.New("no signing key has its turn yet: the clock stands before the first key was made")
}

// Sign writes a compact JWS of another type than a session's, with the key whose turn it
// is: receipts verify with the same key set. Sessions are made by an Issuer alone.
func (k *Keys) Sign(typ string, payload []byte) (string, error) {
	if typ == "" || typ == tokenType {
		return "", fmt.Errorf("sign a statement: type %q is not for others to sign", typ)
	}
	key, err := k.current()
	if err != nil {
		return "", err
	}
	return jws.Sign(typ, key.stored.ID, key.private, payload), nil
}

// PublicKey is a published key by its id.
func (k *Keys) PublicKey(id string) (ed25519.PublicKey, bool) { return k.public(id) }

func (k *Keys) public(id string) (ed25519.PublicKey, bool) {
	p, ok := k.set.Load().byID[id]
	return p, ok
}

// JWKS is the key set document (RFC 7517; OKP keys of RFC 8037), to be served as
// application/jwk-set+json with max-age JWKSMaxAge. It holds the keys to come and the
// old ones too. The slice must not be changed.
func (k *Keys) JWKS() []byte { return k.set.Load().jwks }
