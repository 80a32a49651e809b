package bench

import (
	"encoding/json"
	"testing"
	"time"

	"sallyport/bench/bodies"
	"sallyport/bench/rounds"
	"sallyport/internal/tape"
)

// A tape is made in less time than encoding/json needs to say yes or no.
func TestTapeBesideValid(t *testing.T) {
	texts := made(t, bodies.Intents)
	v := new(tape.Tape)
	got := rounds.Measure(41, 4*time.Millisecond,
		rounds.Case{Name: "tape", Run: func(i int) {
			if err := v.Parse(texts[i%varied], tape.Limits{}); err != nil {
				t.Fatal(err)
			}
		}},
		rounds.Case{Name: "json.Valid", Run: func(i int) {
			if !json.Valid(texts[i%varied]) {
				t.Fatal("invalid")
			}
		}})
	median, least, most := got[0].Ratio(got[1])
	t.Logf("tape %v (%v–%v), %.0f allocations; Valid %v (%v–%v); ratio %.2f (%.2f–%.2f)", got[0].Median, got[0].Min, got[0].Max, got[0].Allocs,
		got[1].Median, got[1].Min, got[1].Max, median, least, most)
	if median > 0.8 || got[0].Allocs > 0 {
		t.Errorf("tape takes %.2f times as long as json.Valid with %.0f allocations, want at most 0.8 and none", median, got[0].Allocs)
	}
}
