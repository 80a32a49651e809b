package egress_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sallyport/internal/egress"
	"sallyport/internal/guard"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
)

// TestCardTestingIsStopped: 10,000 stolen cards over 1,000 visits in 200 networks within an
// hour. Until the alarm 40 declines pass; then each network has 2, and one more each half
// hour. Meanwhile 500 honest customers lose nothing. Without the guard all cards are tried.
func TestCardTestingIsStopped(t *testing.T) {
	d := newDay(t, 1, nil)
	most := d.guards.Cards.Alarm.Calls + 200*(2+2)
	tried := attackCards(d)
	start := d.now
	for i := range 500 {
		d.pays(&visitor{id: 100_000 + i, client: d.network()}, start.Add(time.Duration(i)*7*time.Second))
	}
	d.play()
	if got := tried(); got > most || got < d.guards.Cards.Alarm.Calls {
		t.Errorf("%d cards were tried, at most %d may be", got, most)
	} else {
		t.Logf("%d of 10000 cards were tried; the rules allow %d", got, most)
	}
	if len(d.lost) != 0 {
		t.Errorf("honest customers lost %v", d.lost)
	}
	alarm := 0
	for _, a := range d.alerts {
		if a.Source == "cards" && a.Reason == "alarm" {
			alarm++
		}
	}
	if alarm != 1 {
		t.Errorf("%d alarms in one attack, want 1", alarm)
	}
	off := newDay(t, 1, func(r *guard.Rules) { r.Cards.Mode = guard.Off })
	tried = attackCards(off)
	off.play()
	if tried() != 10_000 {
		t.Errorf("without the guard %d cards were tried", tried())
	}
}

// attackCards plans the attack; the result counts the cards that reached the provider.
func attackCards(d *day) func() int {
	tried := 0
	for i := range 10_000 {
		d.at(d.now.Add(time.Duration(i)*360*time.Millisecond), func() {
			d.declines(i%50 != 0) // one card in fifty is good
			c := confirm()
			c.Header.Set("Authorization", fmt.Sprintf("Bearer visit-thief-%d", i%1000))
			c.Client = netip.AddrFrom4([4]byte{45, 9, byte(i % 200), byte(i)})
			a := d.Call(d.t.Context(), c)
			if a.Problem == nil || a.Problem.Code != problem.GuardRefused {
				tried++
			}
		})
	}
	return func() int { return tried }
}

// TestPumpingIsStopped: an hour of messages, each of a new visit, from 200 networks, to
// numbers of the attacker. Numbers of other countries and premium lines do not go out at all;
// in the countries of the file no more than unanswered codes wait, whatever the pattern.
func TestPumpingIsStopped(t *testing.T) {
	for name, row := range map[string]struct {
		to   func(i int) string
		most int
	}{
		"countries that are not served": {func(i int) string { return fmt.Sprintf("+2217%08d", 10000000+i*37) }, 0},
		"premium":                       {func(i int) string { return fmt.Sprintf("+49900%07d", 1000000+i*37) }, 0},
		"satellites":                    {func(i int) string { return fmt.Sprintf("+8816%08d", 31000000+i*37) }, 0},
		"a row of numbers":              {func(i int) string { return fmt.Sprintf("+49151%08d", 12000000+i) }, 3},
		"ten rows, in turn":             {func(i int) string { return fmt.Sprintf("+49151%08d", 12000000+(i%10)*100000+i/10) }, 30},
		"blocks":                        {func(i int) string { return fmt.Sprintf("+49151%08d", 12000000+(i%20)*1000+(i*7)%1000) }, 50},
		"all over a country":            {func(i int) string { return fmt.Sprintf("+49151%08d", (i*7919*101)%100000000) }, 50},
		"all over two countries": {func(i int) string {
			return fmt.Sprintf([]string{"+49151%08d", "+436641%06d"}[i%2], (i*7919*101)%1000000)
		}, 100},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDay(t, 2, nil)
			sent := pump(d, row.to)
			d.play()
			if sent() > row.most {
				t.Errorf("%d messages went out, at most %d may", sent(), row.most)
			}
			t.Logf("%d of 2000 went out", sent())
			off := newDay(t, 2, func(r *guard.Rules) { r.Messages.Mode = guard.Off })
			all := pump(off, row.to)
			off.play()
			if all() != 2000 {
				t.Errorf("without the guard %d went out", all())
			}
		})
	}
}

// pump plans 2,000 messages over 59 minutes.
func pump(d *day, to func(i int) string) func() int {
	sent := 0
	for i := range 2000 {
		d.at(d.now.Add(time.Duration(i)*1770*time.Millisecond), func() {
			c := sendCode(to(i))
			c.Header.Set("Authorization", fmt.Sprintf("Bearer visit-pump-%d", i))
			c.Client = netip.AddrFrom4([4]byte{45, 9, byte(i % 200), byte(i)})
			if a := d.Call(d.t.Context(), c); a.Problem == nil {
				sent++
			}
		})
	}
	return func() int { return sent }
}

// TestAnAttackDoesNotLockOutCustomers: with a country closed by an attack, a visit that the
// backend vouches for gets its code, and the country opens again when the attack is over.
func TestAnAttackDoesNotLockOutCustomers(t *testing.T) {
	d := newDay(t, 3, nil)
	pump(d, func(i int) string { return fmt.Sprintf("+49151%08d", (i*7919*101)%100000000) })
	d.play()
	customer := &visitor{id: 1, client: netip.MustParseAddr("81.2.3.4")}
	refused(t, d.call(customer, sendCode("+491701234567")), problem.GuardRefused)
	vouched := sendCode("+491701234567")
	vouched.Header.Set("Authorization", "Bearer visit-vouched")
	vouched.Client = customer.client
	if a := d.Call(t.Context(), vouched); a.Problem != nil {
		t.Errorf("a customer that the backend vouches for: %+v", a.Problem)
	}
	if got := d.Danger("shop"); got != guard.High {
		t.Errorf("level %v", got)
	}
	d.deps.Signs = nil // the gate's own: during an attack each call needs a proof of its own
	d.build(texts(t, provider.Live))
	refused(t, d.call(customer, sendCode("+491701234568")), problem.ChallengeRequired)
	d.deps.Signs = solved{}
	d.build(texts(t, provider.Live))
	d.now = d.now.Add(3 * time.Hour)
	if a := d.call(customer, sendCode("+491701234567")); a.Problem != nil {
		t.Errorf("three hours later: %+v", a.Problem)
	}
	if got := d.Danger("shop"); got != guard.Calm {
		t.Errorf("level %v", got)
	}
}

var _ egress.Alerts = (*guardedWorld)(nil)
