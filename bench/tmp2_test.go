package bench

import (
	"sallyport/bench/bodies"
	"sallyport/internal/schema"
	"sallyport/internal/tape"
	"testing"
)

func BenchmarkCheck(b *testing.B) {
	texts := made(b, bodies.Intents)
	e := prepared(b)
	var tapes [256]tape.Tape
	for i := range texts {
		tapes[i].Parse(texts[i], tape.Limits{})
	}
	m := e.Program.Get()
	for i := 0; b.Loop(); i++ {
		m.Check(&tapes[i%varied], 0, e.Intent, schema.Response)
	}
}
