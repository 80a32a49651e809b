package guard

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/phone"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func visit(n int) *Subject {
	return &Subject{Site: "shop", Connection: "c", Visit: fmt.Sprint(n), Client: netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1})}
}

func number(n int) Destination {
	return Destination{Number: phone.Number{Digits: fmt.Sprintf("49151%08d", n), Country: "DE", Kind: phone.Mobile}}
}

// TestZeroValuesRefuse: rules that nobody filled in let nothing pass.
func TestZeroValuesRefuse(t *testing.T) {
	b := New(nil)
	if (Verdict{}).Allowed || (&Messages{}).Reaches(number(1)).Allowed {
		t.Error("the zero value allows")
	}
	if v, _, _ := b.Send(t.Context(), noon, &Messages{}, visit(1), []Destination{number(1)}, true); v.Allowed {
		t.Error("zero rules let a message pass")
	}
}

// TestExactlyTheLimitFromManyGoroutines: 8 goroutines have no more than one.
func TestExactlyTheLimitFromManyGoroutines(t *testing.T) {
	b, r := New(nil), Defaults()
	var paid, sent atomic.Int64
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for range 50 {
				if v, _, err := b.Attempt(t.Context(), noon, &r.Cards, visit(1)); err == nil && v.Allowed {
					paid.Add(1)
				}
				if v, _, err := b.Send(t.Context(), noon, &r.Messages, visit(100+w), []Destination{number(5)}, true); err == nil && v.Allowed {
					sent.Add(1)
				}
				b.Level(noon, "shop", &r)
			}
		})
	}
	all.Wait()
	if paid.Load() != 10 || sent.Load() != 6 {
		t.Errorf("%d attempts and %d messages passed; want 10 and 6", paid.Load(), sent.Load())
	}
}

// TestFloodDoesNotFreeAnAttacker: outcomes of 50,000 other networks do not make the gate
// forget that a network's cards were declined.
func TestFloodDoesNotFreeAnAttacker(t *testing.T) {
	b, r := New(nil), Defaults().Cards
	for i := range 12 {
		s := visit(7)
		s.Visit = fmt.Sprint("thief", i)
		if _, err := b.Outcome(t.Context(), noon, &r, s, true, ""); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50_000 {
		if _, err := b.Outcome(t.Context(), noon, &r, visit(1000+i), false, ""); err != nil {
			t.Fatal(err)
		}
	}
	if v, _, _ := b.Attempt(t.Context(), noon, &r, visit(7)); v.Allowed || v.Reason != DeclinesNetwork {
		t.Errorf("after the flood: %+v", v)
	}
	if v, _, _ := b.Attempt(t.Context(), noon.Add(2*time.Hour), &r, visit(7)); !v.Allowed {
		t.Errorf("two hours later: %+v", v)
	}
}

// TestBigNetworksAreNotRefusedForDeclines: many customers behind one address have many
// declined cards, and more that are not.
func TestBigNetworksAreNotRefusedForDeclines(t *testing.T) {
	b, r := New(nil), Defaults().Cards
	for i := range 400 {
		s := visit(7)
		s.Visit = fmt.Sprint("customer", i)
		if _, err := b.Outcome(t.Context(), noon, &r, s, i%20 == 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	if v, _, _ := b.Attempt(t.Context(), noon, &r, visit(7)); !v.Allowed {
		t.Errorf("an office was refused: %+v", v)
	}
}

// TestEnteredCodesKeepACountryOpen: the count of waiting codes is of those not entered; a
// code counts as entered once.
func TestEnteredCodesKeepACountryOpen(t *testing.T) {
	b, r := New(nil), Defaults().Messages
	send := func(at time.Time, i int) Verdict {
		v, _, err := b.Send(t.Context(), at, &r, visit(i), []Destination{number(i * 100_003)}, true)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for i := range 500 {
		if v := send(noon, i); !v.Allowed {
			t.Fatalf("code %d: %+v", i, v)
		}
		b.Sent(noon, visit(i), []Destination{number(i * 100_003)}, fmt.Sprint("id", i))
		for range 3 {
			b.Entered(noon, visit(i), Destination{}, fmt.Sprint("id", i))
		}
	}
	if a := b.countries[[2]string{"shop", "DE"}]; a.entered != 500 || a.waiting[0] != 0 {
		t.Errorf("%v entered, %v wait", a.entered, a.waiting)
	}
}
