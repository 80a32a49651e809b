package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// stripeOperation loads one operation of the catalog's Stripe contract.
func stripeOperation(b *testing.B, id string) *Operation {
	b.Helper()
	data, err := os.ReadFile("../provider/builtin/stripe/contract.json")
	if err != nil {
		b.Fatal(err)
	}
	d, err := Load("stripe", data)
	if err != nil {
		b.Fatal(err)
	}
	o, ok := d.Find(id)
	if !ok {
		b.Fatalf("no operation %s", id)
	}
	return o
}

// variants is how many different texts a benchmark goes through: one repeated text would
// train the branch predictor.
const variants = 256

// intentForms are bodies of create-payment-intent.
func intentForms() [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([][]byte, variants)
	for i := range out {
		pairs := []string{
			fmt.Sprintf("amount=%d", 100+r.IntN(1e6)), "currency=" + []string{"eur", "usd", "gbp"}[r.IntN(3)],
			"automatic_payment_methods[enabled]=true", "description=" + strings.Repeat("order+", 1+r.IntN(6)), "confirm=false",
			fmt.Sprintf("metadata[order]=%d", r.Uint32()), "metadata[shop]=a%20b", fmt.Sprintf("receipt_email=ada%d%%40example.com", r.IntN(1000)),
			"shipping[name]=Ada+Lovelace", "shipping[address][line1]=1+Main+Street", "shipping[address][city]=London", "shipping[address][country]=GB",
			"payment_method_types[0]=card", "payment_method_types[1]=ideal", "statement_descriptor=SHOP",
		}
		r.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
		out[i] = []byte(strings.Join(pairs, "&"))
	}
	return out
}

// intents are answers with a payment intent of about 1,280 bytes, members in any order.
func intents(b *testing.B) [][]byte {
	b.Helper()
	const fixed = `{"amount_details":{"tip":{}},"application":null,"application_fee_amount":null,"automatic_payment_methods":{"enabled":true},"canceled_at":null,
		"cancellation_reason":null,"capture_method":"automatic","confirmation_method":"automatic","customer":null,"description":null,"last_payment_error":null,
		"latest_charge":null,"livemode":false,"metadata":{"order":"1234"},"next_action":null,"object":"payment_intent","on_behalf_of":null,"payment_method":null,
		"payment_method_configuration_details":{"id":"obj_123","parent":null},"payment_method_options":{},"payment_method_types":["card"],"processing":null,
		"receipt_email":"ada@example.com","review":null,"setup_future_usage":null,"shipping":{"name":"Ada","address":{"city":"London","line1":"1 Main Street"}},
		"statement_descriptor":null,"statement_descriptor_suffix":null,"transfer_data":null,"transfer_group":null,"source":null,"managed_payments":{"enabled":true}}`
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(fixed), &members); err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	out := make([][]byte, variants)
	for i := range out {
		id := fmt.Sprintf("pi_%024d", r.Uint64())
		parts := []string{`"id":"` + id + `"`, `"client_secret":"` + id + `_secret_Dm43xiq1k0ywrRRjDoi8y1gkM"`, fmt.Sprintf(`"amount":%d`, r.IntN(1e6)),
			fmt.Sprintf(`"amount_received":%d`, r.IntN(1e6)), fmt.Sprintf(`"created":%d`, 1700000000+r.IntN(1e8)), `"currency":"eur"`, `"status":"succeeded"`}
		for _, name := range sortedKeys(members) {
			var text bytes.Buffer
			if err := json.Compact(&text, members[name]); err != nil {
				b.Fatal(err)
			}
			parts = append(parts, `"`+name+`":`+text.String())
		}
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		out[i] = []byte("{" + strings.Join(parts, ",") + "}")
	}
	return out
}

// BenchmarkRequest is the whole way of a form: read, checked, written.
func BenchmarkRequest(b *testing.B) {
	o, bodies := stripeOperation(b, "create-payment-intent"), intentForms()
	in := Input{Path: "/v1/payment_intents", ContentType: FormType}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		in.Body = bodies[i%variants]
		i++
		args, faults, err := o.Parse(in)
		if err != nil || len(faults) > 0 {
			b.Fatal(faults, err)
		}
		if faults := o.Check(args); len(faults) > 0 {
			b.Fatal(faults)
		}
		if _, err := o.Encode(args, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequestSteps shows where the time of BenchmarkRequest goes.
func BenchmarkRequestSteps(b *testing.B) {
	o, bodies := stripeOperation(b, "create-payment-intent"), intentForms()
	in := Input{Path: "/v1/payment_intents", ContentType: FormType}
	all := make([]Args, variants)
	for i := range all {
		in.Body = bodies[i]
		all[i], _, _ = o.Parse(in)
	}
	steps := map[string]func(i int){
		"parse":  func(i int) { in.Body = bodies[i]; _, _, _ = o.Parse(in) },
		"check":  func(i int) { o.Check(all[i]) },
		"encode": func(i int) { _, _ = o.Encode(all[i], nil) },
	}
	for _, name := range sortedKeys(steps) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				steps[name](i % variants)
				i++
			}
		})
	}
}

// BenchmarkResponse checks and reduces an answer, for a view of all and of three fields.
func BenchmarkResponse(b *testing.B) {
	o, bodies := stripeOperation(b, "retrieve-payment-intent"), intents(b)
	for name, returns := range map[string]string{"all": "", "some": "id status client_secret"} {
		view := mustView(b, o, returns)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(bodies[0])))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				_, faults, err := o.CheckResponse(200, JSONType, bodies[i%variants], view)
				if err != nil || len(faults) > 0 {
					b.Fatal(faults, err)
				}
				i++
			}
		})
	}
}
