// Package bodies makes the inputs of the benchmarks: many different bodies of one kind,
// varied from Stripe's own fixtures, their members in shuffled order. One body repeated
// would train the branch predictor and flatter whoever reads it.
//
// The same seed gives the same bodies. Every body is valid against Stripe's description;
// the benchmarks' tests ask an independent validator.
package bodies

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/stripe/stripe-mock/embedded"
)

// Seed is the one that the published figures use.
const Seed = 20261123

// Spec is Stripe's OpenAPI document (3.0.0), 8 MB.
func Spec() []byte { return embedded.OpenAPISpec }

// maker writes bodies with one source of chance.
type maker struct {
	*rand.Rand
	fixtures map[string]any
}

func newMaker() (*maker, error) {
	var f struct{ Resources map[string]any }
	if err := json.Unmarshal(embedded.OpenAPIFixtures, &f); err != nil {
		return nil, fmt.Errorf("read Stripe's fixtures: %w", err)
	}
	return &maker{rand.New(rand.NewPCG(Seed, 1)), f.Resources}, nil
}

// Intents gives n PaymentIntents as Stripe answers them, about 1,280 bytes each.
func Intents(n int) ([][]byte, error) {
	m, err := newMaker()
	if err != nil {
		return nil, err
	}
	out := make([][]byte, n)
	for i := range out {
		out[i] = m.append(nil, m.intent())
	}
	return out, nil
}

// Lists gives n lists of 16 PaymentIntents, about 20 KB each.
func Lists(n int) ([][]byte, error) {
	m, err := newMaker()
	if err != nil {
		return nil, err
	}
	out := make([][]byte, n)
	for i := range out {
		data := make([]any, 16)
		for k := range data {
			data[k] = m.intent()
		}
		out[i] = m.append(nil, map[string]any{"object": "list", "url": "/v1/payment_intents", "has_more": m.chance(2), "data": data})
	}
	return out, nil
}

// Expanded gives n PaymentIntents with customer, charge and payment method in them.
func Expanded(n int) ([][]byte, error) {
	m, err := newMaker()
	if err != nil {
		return nil, err
	}
	out := make([][]byte, n)
	for i := range out {
		pi := m.intent()
		for _, part := range []struct{ field, resource string }{{"customer", "customer"}, {"latest_charge", "charge"}, {"payment_method", "payment_method"}} {
			pi[part.field] = m.vary(m.fixtures[part.resource])
		}
		out[i] = m.append(nil, pi)
	}
	return out, nil
}

func (m *maker) chance(of int) bool { return m.IntN(of) == 0 }

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func (m *maker) id(prefix string, n int) string {
	b := []byte(prefix)
	for range n {
		b = append(b, alphabet[m.IntN(len(alphabet))])
	}
	return string(b)
}

func (m *maker) pick(of ...string) string { return of[m.IntN(len(of))] }

// intent is the fixture with other values: what is null there is set in some bodies, and
// the reverse.
func (m *maker) intent() map[string]any {
	pi := m.vary(m.fixtures["payment_intent"]).(map[string]any)
	id := m.id("pi_1P", 22)
	pi["id"], pi["client_secret"] = id, m.id(id+"_secret_", 25)
	pi["currency"] = m.pick("usd", "eur", "gbp", "jpy", "chf")
	pi["status"] = m.pick("requires_payment_method", "requires_action", "processing", "succeeded", "canceled")
	pi["capture_method"] = m.pick("automatic", "automatic_async", "manual")
	pi["created"], pi["livemode"] = 1_700_000_000+m.IntN(90_000_000), m.chance(2)
	maybe := func(name string, v any) {
		if m.chance(3) {
			pi[name] = v
		}
	}
	maybe("customer", m.id("cus_", 14))
	maybe("latest_charge", m.id("ch_3P", 22))
	maybe("payment_method", m.id("pm_1P", 22))
	maybe("receipt_email", m.id("", 4+m.IntN(9))+"@example.com")
	maybe("description", m.pick("Order at the shop", "Bestellung über 3 Stück Käse", `A "quoted" note`, "漢字の注文", "Subscription, month 4"))
	maybe("statement_descriptor", m.pick("SHOP", "GIFTS AND MORE"))
	maybe("setup_future_usage", m.pick("on_session", "off_session"))
	maybe("transfer_group", m.id("group_", 8))
	maybe("metadata", map[string]any{"order": strconv.Itoa(m.IntN(1e6)), m.id("k", 5): m.id("", 12)})
	maybe("shipping", map[string]any{"name": m.pick("Ada", "Grace Hopper"), "carrier": nil,
		"address": map[string]any{"city": "Wien", "country": "AT", "line1": "Ring " + strconv.Itoa(m.IntN(90)), "line2": nil, "postal_code": "1010", "state": nil}})
	for _, name := range []string{"last_payment_error", "next_action", "processing", "transfer_data", "payment_method_configuration_details"} {
		maybe(name, nil)
	}
	return pi
}

// vary copies a fixture; whole numbers that are amounts change.
func (m *maker) vary(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range sorted(v) {
			out[k] = m.vary(v[k])
			if n, ok := out[k].(float64); ok && strings.HasPrefix(k, "amount") {
				out[k] = float64(m.IntN(1+int(n)*90) + 1)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = m.vary(v[i])
		}
		return out
	}
	return v
}

func sorted(v map[string]any) []string {
	names := make([]string, 0, len(v))
	for k := range v {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

// append writes compact JSON, the members of every object in shuffled order.
func (m *maker) append(dst []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		names := sorted(v)
		m.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		dst = append(dst, '{')
		for i, name := range names {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(m.append(dst, name), ':')
			dst = m.append(dst, v[name])
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = m.append(dst, v[i])
		}
		return append(dst, ']')
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // only fixtures and what intent sets come here
	}
	return append(dst, text...)
}
