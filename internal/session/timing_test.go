package session_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/session"
)

// askedStore keeps what it was asked for.
type askedStore struct {
	session.SiteKeyStore
	mu    sync.Mutex
	asked [][32]byte
}

func (s *askedStore) FindSiteKey(ctx context.Context, h [32]byte) (session.StoredKey, error) {
	s.mu.Lock()
	s.asked = append(s.asked, h)
	s.mu.Unlock()
	return s.SiteKeyStore.FindSiteKey(ctx, h)
}

// TestGuessesAreHashedBeforeLookup: what is compared, in the store's index and after it,
// is a hash of a key derived from the guess. A guess that is right but for its last
// character asks for something that has no longer beginning in common with the stored
// hash than any other, so the time of a look-up tells nothing about the key.
func TestGuessesAreHashedBeforeLookup(t *testing.T) {
	g := newKeyGate(t)
	values, stored := g.create(t, session.DefaultShape(), shop, "")
	store := &askedStore{SiteKeyStore: g.store}
	keys, err := session.NewSiteKeys(session.SiteKeysOptions{Store: store, Limiter: g.limiter, Now: g.clock.now})
	must(t, err)
	key := values[0]
	verify := func(v string) error {
		_, err := keys.Verify(t.Context(), session.Attempt{Site: shop, Connection: "payments", Client: client, Presented: session.ParsePresented(v)})
		return err
	}
	guesses := 0
	for _, c := range "abcdefgh" {
		if strings.HasSuffix(key, string(c)) {
			continue
		}
		guess := key[:len(key)-1] + string(c)
		refusedAlike(t, "all but the last character", verify(guess))
		guesses++
	}
	if len(store.asked) != guesses {
		t.Fatalf("%d look-ups for %d guesses", len(store.asked), guesses)
	}
	for _, h := range store.asked {
		if h == sha256.Sum256([]byte(key)) || string(h[:3]) == string(stored.AuthHash[:3]) {
			t.Errorf("%x was asked for, and %x is stored", h, stored.AuthHash)
		}
	}
	must(t, verify(key))
	if last := store.asked[len(store.asked)-1]; last != stored.AuthHash {
		t.Errorf("the key itself asked for %x", last)
	}
}
