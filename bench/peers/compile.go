package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"sallyport/bench/engine"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// ten are the paths of ten operations as a shop uses them.
var ten = []string{
	"/v1/payment_intents", "/v1/payment_intents/{intent}", "/v1/payment_intents/{intent}/confirm",
	"/v1/payment_intents/{intent}/cancel", "/v1/refunds", "/v1/customers",
}

// compile measures the whole of Stripe's description: time, memory, the form on disk, and
// what a site of a few operations holds.
func (r *report) compile() error {
	fmt.Print("\n## Stripe's whole description\n")
	before := heap()
	peak := watch()
	start := time.Now()
	doc, err := engine.Document()
	if err != nil {
		return err
	}
	pointers, operations := engine.Operations(doc)
	program, ids, err := engine.Compile(doc, pointers...)
	if err != nil {
		return err
	}
	took, most := time.Since(start), peak()-before
	data, err := program.MarshalBinary()
	if err != nil {
		return err
	}
	cold := time.Duration(1 << 62)
	for range 5 {
		start = time.Now()
		if _, _, err := schema.UnmarshalSubset(data); err != nil {
			return err
		}
		cold = min(cold, time.Since(start))
	}
	at := map[string]schema.ID{}
	for i, p := range pointers {
		at[p] = ids[i]
	}
	var roots []schema.ID
	used := 0
	for _, path := range ten {
		some, n := engine.OperationsAt(doc, path)
		used += n
		for _, p := range some {
			roots = append(roots, at[p])
		}
	}
	doc, program, ids, at = nil, nil, nil, nil
	empty := heap()
	start = time.Now()
	site, kept, err := schema.UnmarshalSubset(data, roots...)
	if err != nil {
		return err
	}
	subset := time.Since(start)
	// The first answer makes what later ones are read by.
	m, first := site.Get(), time.Now()
	if _, err := m.Read(new(tape.Tape), []byte(`{}`), tape.Limits{}, kept[0]); err != nil {
		return err
	}
	guide := time.Since(first)
	m.Put()
	holds := heap() - empty
	goals()
	r.goal(fmt.Sprintf("compile all %d operations (%d schemas), with reading the 8 MB", operations, len(pointers)), "≤ 3 s", fmt.Sprintf("%d ms", took.Milliseconds()), took <= 3*time.Second)
	r.goal("memory for that, at most", "≤ 150 MiB", fmt.Sprintf("%d MiB", most>>20), most <= 150<<20)
	r.goal(fmt.Sprintf("all of it from its form on disk (%d KiB)", len(data)>>10), "≤ 100 ms", fmt.Sprintf("%.1f ms", float64(cold)/1e6), cold <= 100*time.Millisecond)
	r.goal(fmt.Sprintf("a site with %d operations from there (%d schemas, %.1f ms, and %.1f ms with the first answer) holds", used, site.Len(), float64(subset)/1e6, float64(guide)/1e6), "≤ 5 MiB", fmt.Sprintf("%.2f MiB", float64(holds)/(1<<20)), holds <= 5<<20)
	runtime.KeepAlive(data)
	runtime.KeepAlive(site)
	return nil
}

// heap is the memory of live objects.
func heap() int64 {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// watch notes the most memory that the heap takes until the function it returns is called.
func watch() func() int64 {
	stop, out := make(chan struct{}), make(chan int64)
	go func() {
		most := int64(0)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, int64(m.HeapInuse))
			select {
			case <-stop:
				out <- most
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(stop); return <-out }
}
