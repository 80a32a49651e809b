package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/store/sqlite"
	"sallyport/internal/webhook"
	"sallyport/internal/webhook/scheme"
)

// plain seals nothing: what is sealed is not what these tests are about.
type plain struct{}

func (plain) Seal(_ context.Context, _, purpose string, b []byte) ([]byte, error) {
	return append([]byte(purpose+"\x00"), b...), nil
}

func (plain) Open(_ context.Context, _, purpose string, box []byte) ([]byte, error) {
	b, ok := strings.CutPrefix(string(box), purpose+"\x00")
	if !ok {
		return nil, errors.New("sealed for something else")
	}
	return []byte(b), nil
}

// target is a site's handler without a network.
type target struct {
	mu     sync.Mutex
	answer func(n int, r *http.Request) *http.Response
	seen   []seen
}

type seen struct {
	at       time.Time
	delivery string
	body     string
}

func (s *target) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen = append(s.seen, seen{time.Now(), r.Header.Get("Sallyport-Delivery"), string(body)})
	n := len(s.seen)
	s.mu.Unlock()
	resp := s.answer(n, r)
	if resp == nil {
		return nil, errors.New("no connection")
	}
	resp.Body = io.NopCloser(strings.NewReader(""))
	return resp, nil
}

func status(code int) *http.Response { return &http.Response{StatusCode: code, Header: http.Header{}} }

// bench is a desk and a dispatcher over real SQLite, in virtual time.
type bench struct {
	t      *testing.T
	store  *sqlite.Store
	desk   *webhook.Desk
	run    *webhook.Dispatcher
	hook   *webhook.Hook
	dest   *webhook.Destination
	target *target
	mu     sync.Mutex
	alerts []string
	stop   func()
}

func open(t *testing.T, path string, answer func(int, *http.Request) *http.Response, change func(*webhook.Destination), poll ...time.Duration) *bench {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	s, err := scheme.New(scheme.Config{Kind: "standard", Params: map[string]string{"type": "/type", "object": "/object"}})
	if err != nil {
		t.Fatal(err)
	}
	key := func(context.Context) ([]secret.Value, error) {
		return []secret.Value{secret.NewValue([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))}, nil
	}
	b := &bench{t: t, store: store, target: &target{answer: answer}}
	b.dest = &webhook.Destination{Name: "shop/pay/site", Site: "shop", Connection: "pay", URL: "https://shop.example/hooks", Signer: s, Secrets: key, Client: &http.Client{Transport: b.target}}
	if change != nil {
		change(b.dest)
	}
	b.hook = &webhook.Hook{Site: "shop", Connection: "pay", Mode: "sandbox", Scheme: s, Secrets: key, Destinations: []*webhook.Destination{b.dest}}
	b.run = webhook.NewDispatcher(webhook.Options{Queue: store, Sealer: plain{}, Log: slog.New(slog.DiscardHandler), Now: time.Now, Poll: append(poll, time.Second)[0], Alert: func(_ context.Context, a webhook.Alert) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.alerts = append(b.alerts, a.Reason)
	}})
	b.run.Set(b.hook.Destinations)
	b.desk = webhook.NewDesk(store, plain{}, time.Now, b.run.Wake)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = b.run.Run(ctx); close(done) }()
	b.stop = func() {
		cancel()
		<-done
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
	synctest.Wait()
	return b
}

// send has an event come in, signed.
func (b *bench) send(body string) {
	b.t.Helper()
	r, err := b.hook.Scheme.Sign(scheme.Request{Method: "POST", URL: "https://api.shop.example/hooks/pay", Body: []byte(body), Now: time.Now(), Header: http.Header{}}, secret.NewValue([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")))
	if err != nil {
		b.t.Fatal(err)
	}
	if reply, err := b.desk.Receive(b.t.Context(), b.hook, r); err != nil || reply.Status != 200 {
		b.t.Fatalf("%d, %v", reply.Status, err)
	}
}

func (b *bench) rang() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.alerts)
}

// TestScheduleOfRetries: eight attempts, each after its time with a fifth either way, all with
// one id; then the delivery is buried, operators know, and a replay begins anew.
func TestScheduleOfRetries(t *testing.T) {
	path := t.TempDir() + "/a.db"
	synctest.Test(t, func(t *testing.T) {
		b := open(t, path, func(int, *http.Request) *http.Response { return status(500) }, nil, 10*time.Second)
		defer b.stop()
		b.send(`{"type":"a","object":"o"}`)
		time.Sleep(40 * time.Hour)
		synctest.Wait()
		if len(b.target.seen) != 8 {
			t.Fatalf("%d attempts", len(b.target.seen))
		}
		for i, wait := range []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour} {
			took := b.target.seen[i+1].at.Sub(b.target.seen[i].at)
			if took < wait*8/10 || took > wait*12/10+11*time.Second || b.target.seen[i+1].delivery != b.target.seen[0].delivery {
				t.Errorf("attempt %d came after %s, want %s; %+v", i+2, took, wait, b.target.seen[i+1])
			}
		}
		if !slices.Contains(b.rang(), "buried") || !slices.Contains(b.rang(), "failing-100") {
			t.Errorf("alerts: %v", b.rang())
		}
		b.target.mu.Lock()
		b.target.answer = func(int, *http.Request) *http.Response { return status(204) }
		b.target.mu.Unlock()
		if n, err := b.store.ReplayEvents(t.Context(), webhook.Filter{State: "buried"}, time.Now()); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if len(b.target.seen) != 9 || b.target.seen[8].delivery != b.target.seen[0].delivery {
			t.Errorf("after the replay: %+v", b.target.seen[8:])
		}
	})
}

