package bench

import (
	"testing"

	"sallyport/bench/bodies"
)

func BenchmarkAnswer(b *testing.B) {
	e := prepared(b)
	texts := made(b, bodies.Intents)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := e.Answer(texts[i%varied], e.Intent); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForm(b *testing.B) {
	e := prepared(b)
	forms := made(b, bodies.Forms)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := e.Request(forms[i%varied]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList(b *testing.B) {
	e := prepared(b)
	texts := made(b, bodies.Lists)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := e.Answer(texts[i%varied], e.List); err != nil {
			b.Fatal(err)
		}
	}
}
