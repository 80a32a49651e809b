package egress_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/guard"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
)

// hours is a recorded shape: how many orders consumers placed in each hour of the day, of the
// 99,441 in the "Brazilian E-Commerce Public Dataset by Olist" (olist_orders_dataset,
// order_purchase_timestamp, September 2016 to October 2018, many small shops). The counts are
// those of published evaluations; they add up to the number of its orders. What visitors do
// within an hour is ours.
var hours = [24]int{2394, 1170, 510, 272, 206, 188, 502, 1231, 2967, 4785, 6177, 6578, 5995, 6518, 6569, 6454, 6675, 6150, 5769, 5982, 6193, 6217, 5816, 4123}

const ordersRecorded = 99_441

// day plays one day of a shop against the gate: events in the order of time.
type day struct {
	*guardedWorld
	t      *testing.T
	rnd    *rand.Rand
	events []event
	calls  int
	lost   map[string]int
	codes  map[string]bool // numbers whose visitors will enter the code
	recent []string        // numbers of today's visitors
	charge int
}

type event struct {
	at time.Time
	do func()
}

func (d *day) at(t time.Time, do func()) { d.events = append(d.events, event{t, do}) }

// play runs all events, also those that events add, in their order.
func (d *day) play() {
	for len(d.events) > 0 {
		slices.SortStableFunc(d.events, func(a, b event) int { return a.at.Compare(b.at) })
		batch := d.events
		d.events = nil
		for i, e := range batch {
			if len(d.events) > 0 && d.events[0].at.Before(e.at) {
				d.events = append(d.events, batch[i:]...)
				break
			}
			d.now = e.at
			e.do()
			slices.SortStableFunc(d.events, func(a, b event) int { return a.at.Compare(b.at) })
		}
	}
}

// visitor is one visit of an honest customer.
type visitor struct {
	id     int
	client netip.Addr
	number string
}

func (d *day) call(v *visitor, c *egress.Call) *egress.Answer {
	d.calls++
	c.Header.Set("Authorization", fmt.Sprintf("Bearer visit-%d", v.id))
	c.Client = v.client
	a := d.Call(d.t.Context(), c)
	if a.Problem != nil && a.Problem.Code == problem.GuardRefused {
		d.lost[d.records.last().Decisions[0].Reason]++
	}
	return a
}

// network: half of the visitors at home, a third behind the few addresses of mobile carriers,
// the others in offices that share one.
func (d *day) network() netip.Addr {
	switch p := d.rnd.IntN(100); {
	case p < 33:
		carrier := min(d.rnd.IntN(12), d.rnd.IntN(12), d.rnd.IntN(12)) // few have most
		return netip.AddrFrom4([4]byte{100, 64, byte(carrier), byte(d.rnd.IntN(256))})
	case p < 50:
		return netip.AddrFrom4([4]byte{198, 51, byte(d.rnd.IntN(20)), 9})
	}
	return netip.AddrFrom4([4]byte{81, byte(d.rnd.IntN(64)), byte(d.rnd.IntN(256)), byte(d.rnd.IntN(256))})
}

// phoneNumber: three countries; families share numbers, couples have neighbouring ones.
func (d *day) phoneNumber() string {
	if n := len(d.recent); n > 0 {
		switch p := d.rnd.IntN(100); {
		case p < 3:
			return d.recent[n-1-d.rnd.IntN(min(n, 5))]
		case p < 5:
			last := []byte(d.recent[n-1])
			if last[len(last)-1] < '9' {
				last[len(last)-1]++
			}
			return string(last)
		}
	}
	var s string
	switch d.rnd.IntN(10) {
	case 0:
		s = fmt.Sprintf("+43660%07d", d.rnd.IntN(1e7))
	case 1:
		s = fmt.Sprintf("+4179%07d", 2000000+d.rnd.IntN(7000000))
	default:
		s = fmt.Sprintf("+49%s%07d", []string{"1511", "1520", "1573", "1602", "1705", "1714"}[d.rnd.IntN(6)], d.rnd.IntN(1e7))
	}
	d.recent = append(d.recent, s)
	return s
}

func (d *day) visit(id int, at time.Time) {
	v := &visitor{id: id, client: d.network()}
	if d.rnd.IntN(100) < 30 {
		d.searches(v, at.Add(time.Duration(d.rnd.IntN(60))*time.Second))
	}
	if d.rnd.IntN(100) < 6 {
		d.verifies(v, at.Add(time.Minute), 0)
	}
	if d.rnd.IntN(100) < 8 {
		d.pays(v, at.Add(2*time.Minute))
	}
}

// searches types an address once or twice, key by key, and chooses.
func (d *day) searches(v *visitor, at time.Time) {
	for range 1 + d.rnd.IntN(2) {
		text := "Harbour Street 12, Whitstable"
		for n := 3; n < 4+d.rnd.IntN(9); n++ {
			typed := text[:n]
			d.at(at, func() {
				d.call(v, browser("maps", "POST", "/v1/places:autocomplete", `{"input":`+quoted(typed)+`}`))
			})
			at = at.Add(400 * time.Millisecond)
		}
		d.at(at, func() { d.call(v, browser("maps", "GET", "/v1/places/ChIJ0123456789", "")) })
		at = at.Add(20 * time.Second)
	}
}

