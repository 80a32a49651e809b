package openid

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The timetable of the keys that sign ID tokens.
const (
	keyPeriod = 90 * 24 * time.Hour
	// keyLead is how long a key is published before it signs: sites' libraries cache key
	// sets for hours.
	keyLead = 24 * time.Hour
	// keyRetire is how long a key stays published after its successor signs.
	keyRetire  = 24 * time.Hour
	keyBits    = 2048
	keyPurpose = "openid-signing-key"
)

// ErrKeyExists is what KeyStore.CreateOpenIDKey wraps where the id or the predecessor is
// taken.
var ErrKeyExists = errors.New("OpenID signing key exists")

// StoredKey is a signing key as a KeyStore keeps it.
type StoredKey struct {
	ID     string
	Sealed []byte // PKCS #1, under the caller's Sealer
	// Predecessor is the key that this one follows; empty for the first. At most one key
	// follows another, so that two nodes that rotate at once make one key.
	Predecessor string
	CreatedAt   time.Time
	SignsFrom   time.Time
}

// KeyStore keeps signing keys. Methods are safe for concurrent use, from several nodes too.
type KeyStore interface {
	// ListOpenIDKeys lists all keys by SignsFrom, oldest first.
	ListOpenIDKeys(ctx context.Context) ([]StoredKey, error)
	// CreateOpenIDKey stores k, or wraps ErrKeyExists.
	CreateOpenIDKey(ctx context.Context, k StoredKey) error
	// DeleteOpenIDKey removes a key; one that is not there is no error.
	DeleteOpenIDKey(ctx context.Context, id string) error
}

// KeysOptions are what Keys need; all are required but Log.
type KeysOptions struct {
	Store  KeyStore
	Sealer Sealer
	Now    func() time.Time
	Log    *slog.Logger
}

// Keys are the RSA keys that sign ID tokens: the gate's session keys are Ed25519, which
// OpenID libraries need not know, while all must know RS256 (OpenID Connect Core, 15.1).
// One signs, the next is published a day ahead, an old one stays for a day. Safe for
// concurrent use.
type Keys struct {
	o    KeysOptions
	turn sync.Mutex
	set  atomic.Pointer[keySet]
}

// keySet is an immutable picture of the store.
type keySet struct {
	keys   []openKey // by SignsFrom
	public jose.JSONWebKeySet
}

type openKey struct {
	stored  StoredKey
	private *rsa.PrivateKey
}

// OpenKeys loads the keys and makes the first one in an empty store, which takes some
// tenths of a second. A stored key that does not open is an error and never replaced.
func OpenKeys(ctx context.Context, o KeysOptions) (*Keys, error) {
	if o.Store == nil || o.Sealer == nil || o.Now == nil {
		return nil, errors.New("open OpenID keys: store, sealer and clock are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keys{o: o}
	return k, k.Refresh(ctx)
}

// Refresh reads the store, makes the next key when its time has come and removes those
// whose time is over.
func (k *Keys) Refresh(ctx context.Context) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	stored, err := k.o.Store.ListOpenIDKeys(ctx)
	if err != nil {
		return fmt.Errorf("list OpenID keys: %w", err)
	}
	if next, due := k.due(stored); due {
		if err := k.create(ctx, next); err != nil {
			return err
		}
		if stored, err = k.o.Store.ListOpenIDKeys(ctx); err != nil {
			return fmt.Errorf("list OpenID keys: %w", err)
		}
	}
	for len(stored) > 1 && !k.o.Now().Before(stored[1].SignsFrom.Add(keyRetire)) {
		if err := k.o.Store.DeleteOpenIDKey(ctx, stored[0].ID); err != nil {
			return fmt.Errorf("delete OpenID key: %w", err)
		}
		stored = stored[1:]
	}
	set, err := k.open(stored)
	if err != nil {
		return err
	}
	k.set.Store(set)
	return nil
}

// due says whether a key must be made: the first one signs at once, each other one after
// it was published for the lead.
func (k *Keys) due(stored []StoredKey) (StoredKey, bool) {
	now := k.o.Now()
	if len(stored) == 0 {
		return StoredKey{CreatedAt: now, SignsFrom: now}, true
	}
	last := stored[len(stored)-1]
	if now.Before(last.SignsFrom.Add(keyPeriod - keyLead)) {
		return StoredKey{}, false
	}
	return StoredKey{CreatedAt: now, SignsFrom: now.Add(keyLead), Predecessor: last.ID}, true
}

func (k *Keys) create(ctx context.Context, key StoredKey) error {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("make OpenID key: %w", err)
	}
	der := x509.MarshalPKCS1PrivateKey(private)
	defer clear(der)
	key.ID = "o" + strings.ToLower(rand.Text())
	if key.Sealed, err = k.o.Sealer.Seal(der, keyPurpose+"/"+key.ID); err != nil {
		return fmt.Errorf("seal OpenID key: %w", err)
	}
	err = k.o.Store.CreateOpenIDKey(ctx, key)
	if errors.Is(err, ErrKeyExists) { // another node made it: read that one
		return nil
	}
	if err != nil {
		return fmt.Errorf("store OpenID key: %w", err)
	}
	k.o.Log.InfoContext(ctx, "OpenID signing key made", "key_id", key.ID, "signs_from", key.SignsFrom)
	return nil
}

