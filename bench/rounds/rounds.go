// Package rounds measures pieces of work side by side on a machine that others use too:
// in short rounds that take turns, by the CPU time of the measuring thread, with the
// median and the range of all rounds. Quote the ratios, not the single figures.
//
// The garbage collector ends its work before each round, so that a round pays only for what
// it makes itself; its own threads are not counted, and allocations are told beside the time.
package rounds

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

// Case is one piece of work. Run does it once, on the ith input.
type Case struct {
	Name string
	Run  func(i int)
}

// Result is what a case costs for one run.
type Result struct {
	Name             string
	Median, Min, Max time.Duration
	Allocs           float64
	rounds           []time.Duration
}

// Measure runs every case in so many rounds of about the given length each.
func Measure(rounds int, length time.Duration, cases ...Case) []Result {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out := make([]Result, len(cases))
	runs := make([]int, len(cases))
	for c := range cases {
		out[c].Name = cases[c].Name
		runs[c] = fill(cases[c], length)
		out[c].Allocs = testing.AllocsPerRun(256, counted(cases[c].Run))
	}
	for range rounds {
		for c := range cases {
			runtime.GC() // no case pays for what another left behind
			out[c].rounds = append(out[c].rounds, once(cases[c], runs[c]))
		}
	}
	for c := range out {
		sorted := slices.Sorted(slices.Values(out[c].rounds))
		out[c].Min, out[c].Median, out[c].Max = sorted[0], sorted[len(sorted)/2], sorted[len(sorted)-1]
	}
	return out
}

// Fastest is the CPU time of the fastest of so many runs.
func Fastest(of int, run func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := time.Duration(1<<63 - 1)
	for range of {
		before := threadTime()
		run()
		best = min(best, threadTime()-before)
	}
	return best
}

// counted hands the inputs on one after the other.
func counted(run func(int)) func() {
	i := -1
	return func() { i++; run(i) }
}

// fill finds how many runs take that long.
func fill(c Case, length time.Duration) int {
	for n := 256; ; n *= 2 {
		if took := once(c, n) * time.Duration(n); took >= length/2 || n >= 1<<24 {
			return max(256, int(float64(n)*float64(length)/float64(took+1)))
		}
	}
}

func once(c Case, n int) time.Duration {
	before := threadTime()
	for i := range n {
		c.Run(i)
	}
	return (threadTime() - before) / time.Duration(n)
}

// Ratio is how many times as long as other r takes: the median over the rounds, in each of
// which both ran one after the other, with its range.
func (r Result) Ratio(other Result) (median, least, most float64) {
	all := make([]float64, 0, len(r.rounds))
	for i := range r.rounds {
		all = append(all, float64(r.rounds[i])/max(1, float64(other.rounds[i])))
	}
	slices.Sort(all)
	return all[len(all)/2], all[0], all[len(all)-1]
}