// verifies has a code sent; some mistype their number first, some ask again, most enter it.
func (d *day) verifies(v *visitor, at time.Time, tries int) {
	d.at(at, func() {
		if v.number == "" {
			v.number = d.phoneNumber()
		}
		to := v.number
		if tries == 0 && d.rnd.IntN(100) < 5 { // two digits swapped: somebody else's number
			wrong := []byte(to)
			wrong[9], wrong[11] = wrong[11], wrong[9]
			d.call(v, sendCode(string(wrong)))
			d.verifies(v, at.Add(90*time.Second), 1)
			return
		}
		d.call(v, sendCode(to))
		switch p := d.rnd.IntN(100); {
		case p < 12 && tries < 3:
			d.verifies(v, at.Add(60*time.Second), tries+1)
		case p < 88:
			d.at(at.Add(time.Duration(10+d.rnd.IntN(80))*time.Second), func() {
				d.call(v, browser("texts", "POST", "/v2/Services/_/VerificationCheck", `{"To":`+quoted(to)+`,"Code":"123456"}`))
			})
		}
	})
}

// pays opens a payment, perhaps again after a change of the basket, and confirms it. One in
// twenty cards is declined; most of these customers try another.
func (d *day) pays(v *visitor, at time.Time) {
	for n := range 1 + d.rnd.IntN(3) {
		key := fmt.Sprintf("open-%d-%d", v.id, n)
		repeats := 1 + d.rnd.IntN(30)/29 // the network failed: the page asks again with the same key
		for range repeats {
			d.at(at, func() {
				d.call(v, browser("payments", "POST", intents, `{"amount":1900}`, "Idempotency-Key", key))
			})
			at = at.Add(2 * time.Second)
		}
		at = at.Add(15 * time.Second)
	}
	for range 3 {
		bad := d.rnd.IntN(100) < 5
		d.at(at, func() {
			d.declines(bad)
			d.call(v, confirm())
		})
		if !bad || d.rnd.IntN(10) < 3 {
			return
		}
		at = at.Add(40 * time.Second)
	}
}

func (d *day) declines(bad bool) {
	d.upstream.answer = func(_ int, r *egress.Request) (*egress.Response, error) { return d.provider(r, bad) }
}

// provider answers for all three providers.
func (d *day) provider(r *egress.Request, bad bool) (*egress.Response, error) {
	switch r.Operation.ID {
	case "confirm-payment-intent":
		d.charge++
		if bad {
			return reply(402, fmt.Sprintf(declined, d.charge)), nil
		}
		return reply(200, fmt.Sprintf(`{"id":"pi_%d","object":"payment_intent","status":"succeeded"}`, d.charge)), nil
	case "create-payment-intent":
		d.charge++
		return reply(200, fmt.Sprintf(`{"id":"pi_%d","object":"payment_intent","status":"requires_payment_method"}`, d.charge)), nil
	case "create-verification":
		d.charge++
		return reply(201, fmt.Sprintf(`{"sid":"VE%032d","status":"pending"}`, d.charge)), nil
	case "check-verification":
		return reply(201, `{"sid":"VE1","status":"approved"}`), nil
	}
	return reply(200, `{}`), nil
}

func newDay(t *testing.T, seed uint64, change func(*guard.Rules)) *day {
	d := &day{guardedWorld: openGuarded(t, func(r *guard.Rules) {
		r.Messages.Countries = []string{"DE", "AT", "CH"}
		if change != nil {
			change(r)
		}
	}, cards(t), texts(t, provider.Live), places(t)), t: t, rnd: rand.New(rand.NewPCG(seed, 7)), lost: map[string]int{}, codes: map[string]bool{}}
	d.declines(false)
	return d
}

// visits spreads n visits over a day as hours says.
func (d *day) visits(n int) {
	id, before := 0, 0
	for h, orders := range hours {
		before += orders
		for id < n*before/ordersRecorded {
			id++
			d.visit(id, d.now.Truncate(24*time.Hour).Add(time.Duration(h)*time.Hour+time.Duration(d.rnd.IntN(3600))*time.Second))
		}
	}
}

// TestOrdinaryDayLosesNothing: 10,000 visits of a day, offices and carriers behind one
// network, declined cards, repeats, mistyped and shared numbers: under the default rules no
// honest call is refused, and nobody is woken up. make torture plays 20 days.
func TestOrdinaryDayLosesNothing(t *testing.T) {
	days := 1
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		days = 20
	}
	for seed := range days {
		d := newDay(t, uint64(seed), nil)
		d.visits(10_000)
		d.play()
		if len(d.lost) != 0 || len(d.alerts) != 0 {
			t.Errorf("day %d: of %d calls %v were refused; alerts: %+v", seed, d.calls, d.lost, d.alerts)
		}
		if d.calls < 20_000 || d.upstream.count() < 20_000 || d.charge < 2_000 {
			t.Fatalf("a day of %d calls, %d sent, %d of them payments and codes, shows little", d.calls, d.upstream.count(), d.charge)
		}
	}
}

// TestTheDayWouldNoticeStrictRules is the control: with limits that are too narrow the same
// day loses calls.
func TestTheDayWouldNoticeStrictRules(t *testing.T) {
	d := newDay(t, 0, func(r *guard.Rules) {
		r.Cards.Declines[0].Calls, r.Messages.PerNumber.Calls, r.Autocomplete.Searches[0].Calls = 1, 1, 1
	})
	d.visits(2_000)
	d.play()
	for _, want := range []string{"messages/per_number", "autocomplete/searches"} {
		if d.lost[want] == 0 {
			t.Errorf("nothing was lost to %s: %v", want, d.lost)
		}
	}
}