func (k *Keys) open(stored []StoredKey) (*keySet, error) {
	set := &keySet{public: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}}
	for _, s := range stored {
		private, err := k.openKey(s)
		if err != nil {
			return nil, fmt.Errorf("open OpenID key %s: %w", s.ID, err)
		}
		set.keys = append(set.keys, openKey{stored: s, private: private})
		set.public.Keys = append(set.public.Keys, jose.JSONWebKey{Key: private.Public(), KeyID: s.ID, Algorithm: string(jose.RS256), Use: "sig"})
	}
	return set, nil
}

// openKey opens the private half, or takes it from the picture before.
func (k *Keys) openKey(s StoredKey) (*rsa.PrivateKey, error) {
	if old := k.set.Load(); old != nil {
		for _, o := range old.keys {
			if o.stored.ID == s.ID {
				return o.private, nil
			}
		}
	}
	der, err := k.o.Sealer.Open(s.Sealed, keyPurpose+"/"+s.ID)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	private, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		return nil, errors.New("it is damaged")
	}
	return private, nil
}

// sign writes claims as a compact JWS with the newest key whose turn has come.
func (k *Keys) sign(claims any) (string, error) {
	now, keys := k.o.Now(), k.set.Load().keys
	for i := len(keys) - 1; i >= 0; i-- {
		if now.Before(keys[i].stored.SignsFrom) {
			continue
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: keys[i].private, KeyID: keys[i].stored.ID}},
			(&jose.SignerOptions{}).WithType("JWT"))
		if err != nil {
			return "", fmt.Errorf("use OpenID key: %w", err)
		}
		payload, err := json.Marshal(claims)
		if err != nil {
			return "", fmt.Errorf("write ID token: %w", err)
		}
		object, err := signer.Sign(payload)
		if err != nil {
			return "", fmt.Errorf("sign ID token: %w", err)
		}
		return object.CompactSerialize()
	}
	return "", errors.New("no OpenID key has its turn yet: the clock stands before the first key was made")
}

// verify opens a token that sign made, of any age.
func (k *Keys) verify(token string, claims any) error {
	if len(token) > maxToken {
		return errors.New("the token is too long")
	}
	object, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || len(object.Signatures) != 1 {
		return errors.New("no token of ours")
	}
	found := k.set.Load().public.Key(object.Signatures[0].Header.KeyID)
	if len(found) != 1 {
		return errors.New("signed with no key of ours")
	}
	payload, err := object.Verify(found[0].Key)
	if err != nil {
		return errors.New("the signature does not hold")
	}
	return json.Unmarshal(payload, claims)
}
