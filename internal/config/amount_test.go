package config

import (
	"strings"
	"testing"
)

// TestFreeAmount: whoever leaves the price to strangers is told, in every mode.
func TestFreeAmount(t *testing.T) {
	for name, row := range map[string]struct{ provider, operation, want string }{
		"stripe":         {"stripe", "create-payment-intent: {free: [amount], fixed: {currency: eur}, returns: [id]}", "amount is free"},
		"in a range":     {"stripe", "create-payment-intent: {range: {amount: {min: 1, max: 2}}, fixed: {currency: eur}, returns: [id]}", ""},
		"fixed":          {"stripe", "create-payment-intent: {free: [description], fixed: {amount: 100, currency: eur}, returns: [id]}", ""},
		"inside":         {"paypal", "create-order: {free: [purchase_units], fixed: {intent: CAPTURE}, returns: [id]}", "purchase_units[].amount.value is free"},
		"not money":      {"google-maps", "geocode: {free: [address], returns: [status]}", ""},
		"a free receipt": {"stripe", "create-payment-intent: {free: [receipt_email], fixed: {amount: 100, currency: eur}, returns: [id]}", ""},
	} {
		file, faults := parse(t, `version: 1
listen: {public: "127.0.0.1:0", tls: off}
sites: {a: {origins: [https://a.example], connections: {pay: {provider: `+row.provider+`, mode: mock, browser: {`+row.operation+`}}}}}
`)
		if len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
			continue
		}
		text := ""
		for _, w := range file.Warnings {
			text += w.Found + "\n"
		}
		if row.want == "" && text != "" || !strings.Contains(text, row.want) {
			t.Errorf("%s: warnings %q, want %q", name, text, row.want)
		}
	}
}
