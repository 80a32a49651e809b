package bench

import (
	"encoding/json"
	"sallyport/bench/bodies"
	"sallyport/bench/rounds"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
	"sort"
	"strings"
	"testing"
	"time"
)

func TestTmp(t *testing.T) {
	texts := made(t, bodies.Intents)
	e := prepared(t)
	var tapes [256]tape.Tape
	cnt := map[string]int{}
	for i := range texts {
		if err := tapes[i].Parse(texts[i], tape.Limits{}); err != nil {
			t.Fatal(err)
		}
		m := e.Program.Get()
		if m.Check(&tapes[i], 0, e.Intent, schema.Response) != schema.Valid {
			t.Fatal()
		}
		_, ty := m.AppendReduced(nil, schema.Everything())
		for _, u := range ty.Unknown {
			cnt[u]++
		}
		m.Put()
	}
	var ks []string
	for k, n := range cnt {
		ks = append(ks, k)
		_ = n
	}
	sort.Strings(ks)
	t.Log(strings.Join(ks, " "), cnt)
	out := make([]byte, 0, 4096)
	v := new(tape.Tape)
	m := e.Program.Get()
	got := rounds.Measure(41, 4*time.Millisecond,
		rounds.Case{Name: "valid", Run: func(i int) { json.Valid(texts[i%varied]) }},
		rounds.Case{Name: "parse", Run: func(i int) { v.Parse(texts[i%varied], tape.Limits{}) }},
		rounds.Case{Name: "check", Run: func(i int) { m.Check(&tapes[i%varied], 0, e.Intent, schema.Response) }},
		rounds.Case{Name: "check+reduce", Run: func(i int) {
			m.Check(&tapes[i%varied], 0, e.Intent, schema.Response)
			out, _ = m.AppendReduced(out[:0], schema.Everything())
		}},
		rounds.Case{Name: "check+redact", Run: func(i int) { m.Check(&tapes[i%varied], 0, e.Intent, schema.Response); out = m.AppendRedacted(out[:0]) }},
		rounds.Case{Name: "all", Run: func(i int) { e.Answer(texts[i%varied], e.Intent) }},
		rounds.Case{Name: "all+log", Run: func(i int) { e.Logged(texts[i%varied], e.Intent) }},
	)
	for _, g := range got {
		r, _, _ := g.Ratio(got[0])
		t.Log(g.Name, g.Median, g.Min, r, g.Allocs)
	}
}
