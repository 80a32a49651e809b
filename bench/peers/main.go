// Command peers prints what the contract engine costs beside encoding/json,
// santhosh-tekuri/jsonschema and kin-openapi: one run, 256 different bodies of each kind,
// rounds that take turns, medians with their range, and each goal with the figure reached.
//
//	cd bench/peers && go run . [-rounds 41] [-round 10ms]
//
// It is a module of its own, so that what only the comparison needs is no dependency of
// the product.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"sallyport/bench/engine"
)

func main() {
	count := flag.Int("rounds", 41, "how many rounds every case runs")
	length := flag.Duration("round", 10*time.Millisecond, "how long a round takes")
	flag.Parse()
	r := report{rounds: *count, length: *length}
	if err := r.run(); err != nil {
		fmt.Fprintf(os.Stderr, "peers: error: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("\n%d of %d goals reached.\n", r.reached, r.goals)
}

// report measures and prints one table after the other.
type report struct {
	rounds         int
	length         time.Duration
	goals, reached int
}

func (r *report) run() error {
	fmt.Printf("%s, %s/%s, %d CPUs, %d rounds of %v\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), r.rounds, r.length)
	// Memory first, while nothing else lies on the heap.
	if err := r.compile(); err != nil {
		return err
	}
	e, err := engine.New()
	if err != nil {
		return err
	}
	p, err := newPeers()
	if err != nil {
		return err
	}
	for _, table := range []func(*engine.Bench, *peers) error{r.answers, r.forms, r.lists, r.expanded, r.hostile} {
		if err := table(e, p); err != nil {
			return err
		}
	}
	return nil
}

// goal prints one goal of the issue with what was measured.
func (r *report) goal(what, want, got string, ok bool) {
	r.goals++
	mark := "**no**"
	if ok {
		r.reached++
		mark = "yes"
	}
	fmt.Printf("| %s | %s | %s | %s |\n", what, want, got, mark)
}

func goals() { fmt.Print("\n| goal | wanted | measured | reached |\n|---|---|---|---|\n") }
