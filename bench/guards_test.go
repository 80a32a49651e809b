//go:build linux

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"sallyport/internal/egress"
)

// answering is a provider that costs nothing and answers as each operation wants, in the
// size of real answers.
type answering struct{}

const verification = `{"sid":"VE00000000000000000000000000000001","service_sid":"VA00000000000000000000000000000000","account_sid":"AC00000000000000000000000000000000","to":"+4915112345678","channel":"sms","status":"pending","valid":false,"date_created":"2026-11-23T12:00:00Z","date_updated":"2026-11-23T12:00:00Z","lookup":{},"amount":null,"payee":null,"send_code_attempts":[{"time":"2026-11-23T12:00:00Z","channel":"SMS","attempt_sid":"VL00000000000000000000000000000000"}],"sna":null,"url":"https://verify.twilio.com/v2/Services/VA00000000000000000000000000000000/Verifications/VE00000000000000000000000000000001"}`

func (answering) Send(ctx context.Context, r *egress.Request) (*egress.Response, error) {
	body, status := intent, 200
	switch r.Operation.ID {
	case "create-verification":
		body, status = verification, 201
	case "autocomplete-places":
		body = `{"suggestions":[]}`
	}
	return &egress.Response{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body), Attempts: 1}, r.Intent(ctx, 1)
}

// busy is the processor time of this thread: that of others on a busy machine does not count.
func busy() time.Duration {
	const thread = 3 // CLOCK_THREAD_CPUTIME_ID; getrusage counts in ticks, which are too coarse
	var t syscall.Timespec
	if _, _, failed := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, thread, uintptr(unsafe.Pointer(&t)), 0); failed != 0 {
		panic(failed)
	}
	return time.Duration(t.Nano())
}

// cost is one row of the table: the same calls on a gate with something and without it.
type cost struct {
	name string
	with setup
	// bare is the other gate; its zero value has no guards, budgets or owned ids.
	bare setup
	call func(i int) *egress.Call
}

// The calls vary as those of strangers do: 64 visits of 256 networks, and every payment, number
// and text is another one. Nothing is answered from a cache of an earlier call but what
// must be one: a visit that looks up its own payment again.
func costs(tb testing.TB) []cost {
	payment := func(i int) *egress.Call {
		return guardCall(i, "POST", "payments", "/v1/payment_intents", fmt.Sprintf(`{"amount":%d,"receipt_email":"shopper%d@mail.example"}`, 500+i%9000, i))
	}
	text := func(i int) *egress.Call {
		return guardCall(i, "POST", "texts", "/v2/Services/_/Verifications", fmt.Sprintf(`{"To":%q}`, someNumber(i)))
	}
	key := func(i int) *egress.Call {
		return guardCall(i, "POST", "maps", "/v1/places:autocomplete", fmt.Sprintf(`{"input":"Harbour Street %d"}`, i))
	}
	lookup := func(i int) *egress.Call {
		return guardCall(i, "GET", "payments", "/v1/payment_intents/pi_3PqJ2eLkdIwHu7ix0b1xRz7a", "")
	}
	permits := signed(tb, 20_000)
	sealed := func(i int) *egress.Call {
		c := guardCall(i, "POST", "payments", "/v1/payment_intents", fmt.Sprintf(`{"receipt_email":"shopper%d@mail.example"}`, i))
		c.Header.Set(egress.PermitHeader, permits[i%len(permits)])
		return c
	}
	all := setup{guards: true, budgets: true, owned: true}
	return []cost{
		{name: "cards: a payment", with: setup{guards: true}, call: payment},
		{name: "messages: a code to a number", with: setup{guards: true}, call: text},
		{name: "autocomplete: a key typed", with: setup{guards: true}, call: key},
		{name: "budgets: three, over a payment", with: setup{budgets: true}, call: payment},
		{name: "owned ids: a payment looked up", with: setup{owned: true}, call: lookup},
		{name: "all together: a payment", with: all, bare: setup{owned: true}, call: payment},
		{name: "all together: a code to a number", with: all, call: text},
		{name: "all together: a key typed", with: all, call: key},
		{name: "all together: a payment looked up", with: all, call: lookup},
		{name: "a permit: amount sealed, never seen before", with: setup{sealed: true}, bare: setup{sealed: true, trusting: true}, call: sealed},
	}
}

// someNumber is a mobile number of one of seven countries in the plain form that providers
// of messages take (E.164).
func someNumber(i int) string {
	n := i * 7919
	switch i % 8 {
	case 0:
		return fmt.Sprintf("+447912%06d", n%1_000_000)
	case 1:
		return fmt.Sprintf("+1202555%04d", n%10_000)
	case 2:
		return fmt.Sprintf("+436761%06d", n%1_000_000)
	case 3:
		return fmt.Sprintf("+336123%05d", n%100_000)
	case 4:
		return fmt.Sprintf("+39347%07d", n%10_000_000)
	case 5:
		return fmt.Sprintf("+346123%05d", n%100_000)
	}
	return fmt.Sprintf("+49151%08d", n%100_000_000)
}