// TestRetryAfterGoneAndDisabled: a site's Retry-After is waited for, 410 stops a destination at
// once, and five days of failures stop it too; what comes then waits until it is enabled.
func TestRetryAfterGoneAndDisabled(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir+"/a.db", func(n int, _ *http.Request) *http.Response {
			r := status(503)
			r.Header.Set("Retry-After", "3600")
			if n > 1 {
				return status(410)
			}
			return r
		}, nil)
		defer b.stop()
		b.send(`{"type":"a","object":"o"}`)
		time.Sleep(59 * time.Minute)
		if synctest.Wait(); len(b.target.seen) != 1 {
			t.Fatalf("%d attempts before Retry-After", len(b.target.seen))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		b.send(`{"type":"b","object":"o"}`)
		time.Sleep(time.Hour)
		if synctest.Wait(); len(b.target.seen) != 2 || !slices.Contains(b.rang(), "gone") {
			t.Fatalf("%d attempts, %v", len(b.target.seen), b.rang())
		}
		if err := b.store.SetDisabled(t.Context(), b.dest.Name, "", time.Now()); err != nil {
			t.Fatal(err)
		}
		b.target.mu.Lock()
		b.target.answer = func(int, *http.Request) *http.Response { return status(200) }
		b.target.mu.Unlock()
		time.Sleep(15 * time.Second)
		if synctest.Wait(); len(b.target.seen) != 3 {
			t.Errorf("%d attempts after it was enabled", len(b.target.seen))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir+"/b.db", func(int, *http.Request) *http.Response { return nil }, nil, 5*time.Minute)
		defer b.stop()
		for day := range 7 {
			b.send(fmt.Sprintf(`{"type":"a","object":"o","n":%d}`, day))
			time.Sleep(24 * time.Hour)
		}
		synctest.Wait()
		all, err := b.store.Healths(t.Context())
		if err != nil || len(all) != 1 || all[0].Disabled.IsZero() || all[0].Reason != "failing" || all[0].Disabled.Sub(all[0].FailingSince) < 5*24*time.Hour || all[0].Disabled.Sub(all[0].FailingSince) > 6*24*time.Hour {
			t.Errorf("%+v, %v", all, err)
		}
		if !slices.Contains(b.rang(), "disabled") {
			t.Errorf("alerts: %v", b.rang())
		}
	})
}

// TestOrderAndRate: an object's events come one after the other though the first fails; others
// pass it by; and a destination gets no more at once, and no faster, than it says.
func TestOrderAndRate(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir+"/a.db", func(n int, _ *http.Request) *http.Response {
			if n == 1 {
				return status(500)
			}
			return status(200)
		}, func(d *webhook.Destination) { d.Ordered = true })
		defer b.stop()
		b.send(`{"type":"a1","object":"a"}`)
		synctest.Wait()
		b.send(`{"type":"a2","object":"a"}`)
		b.send(`{"type":"b1","object":"b"}`)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		var got []string
		for _, s := range b.target.seen {
			got = append(got, s.body[9:11])
		}
		if !slices.Equal(got, []string{"a1", "b1", "a1", "a2"}) {
			t.Errorf("order: %v", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		b := open(t, dir+"/b.db", func(int, *http.Request) *http.Response {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			return status(200)
		}, func(d *webhook.Destination) { d.AtOnce = 3 })
		defer b.stop()
		for i := range 30 {
			b.send(fmt.Sprintf(`{"type":"a","n":%d}`, i))
		}
		time.Sleep(30 * time.Second)
		if synctest.Wait(); len(b.target.seen) != 30 || most != 3 {
			t.Errorf("%d deliveries, %d at once", len(b.target.seen), most)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir+"/c.db", func(int, *http.Request) *http.Response { return status(200) }, func(d *webhook.Destination) { d.Every = 200 * time.Millisecond })
		defer b.stop()
		for i := range 10 {
			b.send(fmt.Sprintf(`{"type":"a","n":%d}`, i))
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		for i := 1; i < len(b.target.seen); i++ {
			if gap := b.target.seen[i].at.Sub(b.target.seen[i-1].at); gap < 200*time.Millisecond {
				t.Errorf("delivery %d after %s", i, gap)
			}
		}
		if len(b.target.seen) != 10 {
			t.Errorf("%d deliveries", len(b.target.seen))
		}
	})
}
