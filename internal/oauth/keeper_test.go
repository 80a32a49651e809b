package oauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/oauth"
	"sallyport/internal/outbound"
	"sallyport/internal/problem"
	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
)

var key = oauth.Key{Site: "shop", Connection: "payments", Name: "client-credentials"}

// issuer is a token endpoint that takes a second and numbers its tokens.
type issuer struct {
	asked  atomic.Int64
	life   time.Duration
	secret atomic.Int64
	fail   atomic.Pointer[oauth.Fault]
}

func (i *issuer) Origin(context.Context) (oauth.Origin, error) {
	return oauth.Origin{Account: oauth.Digest([]byte("me")), Secret: oauth.Digest(fmt.Append(nil, i.secret.Load()))}, nil
}

func (i *issuer) Fetch(ctx context.Context, now func() time.Time) (oauth.Token, error) {
	n := i.asked.Add(1)
	asked := now()
	origin, _ := i.Origin(ctx)
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return oauth.Token{}, &oauth.Fault{Reason: oauth.ReasonUnreachable, Err: ctx.Err()}
	}
	if f := i.fail.Load(); f != nil {
		return oauth.Token{}, f
	}
	return oauth.Token{Value: secret.NewValue(fmt.Appendf(nil, "token-number-%d", n)), Issued: asked, Expires: asked.Add(i.life), Origin: origin}, nil
}

// plain stands in for a site's key where a test does not look at what is stored.
type plain struct{ sealer *seal.Sealer }

func (p plain) Seal(_ context.Context, _, purpose string, b []byte) ([]byte, error) {
	return p.sealer.Seal(b, purpose)
}

func (p plain) Open(_ context.Context, _, purpose string, b []byte) ([]byte, error) {
	return p.sealer.Open(b, purpose)
}

type world struct {
	t      *testing.T
	store  *memory
	log    bytes.Buffer
	alerts []string
	mu     sync.Mutex
}

func newWorld(t *testing.T) *world { return &world{t: t, store: newMemory()} }

func (w *world) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

func (w *world) rung() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.alerts, " ")
}

// node makes a keeper, as of one process.
func (w *world) node() *oauth.Keeper {
	w.t.Helper()
	s, err := seal.NewRoot(secret.NewValue(bytes.Repeat([]byte{9}, seal.RootSize)))
	if err != nil {
		w.t.Fatal(err)
	}
	return oauth.NewKeeper(oauth.Options{Store: w.store, Sealer: plain{s}, Log: slog.New(slog.NewTextHandler(w, nil)),
		Alert: func(_ context.Context, a oauth.Alert) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.alerts = append(w.alerts, a.Connection+":"+a.Reason)
		}})
}

func credential(t *testing.T, k *oauth.Keeper, s oauth.Source) outbound.Credential {
	t.Helper()
	c, err := k.Credential(key, s, oauth.Bearer(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sent is the token that a call would carry.
func sent(t *testing.T, c outbound.Credential) (string, outbound.Mark, error) {
	t.Helper()
	r := &outbound.Request{Header: http.Header{}}
	mark, err := c.Apply(t.Context(), r)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), mark, err
}

func wants(t *testing.T, c outbound.Credential, token string) outbound.Mark {
	t.Helper()
	got, mark, err := sent(t, c)
	if err != nil || got != token {
		t.Errorf("sent %q, %v; want %q", got, err, token)
	}
	return mark
}

func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}

func closing(t *testing.T, ks ...*oauth.Keeper) {
	t.Helper()
	for _, k := range ks {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOneRefreshHoweverManyCallersAndNodes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.node(), w.node()
		defer closing(t, a, b)
		s := &issuer{life: time.Hour}
		nodes := []outbound.Credential{credential(t, a, s), credential(t, b, s)}
		for round := range int64(3) {
			var wg sync.WaitGroup
			for i := range 500 {
				wg.Go(func() { wants(t, nodes[i%2], fmt.Sprintf("token-number-%d", round+1)) })
			}
			wg.Wait()
			if n := s.asked.Load(); n != round+1 {
				t.Fatalf("round %d: the provider was asked %d times", round, n)
			}
			time.Sleep(time.Hour) // all of them are over
		}
	})
}

