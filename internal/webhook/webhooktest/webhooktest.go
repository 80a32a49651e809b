// Package webhooktest is the conformance suite of webhook.Store, for stores.
package webhooktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"sallyport/internal/webhook"
)

// noon is when the suite's events arrive.
var noon = time.UnixMilli(1_800_000_000_000).UTC()

const shop = "shop/pay/site"

// Store runs the suite; each call of open gives an empty store.
func Store(t *testing.T, open func(t *testing.T) webhook.Store) {
	t.Run("keeps an event once", func(t *testing.T) { once(t, open(t)) })
	t.Run("a duplicate takes nothing of its neighbours with it", func(t *testing.T) { rush(t, open(t)) })
	t.Run("the audit log gets each event", func(t *testing.T) { moved(t, open(t)) })
	t.Run("hands deliveries out", func(t *testing.T) { claims(t, open(t)) })
	t.Run("who lost the claim records nothing", func(t *testing.T) { fences(t, open(t)) })
	t.Run("keeps order", func(t *testing.T) { ordered(t, open(t)) })
	t.Run("replays", func(t *testing.T) { replays(t, open(t)) })
	t.Run("lists", func(t *testing.T) { lists(t, open(t)) })
	t.Run("purges", func(t *testing.T) { purges(t, open(t)) })
	t.Run("remembers how destinations fare", func(t *testing.T) { healths(t, open(t)) })
	t.Run("many claim at once", func(t *testing.T) { share(t, open(t)) })
}

func event(n int) webhook.Event {
	return webhook.Event{ID: fmt.Sprintf("event-%d", n), Site: "shop", Connection: "pay", Mode: "sandbox", Key: fmt.Sprintf("key-%d", n),
		Type: "payment.done", Object: "pi_1", Received: noon.Add(time.Duration(n) * time.Second), Sealed: []byte(fmt.Sprintf("body %d", n))}
}

func delivery(n int, order string) webhook.Delivery {
	return webhook.Delivery{ID: fmt.Sprintf("delivery-%d", n), Destination: shop, Order: order, Due: noon}
}

func add(t *testing.T, s webhook.Store, e webhook.Event, to ...webhook.Delivery) {
	t.Helper()
	if added, err := s.AddEvent(t.Context(), e, to); err != nil || !added {
		t.Fatalf("event %s: added %t, %v", e.ID, added, err)
	}
}

