package challenge_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/challenge"
	"sallyport/internal/problem"
	"sallyport/internal/ratelimit"
)

var (
	client = netip.MustParseAddr("192.0.2.7")
	here   = challenge.Binding{Site: "shop", Visit: "visit-1", For: challenge.ForVisit}
)

// world is a Work with a clock that the test moves.
type world struct {
	*challenge.Work
	now  time.Time
	used challenge.Used
}

func open(t testing.TB, used challenge.Used) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), used: used}
	clock := func() time.Time { return w.now }
	if w.used == nil {
		w.used = challenge.NewMemory(clock, 0)
	}
	var err error
	w.Work, err = challenge.New(challenge.Options{Key: []byte(strings.Repeat("k", 32)), Used: w.used,
		Meter: challenge.Meter{Limiter: ratelimit.New(1 << 10)}, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func solve(t testing.TB, c challenge.Challenge) map[string]any {
	t.Helper()
	for n := int64(0); n <= c.MaxNumber; n++ {
		if challenge.Hash(c.Salt, n) == c.Challenge {
			return map[string]any{"algorithm": c.Algorithm, "challenge": c.Challenge, "number": n, "salt": c.Salt, "signature": c.Signature}
		}
	}
	t.Fatalf("nothing solves %+v", c)
	return nil
}

func proof(t testing.TB, s map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func code(err error) problem.Code {
	var p *problem.Error
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

func (w *world) solved(t testing.TB, b challenge.Binding) string {
	t.Helper()
	return proof(t, solve(t, w.Make(t.Context(), b, client, 0)))
}

func TestAProofCountsOnce(t *testing.T) {
	w := open(t, nil)
	p := w.solved(t, here)
	if err := w.Check(t.Context(), here, p); err != nil {
		t.Fatal(err)
	}
	if err := w.Check(t.Context(), here, p); code(err) != problem.ChallengeRefused || !strings.Contains(err.Error(), "used before") {
		t.Errorf("used twice: %v", err)
	}
	if err := w.Check(t.Context(), here, w.solved(t, here)); err != nil {
		t.Errorf("another one: %v", err)
	}
}

func TestAtOnceOneProofCountsOnce(t *testing.T) {
	w := open(t, nil)
	p := w.solved(t, here)
	var counted atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if w.Check(context.Background(), here, p) == nil {
					counted.Add(1)
				}
			}
		})
	}
	all.Wait()
	if counted.Load() != 1 {
		t.Errorf("counted %d times", counted.Load())
	}
}