func TestReplacedEarlyWhileTheOldOneIsUsed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		k := w.node()
		defer closing(t, k)
		s := &issuer{life: time.Hour}
		c := credential(t, k, s)
		wants(t, c, "token-number-1")
		time.Sleep(44 * time.Minute)
		wants(t, c, "token-number-1")
		if n := s.asked.Load(); n != 1 {
			t.Fatalf("asked %d times in three quarters of the life", n)
		}
		time.Sleep(9 * time.Minute) // later than any jitter
		began := time.Now()
		wants(t, c, "token-number-1")
		if time.Since(began) > 0 {
			t.Error("a caller waited while the old token was good")
		}
		time.Sleep(2 * time.Second)
		wants(t, c, "token-number-2")
		if n := s.asked.Load(); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestNodesDoNotAskInTheSameMoment(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		bubble(t, func(t *testing.T, w *world) {
			k := w.node()
			defer closing(t, k)
			s := &issuer{life: time.Hour}
			c := credential(t, k, s)
			wants(t, c, "token-number-1")
			for began := time.Now(); ; time.Sleep(10 * time.Second) {
				if _, _, err := sent(t, c); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if s.asked.Load() == 2 {
					age := time.Since(began)
					if age < 45*time.Minute || age > 53*time.Minute {
						t.Errorf("replaced at the age of %s", age)
					}
					seen[age] = true
					return
				}
			}
		})
	}
	if len(seen) < 3 {
		t.Errorf("20 nodes chose %d moments", len(seen))
	}
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		k := w.node()
		defer closing(t, k)
		s := &issuer{life: time.Hour}
		c := credential(t, k, s)
		mark := wants(t, c, "token-number-1")
		time.Sleep(time.Minute)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if again, err := c.Refresh(t.Context(), mark); err != nil || !again {
					t.Errorf("Refresh: %v, %v", again, err)
				}
			})
		}
		wg.Wait()
		mark = wants(t, c, "token-number-2")
		if again, err := c.Refresh(t.Context(), mark); err != nil || again {
			t.Errorf("a provider that refuses everything: %v, %v; want no repeat", again, err)
		}
		if n := s.asked.Load(); n != 2 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(time.Minute)
		if again, err := c.Refresh(t.Context(), mark); err != nil || !again {
			t.Errorf("later: %v, %v", again, err)
		}
		wants(t, c, "token-number-3")
	})
}

func TestFailingEndpoint(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		k := w.node()
		defer closing(t, k)
		s := &issuer{life: 10 * time.Minute}
		c := credential(t, k, s)
		wants(t, c, "token-number-1")
		s.fail.Store(&oauth.Fault{Reason: oauth.ReasonFailed, Err: errors.New("it burns")})
		end := time.Now().Add(10*time.Minute - 4*time.Second)
		for time.Now().Before(end) { // a call a second
			wants(t, c, "token-number-1")
			time.Sleep(time.Second)
		}
		if n := s.asked.Load(); n < 4 || n > 12 {
			t.Errorf("asked %d times in two minutes of failure", n)
		}
		if w.rung() == "" {
			t.Error("nobody was told")
		}
		time.Sleep(10 * time.Second)
		got, _, err := sent(t, c)
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != problem.CredentialUnavailable || got != "" || p.RetryAfter <= 0 {
			t.Errorf("without a token: sent %q, %v; want credential_unavailable", got, err)
		}
		s.fail.Store(nil)
		time.Sleep(3 * time.Minute)
		if got, _, err := sent(t, c); err != nil || !strings.HasPrefix(got, "token-number-") {
			t.Errorf("after the failure: %q, %v", got, err)
		}
	})
}

