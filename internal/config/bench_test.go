package config

import (
	"fmt"
	"strings"
	"testing"
)

func BenchmarkExample(b *testing.B) {
	for b.Loop() {
		if _, faults := Load(example, catalog()); len(faults) > 0 {
			b.Fatal(faults)
		}
	}
}

// BenchmarkTwoHundredSites is the part of a start that config has: 200 sites, three connections each.
func BenchmarkTwoHundredSites(b *testing.B) {
	var doc strings.Builder
	doc.WriteString("version: 1\nlisten: {public: \"127.0.0.1:0\", tls: off}\nsites:\n")
	for i := range 200 {
		fmt.Fprintf(&doc, "  shop-%d:\n    served_at: [api.shop-%d.example]\n    origins: [https://shop-%d.example]\n    connections:\n", i, i, i)
		for _, name := range []string{"a", "b", "c"} {
			fmt.Fprintf(&doc, "      pay-%s:\n        provider: stripe\n        mode: sandbox\n        credentials: {secret_key: env:KEY_%d}\n        browser:\n          create-payment-intent:\n"+
				"            free: [receipt_email]\n            fixed: {currency: eur}\n            range: {amount: {min: 500, max: 500000}}\n            returns: [id, client_secret, status]\n            limit: 10 per minute per session\n        backend: [create-refund]\n", name, i)
		}
	}
	b.SetBytes(int64(doc.Len()))
	if _, err := catalog().Find("stripe"); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, faults := Parse("sallyport.yaml", []byte(doc.String()), catalog()); len(faults) > 0 {
			b.Fatal(faults)
		}
	}
}