// TestForgedProofs: one thing is wrong with each, and the control that has nothing wrong counts.
func TestForgedProofs(t *testing.T) {
	type change func(s map[string]any)
	set := func(name string, v any) change { return func(s map[string]any) { s[name] = v } }
	for name, do := range map[string]change{
		"another number":          func(s map[string]any) { s["number"] = s["number"].(int64) + 1 },
		"a number as text":        func(s map[string]any) { s["number"] = "no" },
		"a number with exponent":  set("number", json.RawMessage("1e3")),
		"a negative number":       set("number", -1),
		"another algorithm":       set("algorithm", "SHA-512"),
		"no algorithm":            set("algorithm", ""),
		"another challenge":       set("challenge", strings.Repeat("0", 64)),
		"an empty signature":      set("signature", ""),
		"another signature":       set("signature", strings.Repeat("0", 64)),
		"a later end":             func(s map[string]any) { s["salt"] = strings.Replace(s["salt"].(string), "expires=17", "expires=19", 1) },
		"a digit moved over":      splice,
		"an unknown member":       set("admin", true),
		"an own, easy challenge":  own,
		"a salt without an end":   set("salt", "abc&"),
		"a member of its own":     func(s map[string]any) { s["salt"] = s["salt"].(string) + "vouched=1&" },
		"upper case in signature": func(s map[string]any) { s["signature"] = strings.ToUpper(s["signature"].(string)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, nil)
			s := solve(t, w.Make(t.Context(), here, client, 0))
			good := proof(t, s)
			do(s)
			if err := w.Check(t.Context(), here, proof(t, s)); code(err) != problem.ChallengeRefused {
				t.Errorf("%v", err)
			}
			if err := w.Check(t.Context(), here, good); err != nil {
				t.Errorf("the control was refused: %v", err)
			}
		})
	}
	w := open(t, nil)
	good := w.solved(t, here)
	for name, p := range map[string]string{"nothing": "", "not base64": "%%%", "url base64": strings.TrimRight(good, "=") + "_", "not JSON": base64.StdEncoding.EncodeToString([]byte("no")),
		"two values": base64.StdEncoding.EncodeToString([]byte("{}{}")), "too long": strings.Repeat("A", challenge.MaxProof+4), "with a break": good[:8] + "\n" + good[8:]} {
		if err := w.Check(t.Context(), here, p); code(err) != problem.ChallengeRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// splice moves the first digit of the number to the end of the salt: the hash stays.
func splice(s map[string]any) {
	n := fmt.Sprint(s["number"])
	if len(n) < 2 || n[1] == '0' {
		s["number"] = int64(-1)
		return
	}
	s["salt"] = s["salt"].(string) + n[:1]
	s["number"] = json.RawMessage(n[1:])
}

// own is a challenge that the asker made, with the gate's signature of another one.
func own(s map[string]any) {
	s["challenge"] = challenge.Hash(s["salt"].(string), 0)
	s["number"] = int64(0)
}

func TestAProofIsOfItsPlaceAndTime(t *testing.T) {
	w := open(t, nil)
	p := w.solved(t, here)
	for name, b := range map[string]challenge.Binding{
		"another site": {Site: "blog", Visit: here.Visit, For: here.For}, "another visit": {Site: here.Site, Visit: "visit-2", For: here.For},
		"a call": {Site: here.Site, Visit: here.Visit, For: "payments/create-payment-intent"}, "nothing": {},
		"names run together": {Site: here.Site + here.Visit, Visit: "", For: here.For},
	} {
		if err := w.Check(t.Context(), b, p); code(err) != problem.ChallengeRefused || !strings.Contains(err.Error(), "another") {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := open(t, nil)
	foreign, err := challenge.New(challenge.Options{Key: []byte(strings.Repeat("x", 32)), Used: other.used, Meter: challenge.Meter{Limiter: ratelimit.New(16)}, Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Check(t.Context(), here, proof(t, solve(t, foreign.Make(t.Context(), here, client, 0)))); code(err) != problem.ChallengeRefused {
		t.Errorf("of another gate: %v", err)
	}
	w.now = w.now.Add(challenge.MaxLife)
	if err := w.Check(t.Context(), here, p); code(err) != problem.ChallengeRefused || !strings.Contains(err.Error(), "expired") {
		t.Errorf("late: %v", err)
	}
	w.now = w.now.Add(-time.Second)
	if err := w.Check(t.Context(), here, p); err != nil {
		t.Errorf("in the last second: %v", err)
	}
	w.now = w.now.Add(-time.Hour)
	if err := w.Check(t.Context(), here, proof(t, solve(t, func() challenge.Challenge {
		w.now = w.now.Add(time.Hour)
		c := w.Make(t.Context(), here, client, 0)
		w.now = w.now.Add(-time.Hour)
		return c
	}()))); code(err) != problem.ChallengeRefused {
		t.Errorf("from the future: %v", err)
	}
}

type brokenMemory struct{}

func (brokenMemory) Use(context.Context, [32]byte, time.Time) (bool, error) {
	return true, errors.New("the memory is away")
}

func TestWithoutItsMemoryNothingCounts(t *testing.T) {
	w := open(t, brokenMemory{})
	if err := w.Check(t.Context(), here, w.solved(t, here)); code(err) != problem.StoreUnavailable {
		t.Errorf("%v", err)
	}
	if first, err := w.Once(t.Context(), challenge.UsedVoucher, "v", w.now); first || code(err) != problem.StoreUnavailable {
		t.Errorf("%v, %v", first, err)
	}
}

func TestMemoryIsBoundedAndRefusesWhenFull(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m := challenge.NewMemory(func() time.Time { return now }, 100)
	id := func(i int) (out [32]byte) { copy(out[:], fmt.Sprint("id", i)); return out }
	for i := range 100 {
		if first, err := m.Use(t.Context(), id(i), now.Add(time.Minute)); !first || err != nil {
			t.Fatalf("%d: %v, %v", i, first, err)
		}
	}
	if first, err := m.Use(t.Context(), id(100), now.Add(time.Minute)); first || code(err) != problem.Overloaded {
		t.Errorf("over the edge: %v, %v", first, err)
	}
	if first, err := m.Use(t.Context(), id(7), now.Add(time.Minute)); first || err != nil {
		t.Errorf("a used one while full: %v, %v", first, err)
	}
	now = now.Add(3 * time.Minute)
	if first, err := m.Use(t.Context(), id(100), now.Add(time.Minute)); !first || err != nil {
		t.Errorf("after they ended: %v, %v", first, err)
	}
}

func TestDifficultyRisesWithSignsAndWithCounts(t *testing.T) {
	w := open(t, nil)
	for level, want := range []int64{50_000, 200_000, 800_000, 3_000_000} {
		if got := w.Make(t.Context(), here, client, level).MaxNumber; got != want {
			t.Errorf("signs %d: maxnumber %d, want %d", level, got, want)
		}
	}
	if challenge.Difficulty(-1) != challenge.Difficulty(0) || challenge.Difficulty(99) != challenge.Difficulty(challenge.MaxLevel) {
		t.Error("a level outside is not the nearest")
	}
	w = open(t, nil)
	seen := map[int64]int{}
	for range 700 {
		seen[w.Make(t.Context(), here, client, 0).MaxNumber]++
	}
	if seen[50_000] != 40 || seen[200_000] != 120 || seen[800_000] != 480 || seen[3_000_000] != 60 {
		t.Errorf("a network that asks 700 times at once gets %v", seen)
	}
	if got := w.Make(t.Context(), here, netip.MustParseAddr("198.51.100.1"), 0).MaxNumber; got != 50_000 {
		t.Errorf("another network pays %d for it", got)
	}
	w.now = w.now.Add(10 * time.Minute)
	if got := w.Make(t.Context(), here, client, 0).MaxNumber; got != 50_000 {
		t.Errorf("ten minutes later: %d", got)
	}
}

func TestOptionsAreRequired(t *testing.T) {
	for name, o := range map[string]challenge.Options{"nothing": {}, "a short key": {Key: []byte("short"), Used: brokenMemory{}, Meter: challenge.Meter{Limiter: ratelimit.New(1)}, Now: time.Now}} {
		if w, err := challenge.New(o); err == nil || w != nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func BenchmarkMake(b *testing.B) {
	w := open(b, nil)
	for b.Loop() {
		w.Make(b.Context(), here, client, 0)
	}
}
