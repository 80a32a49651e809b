package main

import (
	"encoding/json"
	"fmt"
	"time"

	"sallyport/bench/bodies"
	"sallyport/bench/engine"
	"sallyport/bench/rounds"
)

const varied = 256

// work is a case that may fail; the first error ends the report.
func work(name string, first *error, run func(i int) error) rounds.Case {
	return rounds.Case{Name: name, Run: func(i int) {
		if err := run(i % varied); err != nil && *first == nil {
			*first = fmt.Errorf("%s, body %d: %w", name, i%varied, err)
		}
	}}
}

// measure runs the cases and prints them; ratios are to the one that is last.
func (r *report) measure(title string, texts [][]byte, cases ...rounds.Case) map[string]rounds.Result {
	size := 0
	for _, t := range texts {
		size += len(t)
	}
	fmt.Printf("\n## %s: %d different bodies, mean %d bytes\n\n", title, len(texts), size/len(texts))
	got := rounds.Measure(r.rounds, r.length, cases...)
	last := got[len(got)-1]
	fmt.Printf("| case | median | min–max | × %s | allocations |\n|---|---|---|---|---|\n", last.Name)
	by := map[string]rounds.Result{}
	for _, g := range got {
		median, least, most := g.Ratio(last)
		fmt.Printf("| %s | %s | %s–%s | %.2f (%.2f–%.2f) | %.0f |\n", g.Name, micro(g.Median), micro(g.Min), micro(g.Max), median, least, most, g.Allocs)
		by[g.Name] = g
	}
	return by
}

func micro(d time.Duration) string { return fmt.Sprintf("%.2f µs", float64(d)/1e3) }

const (
	valid    = "encoding/json Valid"
	full     = "check, reduce, classify"
	santhosh = "jsonschema v6, decode and validate"
	kin      = "kin-openapi, decode and validate"
)

func isValid(text []byte) error {
	if !json.Valid(text) {
		return fmt.Errorf("not JSON")
	}
	return nil
}

// both are the two libraries over the same texts.
func both(p *peers, texts [][]byte, pointer string, failed *error) []rounds.Case {
	return []rounds.Case{
		work(santhosh, failed, func(i int) error { return p.jsonschema(texts[i], pointer) }),
		work(kin, failed, func(i int) error { return p.kinOpenAPI(texts[i], pointer) }),
		work(valid, failed, func(i int) error { return isValid(texts[i]) }),
	}
}

func (r *report) answers(e *engine.Bench, p *peers) error {
	texts, err := bodies.Intents(varied)
	if err != nil {
		return err
	}
	got := r.measure("PaymentIntent answers", texts, append([]rounds.Case{
		work("tape only", &err, func(i int) error { return e.Tape(texts[i]) }),
		work(full, &err, func(i int) error { _, err := e.AnswerFresh(texts[i], e.Intent); return err }),
		work("the same, output reused", &err, func(i int) error { _, err := e.Answer(texts[i], e.Intent); return err }),
		work("a browser's view of 5 fields", &err, func(i int) error { return e.Browse(texts[i], e.Intent) }),
		work("output reused, and the log's rendering", &err, func(i int) error { return e.Logged(texts[i], e.Intent) }),
	}, both(p, texts, engine.Intent, &err)...)...)
	if err != nil {
		return err
	}
	goals()
	a := got[full]
	r.goal("check, reduce, classify 1,280 B", "≤ 5 µs", fmt.Sprintf("%s (fastest round %s)", micro(a.Median), micro(a.Min)), a.Median <= 5*time.Microsecond)
	median, _, _ := a.Ratio(got[valid])
	r.goal("the same beside json.Valid", "≤ 1.0×", fmt.Sprintf("%.2f×", median), median <= 1)
	for _, name := range []string{santhosh, kin} {
		median, _, _ = got[name].Ratio(a)
		r.goal("the same beside "+name, "≥ 15× faster", fmt.Sprintf("%.1f×", median), median >= 15)
	}
	r.goal("allocations", "≤ 1", fmt.Sprintf("%.0f", a.Allocs), a.Allocs <= 1)
	median, _, _ = got["output reused, and the log's rendering"].Ratio(got["the same, output reused"])
	r.goal("with the redacted rendering", "≤ 1.5×", fmt.Sprintf("%.2f×", median), median <= 1.5)
	return nil
}