func TestPauseHoldsOnAllNodes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.node(), w.node()
		defer closing(t, a, b)
		s := &issuer{life: time.Hour}
		s.fail.Store(&oauth.Fault{Reason: oauth.ReasonThrottled, Wait: 40 * time.Second, Err: errors.New("slow down")})
		ca, cb := credential(t, a, s), credential(t, b, s)
		if _, _, err := sent(t, ca); err == nil {
			t.Fatal("a token out of nothing")
		}
		for range 30 {
			_, _, errA := sent(t, ca)
			_, _, errB := sent(t, cb)
			if errA == nil || errB == nil {
				t.Fatal("a token out of nothing")
			}
			time.Sleep(time.Second)
		}
		if n := s.asked.Load(); n != 1 {
			t.Errorf("a provider that asked for 40 s of rest was asked %d times in 30", n)
		}
	})
}

func TestRotatedSecret(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		k := w.node()
		defer closing(t, k)
		s := &issuer{life: time.Hour}
		c := credential(t, k, s)
		wants(t, c, "token-number-1")
		s.secret.Add(1)
		time.Sleep(2 * time.Second)
		wants(t, c, "token-number-1") // good until the new one is there
		time.Sleep(2 * time.Second)
		wants(t, c, "token-number-2")
	})
}

func TestAnotherProcessFindsTheToken(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &issuer{life: time.Hour}
		for range 3 {
			k := w.node()
			wants(t, credential(t, k, s), "token-number-1")
			closing(t, k)
		}
		if n := s.asked.Load(); n != 1 {
			t.Errorf("asked %d times over three starts", n)
		}
	})
}

func TestDeadNodeIsFollowed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		if r, err := w.store.LeaseToken(t.Context(), key, oauth.Lease{Holder: "dead", For: 5 * time.Second}); err != nil || !r.Granted {
			t.Fatal(r, err)
		}
		k := w.node()
		defer closing(t, k)
		s := &issuer{life: time.Hour}
		began := time.Now()
		wants(t, credential(t, k, s), "token-number-1")
		if took := time.Since(began); took < 5*time.Second || took > 7*time.Second {
			t.Errorf("took %s after a node died in the middle", took)
		}
		if v, err := w.store.SaveToken(t.Context(), key, "dead", oauth.Sealed{Bytes: []byte("late")}); err != nil || v != 0 {
			t.Errorf("the dead node could save: %d, %v", v, err)
		}
	})
}

func TestStoreAway(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		k := w.node()
		defer closing(t, k)
		s := &issuer{life: time.Hour}
		c := credential(t, k, s)
		wants(t, c, "token-number-1")
		w.store.setDown(true)
		time.Sleep(58 * time.Minute)
		wants(t, c, "token-number-1")
		time.Sleep(3 * time.Minute)
		if got, _, err := sent(t, c); err == nil {
			t.Errorf("sent %q though nobody can say who asks", got)
		}
		if n := s.asked.Load(); n != 1 {
			t.Errorf("asked %d times without a lease", n)
		}
		w.store.setDown(false)
		time.Sleep(2 * time.Second)
		wants(t, c, "token-number-2")
	})
}

func TestForget(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		k := w.node()
		defer closing(t, k)
		s := &issuer{life: time.Hour}
		c := credential(t, k, s)
		wants(t, c, "token-number-1")
		if err := k.Forget(t.Context(), "shop", "payments"); err != nil {
			t.Fatal(err)
		}
		wants(t, c, "token-number-2")
	})
}

func TestTokensAreInNoLogAndSealedInTheStore(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		k := w.node()
		s := &issuer{life: 30 * time.Second}
		c := credential(t, k, s)
		wants(t, c, "token-number-1")
		s.fail.Store(&oauth.Fault{Reason: oauth.ReasonRefused, Err: errors.New("no")})
		time.Sleep(time.Minute)
		_, _, _ = sent(t, c)
		closing(t, k)
		if text := w.log.String(); strings.Contains(text, "token-number") || !strings.Contains(text, "access token") {
			t.Errorf("the log: %s", text)
		}
		if b := w.store.rows[key].sealed.Bytes; len(b) == 0 || bytes.Contains(b, []byte("token-number")) {
			t.Error("the token stands in the store as it is, or not at all")
		}
		if !c.Echo([]byte(`{"debug":"Bearer token-number-1"}`)) || c.Echo([]byte(`{"debug":"nothing"}`)) {
			t.Error("the echo check does not know the token")
		}
	})
}