// BenchmarkGuards measures the processor time of a call's pipeline with and without its guards,
// many short rounds of both in turn. Other work on a shared core makes rounds slower and never
// faster, so besides the medians it gives the fastest tenth of the rounds (docs/figures.md).
func BenchmarkGuards(b *testing.B) {
	for _, row := range costs(b) {
		b.Run(row.name, func(b *testing.B) {
			with, bare := guardedGate(b, row.with), guardedGate(b, row.bare)
			r := turns{call: row.call, took: map[*egress.Gate][]time.Duration{}}
			r.run(b, with, bare, 10) // the first fill what fills once
			r.took, r.differences = map[*egress.Gate][]time.Duration{}, nil
			for b.Loop() {
				r.run(b, with, bare, 10)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(micro(part(r.took[bare], 10)), "µs-bare-fastest")
			b.ReportMetric(micro(part(r.took[with], 10)-part(r.took[bare], 10)), "µs-more-fastest")
			b.ReportMetric(micro(part(r.took[bare], 2)), "µs-bare-median")
			b.ReportMetric(micro(part(r.differences, 2)), "µs-more-median")
		})
	}
}

// TestGuardedCallsPass: the calls that are measured are answered on both gates, and the guards
// of the one are at work.
func TestGuardedCallsPass(t *testing.T) {
	for _, row := range costs(t) {
		r := turns{call: row.call, took: map[*egress.Gate][]time.Duration{}}
		r.run(t, guardedGate(t, row.with), guardedGate(t, row.bare), 2)
	}
	abroad := func(s setup) *egress.Answer {
		return guardedGate(t, s).Call(t.Context(), guardCall(0, "POST", "texts", "/v2/Services/_/Verifications", `{"To":"+819012345678"}`))
	}
	if abroad(setup{}).Problem != nil || abroad(setup{guards: true}).Problem == nil {
		t.Error("a number of a country that the site does not name: not the guards are what differs")
	}
}

func micro(d time.Duration) float64 { return d.Seconds() * 1e6 }

// turns are the same calls on two gates in turn.
type turns struct {
	call        func(i int) *egress.Call
	made        int
	took        map[*egress.Gate][]time.Duration // of one call, round by round
	differences []time.Duration
}

func (r *turns) run(tb testing.TB, with, bare *egress.Gate, rounds int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const calls = 30
	list := make([]*egress.Call, calls)
	for range rounds {
		order := []*egress.Gate{with, bare}
		if r.made/calls%2 == 1 {
			slices.Reverse(order)
		}
		one := map[*egress.Gate]time.Duration{}
		for _, g := range order {
			for i := range list { // not part of what is measured
				list[i] = r.call(r.made + i)
			}
			start := busy()
			for _, c := range list {
				if answer := g.Call(tb.Context(), c); answer.Problem != nil {
					tb.Fatalf("%s: %+v", c.Path, answer.Problem)
				}
			}
			one[g] = (busy() - start) / calls
		}
		r.made += calls
		r.took[with], r.took[bare] = append(r.took[with], one[with]), append(r.took[bare], one[bare])
		r.differences = append(r.differences, one[with]-one[bare])
	}
}

// part is what one of so many parts of the list lies below.
func part(list []time.Duration, of int) time.Duration {
	slices.Sort(list)
	return list[len(list)/of]
}

func guardCall(i int, method, connection, path, body string) *egress.Call {
	return &egress.Call{ID: "r", Site: "shop", Connection: connection, Method: method, Path: path, Origin: "https://shop.example",
		Header: http.Header{"Authorization": {fmt.Sprintf("Bearer visit-%d", i%64)}, "Content-Type": {"application/json"}},
		Client: netip.AddrFrom4([4]byte{10, 0, byte(i * 31), 7}),
		ReadBody: func(int64) ([]byte, error) {
			return []byte(strings.Clone(body)), nil
		}}
}

// signed are permits for the amount of a payment, each with an id of its own.
func signed(tb testing.TB, n int) []string {
	tb.Helper()
	out := make([]string, n)
	for i := range out {
		claims, err := json.Marshal(map[string]any{"jti": fmt.Sprint("p-", i), "site": "shop", "connection": "payments", "mode": "live", "operation": "create-payment-intent",
			"origin": "https://shop.example", "session": "any", "sealed": map[string]any{"amount": 500 + i%9000}, "uses": 1,
			"nbf": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(10 * time.Minute).Unix()})
		if err != nil {
			tb.Fatal(err)
		}
		out[i] = permitKey(claims)
	}
	return out
}
