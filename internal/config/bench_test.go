package config

import "testing"

func BenchmarkExample(b *testing.B) {
	for b.Loop() {
		if _, faults := Load(example, catalog()); len(faults) > 0 {
			b.Fatal(faults)
		}
	}
}