func (r *report) forms(e *engine.Bench, p *peers) error {
	forms, err := bodies.Forms(varied)
	if err != nil {
		return err
	}
	// The libraries get the form as a tree: reading Stripe's brackets is not theirs.
	trees := make([]any, varied)
	plain := make([]any, varied)
	for i := range forms {
		if trees[i], err = e.Value(forms[i]); err != nil {
			return err
		}
		text, err := json.Marshal(trees[i])
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &plain[i]); err != nil {
			return err
		}
	}
	const ours = "read, check, classify"
	got := r.measure("forms that create a PaymentIntent", forms,
		work("read only", &err, func(i int) error { return e.Read(forms[i]) }),
		work(ours, &err, func(i int) error { return e.Request(forms[i]) }),
		work("the same, and written anew for the provider", &err, func(i int) error { return e.Sent(forms[i]) }),
		work("kin-openapi, validates a tree", &err, func(i int) error { return p.kin[engine.Form].VisitJSON(plain[i]) }),
		work("jsonschema v6, validates a tree", &err, func(i int) error { return p.santhosh[engine.Form].Validate(trees[i]) }))
	if err != nil {
		return err
	}
	goals()
	r.goal("a request form", "≤ 4 µs", fmt.Sprintf("%s (fastest round %s)", micro(got[ours].Median), micro(got[ours].Min)), got[ours].Median <= 4*time.Microsecond)
	return nil
}

func (r *report) lists(e *engine.Bench, p *peers) error {
	texts, err := bodies.Lists(varied)
	if err != nil {
		return err
	}
	got := r.measure("lists of 16 PaymentIntents", texts, append([]rounds.Case{
		work(full, &err, func(i int) error { _, err := e.AnswerFresh(texts[i], e.List); return err }),
	}, both(p, texts, engine.List, &err)...)...)
	if err != nil {
		return err
	}
	goals()
	a := got[full]
	r.goal("a list of 20 KB", "≤ 60 µs", fmt.Sprintf("%s (fastest round %s)", micro(a.Median), micro(a.Min)), a.Median <= 60*time.Microsecond)
	return nil
}

func (r *report) expanded(e *engine.Bench, p *peers) error {
	texts, err := bodies.Expanded(varied)
	if err != nil {
		return err
	}
	r.measure("PaymentIntents with customer, charge and payment method in them", texts, append([]rounds.Case{
		work(full, &err, func(i int) error { _, err := e.AnswerFresh(texts[i], e.Intent); return err }),
	}, both(p, texts, engine.Intent, &err)...)...)
	return err
}

// hostile tells the slowest of the bodies that are made to cost time.
func (r *report) hostile(e *engine.Bench, _ *peers) error {
	fmt.Print("\n## Hostile bodies of 1 MiB, read, checked, explained, reduced, rendered: fastest of five\n\n| body | what becomes of it | time |\n|---|---|---|\n")
	slowest, which := time.Duration(0), ""
	for _, h := range bodies.Hostile(1 << 20) {
		root := e.Intent
		if h.List {
			root = e.List
		}
		outcome := ""
		best := rounds.Fastest(5, func() { outcome = e.Outcome(h.Text, root) })
		fmt.Printf("| %s, %d bytes | %s | %.2f ms |\n", h.Name, len(h.Text), outcome, float64(best)/1e6)
		if best > slowest {
			slowest, which = best, h.Name
		}
	}
	goals()
	r.goal("any body of 1 MiB", "≤ 50 ms", fmt.Sprintf("%.1f ms (%s)", float64(slowest)/1e6, which), slowest <= 50*time.Millisecond)
	return nil
}