func claim(t *testing.T, s webhook.Store, holder string, now time.Time) []webhook.Job {
	t.Helper()
	jobs, err := s.ClaimDeliveries(t.Context(), webhook.Claim{Destination: shop, Holder: holder, For: time.Minute, Limit: 10}, now)
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func ids(jobs []webhook.Job) (out []string) {
	for _, j := range jobs {
		out = append(out, j.ID)
	}
	return out
}

func finish(t *testing.T, s webhook.Store, id, holder string, state webhook.State, now time.Time) {
	t.Helper()
	if kept, err := s.FinishDelivery(t.Context(), id, holder, webhook.Result{State: state, Due: now, Status: 200}, now); err != nil || !kept {
		t.Fatalf("finish %s: %t, %v", id, kept, err)
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func once(t *testing.T, s webhook.Store) {
	e := event(1)
	add(t, s, e, delivery(1, ""))
	again := e
	again.ID, again.Sealed = "another", []byte("another")
	if added, err := s.AddEvent(t.Context(), again, []webhook.Delivery{delivery(2, "")}); added || err != nil {
		t.Fatalf("a duplicate was added: %t, %v", added, err)
	}
	for i, change := range []func(*webhook.Event){
		func(e *webhook.Event) { e.Site = "blog" }, func(e *webhook.Event) { e.Connection = "other" },
		func(e *webhook.Event) { e.Mode = "live" }, func(e *webhook.Event) { e.Key = "other" },
	} {
		other := e
		other.ID = fmt.Sprintf("other-%d", i)
		change(&other)
		add(t, s, other)
	}
	got, to, found, err := s.FindEvent(t.Context(), e.ID)
	if err != nil || !found {
		t.Fatalf("found %t, %v", found, err)
	}
	got.Key = e.Key
	if fmt.Sprint(got) != fmt.Sprint(e) {
		t.Errorf("found %+v, want %+v", got, e)
	}
	if len(to) != 1 || to[0].ID != "delivery-1" || to[0].Event != e.ID || to[0].State != webhook.Waiting || !to[0].Due.Equal(noon) {
		t.Errorf("deliveries: %+v", to)
	}
	if _, _, found, err := s.FindEvent(t.Context(), "another"); found || err != nil {
		t.Errorf("the duplicate: %t, %v", found, err)
	}
}

func rush(t *testing.T, s webhook.Store) {
	var all sync.WaitGroup
	var mu sync.Mutex
	added := map[string]int{}
	for i := range 64 {
		all.Go(func() {
			e := event(i % 16)
			e.ID = fmt.Sprintf("rush-%d", i)
			ok, err := s.AddEvent(context.Background(), e, []webhook.Delivery{delivery(i, "")})
			if err != nil {
				t.Error(err)
			}
			if ok {
				mu.Lock()
				added[e.Key]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for key, n := range added {
		if n != 1 {
			t.Errorf("%s was added %d times", key, n)
		}
	}
	if len(added) != 16 {
		t.Errorf("%d of 16 events were added", len(added))
	}
}

func moved(t *testing.T, s webhook.Store) {
	for i := range 5 {
		add(t, s, event(i))
	}
	if _, err := s.MoveReceived(t.Context(), 10, func(context.Context, []webhook.Received) error { return errors.New("full") }); err == nil {
		t.Error("the error of the audit log is lost")
	}
	var got []string
	take := func(_ context.Context, lines []webhook.Received) error {
		for _, l := range lines {
			if l.Site != "shop" || l.Connection != "pay" || l.At.IsZero() {
				t.Errorf("a line without its words: %+v", l)
			}
			got = append(got, l.Event)
		}
		return nil
	}
	for _, want := range []int{3, 2, 0} {
		if n, err := s.MoveReceived(t.Context(), 3, take); n != want || err != nil {
			t.Errorf("moved %d, %v; want %d", n, err, want)
		}
	}
	same(t, "lines", got, []string{"event-0", "event-1", "event-2", "event-3", "event-4"})
}

func claims(t *testing.T, s webhook.Store) {
	late := delivery(2, "")
	late.Due = noon.Add(time.Hour)
	other := delivery(3, "")
	other.Destination = "shop/pay/other"
	add(t, s, event(1), delivery(1, ""), late, other)
	due := func(now time.Time) []string {
		out, err := s.DueDestinations(t.Context(), []string{shop, "shop/pay/none", "shop/pay/other"}, now)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	same(t, "due before", due(noon.Add(-time.Second)), nil)
	same(t, "due", due(noon), []string{shop, "shop/pay/other"})
	jobs := claim(t, s, "a", noon)
	same(t, "claimed", ids(jobs), []string{"delivery-1"})
	if of := jobs[0].Of; of.ID != "event-1" || string(of.Sealed) != "body 1" || of.Type != "payment.done" || of.Site != "shop" || of.Mode != "sandbox" || !of.Received.Equal(event(1).Received) {
		t.Errorf("of %+v", of)
	}
	same(t, "claimed meanwhile", ids(claim(t, s, "b", noon)), nil)
	same(t, "claimed when it lapsed", ids(claim(t, s, "b", noon.Add(time.Minute))), []string{"delivery-1"})
	if kept, err := s.FinishDelivery(t.Context(), "delivery-1", "b", webhook.Result{State: webhook.Waiting, Due: noon.Add(2 * time.Hour), Status: 500, Reason: "status"}, noon); !kept || err != nil {
		t.Fatalf("finish: %t, %v", kept, err)
	}
	_, to, _, err := s.FindEvent(t.Context(), "event-1")
	if err != nil || to[0].Attempts != 1 || to[0].Status != 500 || to[0].Reason != "status" || !to[0].Due.Equal(noon.Add(2*time.Hour)) || !to[0].Ended.IsZero() {
		t.Errorf("after a failure: %+v, %v", to[0], err)
	}
	same(t, "the longest due first", ids(claim(t, s, "c", noon.Add(3*time.Hour))), []string{"delivery-2", "delivery-1"})
	finish(t, s, "delivery-1", "c", webhook.Done, noon)
	_, to, _, _ = s.FindEvent(t.Context(), "event-1")
	if to[0].State != webhook.Done || to[0].Attempts != 2 || !to[0].Ended.Equal(noon) {
		t.Errorf("after success: %+v", to[0])
	}
}

func fences(t *testing.T, s webhook.Store) {
	add(t, s, event(1), delivery(1, ""))
	claim(t, s, "a", noon)
	claim(t, s, "b", noon.Add(time.Hour))
	for _, holder := range []string{"a", "", "c"} {
		if kept, err := s.FinishDelivery(t.Context(), "delivery-1", holder, webhook.Result{State: webhook.Done}, noon); kept || err != nil {
			t.Errorf("holder %q finished: %t, %v", holder, kept, err)
		}
	}
	finish(t, s, "delivery-1", "b", webhook.Done, noon)
	if kept, err := s.FinishDelivery(t.Context(), "delivery-1", "b", webhook.Result{State: webhook.Buried}, noon); kept || err != nil {
		t.Errorf("finished twice: %t, %v", kept, err)
	}
}

func ordered(t *testing.T, s webhook.Store) {
	for i := range 3 {
		add(t, s, event(i), delivery(i, "pi_1"))
	}
	add(t, s, event(3), delivery(3, "pi_2"))
	same(t, "first of each", ids(claim(t, s, "a", noon)), []string{"delivery-0", "delivery-3"})
	finish(t, s, "delivery-0", "a", webhook.Waiting, noon) // it failed
	same(t, "still the first", ids(claim(t, s, "a", noon)), []string{"delivery-0"})
	finish(t, s, "delivery-0", "a", webhook.Done, noon)
	same(t, "the second", ids(claim(t, s, "a", noon)), []string{"delivery-1"})
	finish(t, s, "delivery-1", "a", webhook.Buried, noon)
	same(t, "a buried one lets go", ids(claim(t, s, "a", noon)), []string{"delivery-2"})
	if n, err := s.ReplayEvents(t.Context(), webhook.Filter{Event: "event-0"}, noon); n != 1 || err != nil {
		t.Fatalf("replayed %d, %v", n, err)
	}
	same(t, "a replay waits for what is under way", ids(claim(t, s, "a", noon)), nil)
	finish(t, s, "delivery-2", "a", webhook.Done, noon)
	same(t, "and comes then", ids(claim(t, s, "a", noon)), []string{"delivery-0"})
}

func replays(t *testing.T, s webhook.Store) {
	elsewhere := delivery(10, "")
	elsewhere.Destination = "shop/pay/other"
	add(t, s, event(1), delivery(1, ""), elsewhere)
	add(t, s, event(2), delivery(2, ""))
	claim(t, s, "a", noon)
	finish(t, s, "delivery-1", "a", webhook.Buried, noon)
	finish(t, s, "delivery-2", "a", webhook.Done, noon)
	later := noon.Add(time.Hour)
	replay := func(f webhook.Filter, want int) {
		t.Helper()
		if n, err := s.ReplayEvents(t.Context(), f, later); n != want || err != nil {
			t.Errorf("replayed %d, %v; want %d", n, err, want)
		}
	}
	replay(webhook.Filter{Event: "nothing"}, 0)
	replay(webhook.Filter{Destination: shop, State: "buried"}, 1)
	_, to, _, _ := s.FindEvent(t.Context(), "event-1")
	if d := to[0]; d.State != webhook.Waiting || d.Attempts != 0 || !d.Due.Equal(later) || !d.Ended.IsZero() || d.ID != "delivery-1" || to[1].Attempts != 0 || !to[1].Due.Equal(noon) {
		t.Errorf("after the replay: %+v", to)
	}
	replay(webhook.Filter{Site: "shop"}, 3)
	claim(t, s, "a", later)
	replay(webhook.Filter{Event: "event-2"}, 0) // somebody is at it
}

func lists(t *testing.T, s webhook.Store) {
	for i := range 6 {
		e := event(i)
		if i == 5 {
			e.Site, e.Type, e.Object = "blog", "poll.answered", "poll_9"
		}
		add(t, s, e, delivery(i, ""))
	}
	claim(t, s, "a", noon)
	finish(t, s, "delivery-2", "a", webhook.Buried, noon)
	for _, row := range []struct {
		what string
		f    webhook.Filter
		want []string
	}{
		{"all", webhook.Filter{}, []string{"event-5", "event-4", "event-3", "event-2", "event-1", "event-0"}},
		{"two", webhook.Filter{Limit: 2}, []string{"event-5", "event-4"}},
		{"after", webhook.Filter{Limit: 2, After: "event-4"}, []string{"event-3", "event-2"}},
		{"a site", webhook.Filter{Site: "blog"}, []string{"event-5"}},
		{"a type", webhook.Filter{Type: "payment.done", Limit: 1}, []string{"event-4"}},
		{"types", webhook.Filter{Type: "poll.*"}, []string{"event-5"}},
		{"% is a letter", webhook.Filter{Type: "po%*"}, nil},
		{"an object", webhook.Filter{Object: "poll_9"}, []string{"event-5"}},
		{"a state", webhook.Filter{State: "buried"}, []string{"event-2"}},
		{"times", webhook.Filter{Since: noon.Add(time.Second), Until: noon.Add(3 * time.Second)}, []string{"event-2", "event-1"}},
		{"a destination", webhook.Filter{Destination: "nowhere"}, nil},
	} {
		events, err := s.ListEvents(t.Context(), row.f)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, e.ID)
		}
		same(t, row.what, got, row.want)
	}
	counts, err := s.Backlogs(t.Context())
	if err != nil || len(counts) != 1 || counts[0] != (webhook.Backlog{Destination: shop, Waiting: 5, Buried: 1}) {
		t.Errorf("backlogs: %+v, %v", counts, err)
	}
}

func purges(t *testing.T, s webhook.Store) {
	add(t, s, event(1), delivery(1, ""))
	add(t, s, event(2), delivery(2, ""))
	add(t, s, event(3))
	claim(t, s, "a", noon)
	finish(t, s, "delivery-1", "a", webhook.Done, noon)
	for _, row := range []struct {
		connection string
		before     time.Time
		want       int
	}{{"other", noon.Add(time.Hour), 0}, {"pay", noon.Add(time.Second), 0}, {"pay", noon.Add(time.Hour), 2}, {"pay", noon.Add(time.Hour), 0}} {
		if n, err := s.PurgeEvents(t.Context(), "shop", row.connection, row.before); n != row.want || err != nil {
			t.Errorf("purged %d of %s, %v; want %d", n, row.connection, err, row.want)
		}
	}
	if _, _, found, _ := s.FindEvent(t.Context(), "event-2"); !found {
		t.Error("an event that waits was purged")
	}
}

func healths(t *testing.T, s webhook.Store) {
	report := func(ok bool, now time.Time) webhook.Health {
		t.Helper()
		h, err := s.ReportHealth(t.Context(), shop, ok, now)
		if err != nil || h.Destination != shop {
			t.Fatalf("%+v, %v", h, err)
		}
		return h
	}
	if h := report(true, noon); !h.FailingSince.IsZero() {
		t.Errorf("works: %+v", h)
	}
	report(false, noon)
	if h := report(false, noon.Add(time.Hour)); !h.FailingSince.Equal(noon) {
		t.Errorf("fails: %+v", h)
	}
	if err := s.SetDisabled(t.Context(), shop, "gone", noon); err != nil {
		t.Fatal(err)
	}
	list, err := s.Healths(t.Context())
	if err != nil || len(list) != 1 || !list[0].Disabled.Equal(noon) || list[0].Reason != "gone" || !list[0].FailingSince.Equal(noon) {
		t.Errorf("healths: %+v, %v", list, err)
	}
	if err := s.SetDisabled(t.Context(), shop, "", noon); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Healths(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("after it was enabled: %+v, %v", list, err)
	}
	report(false, noon)
	if h := report(true, noon); !h.FailingSince.IsZero() {
		t.Errorf("works again: %+v", h)
	}
}

func share(t *testing.T, s webhook.Store) {
	const n = 60
	for i := range n {
		add(t, s, event(i), delivery(i, ""))
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	for i := range 6 {
		all.Go(func() {
			for {
				jobs, err := s.ClaimDeliveries(context.Background(), webhook.Claim{Destination: shop, Holder: fmt.Sprint(i), For: time.Hour, Limit: 7}, noon)
				if err != nil {
					t.Error(err)
				}
				if err != nil || len(jobs) == 0 {
					return
				}
				mu.Lock()
				for _, j := range jobs {
					seen[j.ID]++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(seen) != n {
		t.Errorf("%d of %d were handed out", len(seen), n)
	}
	for id, k := range seen {
		if k != 1 {
			t.Errorf("%s was handed out %d times", id, k)
		}
	}
}
