package bench

import (
	"encoding/json"
	"testing"

	"sallyport/bench/bodies"
	"sallyport/internal/tape"
)

const varied = 256

// made gives the bodies that make writes, or ends the benchmark.
func made(b testing.TB, make func(int) ([][]byte, error)) [][]byte {
	b.Helper()
	out, err := make(varied)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

func BenchmarkTape(b *testing.B) {
	for _, kind := range []struct {
		name string
		make func(int) ([][]byte, error)
	}{{"intents", bodies.Intents}, {"expanded", bodies.Expanded}, {"lists", bodies.Lists}} {
		texts := made(b, kind.make)
		size := 0
		for _, text := range texts {
			size += len(text)
		}
		b.Run(kind.name+"/tape", func(b *testing.B) {
			b.SetBytes(int64(size / len(texts)))
			b.ReportAllocs()
			t := new(tape.Tape)
			for i := 0; b.Loop(); i++ {
				if err := t.Parse(texts[i%varied], tape.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind.name+"/json.Valid", func(b *testing.B) {
			b.SetBytes(int64(size / len(texts)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !json.Valid(texts[i%varied]) {
					b.Fatal("invalid")
				}
			}
		})
	}
}
