package egress_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/contract"
	"sallyport/internal/egress"
	"sallyport/internal/permit"
	"sallyport/internal/provider"
	"sallyport/internal/ratelimit"
	"sallyport/internal/site"
)

// insertion is a gate in front of an upstream that reads what it gets with parsers of its
// own: encoding/json, and net/url with the bracket names below.
type insertion struct {
	*egress.Gate
	sent    []*egress.Request
	permits map[string]string // by operation
}

// insertionCase is one operation with sealed parameters, in one encoding.
type insertionCase struct {
	operation, connection, method, path string
	sealed                              map[string]any // by path
	holds                               func(r *egress.Request) error
}

func insertionCases() []insertionCase {
	return []insertionCase{
		{"create-payment-intent", "payments", "POST", intents, map[string]any{"amount": 1900, "metadata.order": "o-17"}, func(r *egress.Request) error {
			return pairsHold(string(r.Body), map[string]string{"amount": "1900", "metadata[order]": "o-17", "currency": "eur"})
		}},
		{"list-products", "payments", "GET", "/v1/products", map[string]any{"ids": []any{"prod_1"}, "limit": 3}, func(r *egress.Request) error {
			return pairsHold(r.RawQuery, map[string]string{"ids[0]": "prod_1", "limit": "3"})
		}},
		{"retrieve-payment-intent", "payments", "GET", "", map[string]any{"intent": "pi_sealed"}, func(r *egress.Request) error {
			if r.Path != "/v1/payment_intents/pi_sealed" {
				return fmt.Errorf("path %s", r.Path)
			}
			return pairsHold(r.RawQuery, nil)
		}},
		{"geocode", "maps", "GET", "/maps/api/geocode/json", map[string]any{"address": "1 Main St & Co=ö"}, func(r *egress.Request) error {
			return pairsHold(r.RawQuery, map[string]string{"address": "1 Main St & Co=ö"})
		}},
		{"create-order", "orders", "POST", "/v2/checkout/orders", map[string]any{"purchase_units[0].amount": map[string]any{"currency_code": "EUR", "value": "19.00"}}, func(r *egress.Request) error {
			return jsonHolds(r.Body, []any{"purchase_units", 0, "amount"}, map[string]any{"currency_code": "EUR", "value": "19.00"})
		}},
	}
}

func openInsertion(t testing.TB) *insertion {
	t.Helper()
	p := func(list ...string) (out []contract.Path) {
		for _, s := range list {
			out = append(out, mustPath(t, s))
		}
		return out
	}
	rule := func(op string, free, sealed []contract.Path, fixed ...site.Fixed) *site.BrowserRule {
		return &site.BrowserRule{Operation: op, Free: free, Sealed: sealed, Fixed: fixed, Returns: p("id")}
	}
	in := &insertion{permits: map[string]string{}}
	w := open(t)
	k := w.signer("")
	w.deps.Audit, w.deps.Recorder, w.deps.Permits = noAudit{}, noRecords{}, freePermits{}
	w.deps.Upstream = func(*site.Connection, *provider.Pack, *contract.Operation) (egress.Upstream, error) { return in, nil }
	shop := &site.Site{Name: "shop", Origins: []site.Origin{shopOrigin}, Limits: []ratelimit.Rule{
		{Calls: 1 << 30, Window: time.Second, Per: ratelimit.PerSession}, {Calls: 1 << 30, Window: time.Second, Per: ratelimit.PerPrefix}}}
	geocode := rule("geocode", p("language", "region"), p("address"))
	geocode.Returns = p("status")
	shop.Connections = map[string]*site.Connection{
		"payments": {Site: "shop", Name: "payments", Provider: "stripe", Mode: provider.Sandbox, Browser: map[string]*site.BrowserRule{
			"create-payment-intent": rule("create-payment-intent", p("receipt_email", "metadata.note", "description"), p("amount", "metadata.order"),
				site.Fixed{Path: mustPath(t, "currency"), Value: "eur"}),
			"list-products":           {Operation: "list-products", Free: p("active", "starting_after"), Sealed: p("ids", "limit"), Returns: p("data[].id")},
			"retrieve-payment-intent": rule("retrieve-payment-intent", nil, p("intent")),
		}},
		"maps": {Site: "shop", Name: "maps", Provider: "google-maps", Mode: provider.Live, Browser: map[string]*site.BrowserRule{"geocode": geocode}},
		"orders": {Site: "shop", Name: "orders", Provider: "paypal", Mode: provider.Mock, Browser: map[string]*site.BrowserRule{
			"create-order": rule("create-order", p("purchase_units[0].description", "purchase_units[0].reference_id"), p("purchase_units[0].amount"),
				site.Fixed{Path: mustPath(t, "intent"), Value: "CAPTURE"})}},
	}
	gate, err := egress.New([]*site.Site{shop}, catalog, w.deps)
	if err != nil {
		t.Fatal(err)
	}
	in.Gate = gate
	for _, c := range insertionCases() {
		mode := shop.Connections[c.connection].Mode
		in.permits[c.operation] = k.sign(t, goodClaims().with("operation", c.operation).with("connection", c.connection).with("mode", string(mode)).
			with("session", permit.AnySession).with("sealed", claims(c.sealed)).with("exp", time.Now().Add(14*time.Minute).Unix()))
	}
	return in
}

// Send implements egress.Upstream.
func (in *insertion) Send(ctx context.Context, r *egress.Request) (*egress.Response, error) {
	if err := r.Intent(ctx, 1); err != nil {
		return nil, err
	}
	in.sent = append(in.sent, r)
	return reply(200, `{"id":"x_1"}`), nil
}

// try makes one call with whatever a browser may send, and reports whether it was sent on.
func (in *insertion) try(t testing.TB, c insertionCase, segment, query, contentType string, body []byte) bool {
	t.Helper()
	path := c.path
	if path == "" {
		path = intents + "/" + segment
	}
	call := browser(c.connection, c.method, path, "", egress.PermitHeader, in.permits[c.operation])
	call.RawQuery = query
	if c.method == "POST" {
		call.Header.Set("Content-Type", contentType)
		call.ReadBody = func(int64) ([]byte, error) { return body, nil }
	}
	in.sent = in.sent[:0]
	in.Call(context.Background(), call)
	for _, r := range in.sent {
		if err := c.holds(r); err != nil {
			t.Fatalf("%s: %v\nthe browser sent %s?%s %s %q\nthe provider got %s?%s %q", c.operation, err, path, query, contentType, body, r.Path, r.RawQuery, r.Body)
		}
	}
	return len(in.sent) > 0
}

// pairsHold: of each name exactly one pair with that value, and no other name that any
// server could take for the same parameter, one above it or one below it.
func pairsHold(encoded string, want map[string]string) error {
	got, err := url.ParseQuery(encoded)
	if err != nil {
		return err
	}
	for name, value := range want {
		if !reflect.DeepEqual(got[name], []string{value}) {
			return fmt.Errorf("%s is %q, want %q once", name, got[name], value)
		}
	}
	for name := range got {
		for sealed := range want {
			if name != sealed && related(bracketed(name), bracketed(sealed)) {
				return fmt.Errorf("%s stands beside %s", name, sealed)
			}
		}
		if _, fixed := want[name]; !fixed && strings.EqualFold(name, "intent") {
			return fmt.Errorf("%s stands beside the path", name)
		}
	}
	return nil
}

// bracketed reads a[b][0], a.b and a[] the way that servers of forms do, in lower case.
func bracketed(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '[' || r == ']' || r == '.' || r == ' ' })
}

// related: one is the other, or lies in it.
func related(a, b []string) bool {
	n := min(len(a), len(b))
	return reflect.DeepEqual(a[:n], b[:n])
}

// jsonHolds: the value at the place is that one, and no object has a name twice in any case.
func jsonHolds(body []byte, place []any, want any) error {
	if err := namesOnce(json.NewDecoder(bytes.NewReader(body))); err != nil {
		return err
	}
	var got any
	if err := json.Unmarshal(body, &got); err != nil {
		return err
	}
	for _, step := range place {
		switch s := step.(type) {
		case string:
			m, _ := got.(map[string]any)
			got = m[s]
		case int:
			l, _ := got.([]any)
			if len(l) != s+1 {
				return fmt.Errorf("%d elements", len(l))
			}
			got = l[s]
		}
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("found %v", got)
	}
	return nil
}

func namesOnce(d *json.Decoder) error {
	seen := []map[string]bool{}
	name := []bool{} // the next token of the object is a name
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		top := len(seen) - 1
		if s, ok := token.(string); ok && top >= 0 && seen[top] != nil && name[top] {
			if seen[top][strings.ToLower(s)] {
				return fmt.Errorf("%s stands twice", s)
			}
			seen[top][strings.ToLower(s)] = true
			name[top] = false
			continue
		}
		switch token {
		case json.Delim('{'):
			seen, name = append(seen, map[string]bool{}), append(name, true)
			continue
		case json.Delim('['):
			seen, name = append(seen, nil), append(name, false)
			continue
		case json.Delim('}'), json.Delim(']'):
			seen, name = seen[:top], name[:top]
		}
		if top = len(seen) - 1; top >= 0 && seen[top] != nil {
			name[top] = true
		}
	}
}

// insertionSeed is what a browser sends beside, above and below the sealed values.
type insertionSeed struct {
	op                      int
	segment, query, kind, b string
	passes                  bool
}

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

func insertionSeeds() []insertionSeed {
	seeds := []insertionSeed{
		{0, "", "", asJSON, `{}`, true},
		{0, "", "", asJSON, `{"receipt_email":"a@b.example","metadata":{"note":"x"}}`, true},
		{0, "", "", asForm, `receipt_email=a%40b.example&metadata[note]=amount%5B%5D%3D1%26amount%3D2`, true},
		{0, "", "", asForm, `description=%26amount%3D1`, true},
		{1, "", "active=true", "", "", true},
		{1, "", "active=false&starting_after=prod_7", "", "", true},
		{2, "_", "", "", "", true},
		{3, "", "language=de", "", "", true},
		{4, "", "", asJSON, `{}`, true},
		{4, "", "", asJSON, ``, true},
		{4, "", "", asJSON, `{"purchase_units":[{"description":"\"},{\"amount\":{}"}]}`, true},
	}
	refuse := func(op int, segment, query, kind string, bodies ...string) {
		for _, b := range bodies {
			seeds = append(seeds, insertionSeed{op, segment, query, kind, b, false})
		}
	}
	refuse(0, "", "", asJSON, `{"amount":1}`, `{"amount":1900}`, `{"amount":null}`, `{"amount":{"x":1}}`, `{"amount":[1]}`, `{"amount":[]}`, `{"amount":1,"amount":1900}`,
		`{"metadata":"x"}`, `{"metadata":[]}`, `{"metadata":{"order":"x"}}`, `{"metadata":{"order":{"x":1}}}`, `{"metadata":{}}`, `{"metadata":null}`,
		`{"Amount":1}`, `{"amount ":1}`, `{"a\u006dount":1}`, `{"metadata[order]":"x"}`, `{"metadata.order":"x"}`, `{"":1}`, `{"amount[]":1}`, `{"metadata":{"note":"x","ORDER":"y"}}`)
	refuse(0, "", "", asForm, `amount=1`, `amount=1900`, `amount[]=1`, `amount[0]=1`, `amount[x]=1`, `amount.x=1`, `%61mount=1`, `amount=1&amount=1900`, `metadata=x`, `metadata[]=x`,
		`metadata[order]=x`, `metadata[order][x]=1`, `metadata[order]=`, `metadata%5Border%5D=x`, `metadata[order=x`, `metadata]order[=x`, `metadata[[order]]=x`, `amount`, `amount=`, `=1`, `&amount=1`, `amount%00=1`, `Amount=1`, `metadata[order].x=1`)
	refuse(0, "", "amount=1", asJSON, `{}`)
	refuse(1, "", "", "", "")
	for _, q := range []string{"limit=9", "limit=3", "limit[]=9", "ids[]=x", "ids[0]=x", "ids[1]=x", "ids=x", "ids=", "ids[]", "ids[x]=1", "ids.0=x", "ids%5B1%5D=x", "ids[0][0]=x", "limit", "%6cimit=9", "Limit=9", "IDS[1]=x", "active=true&ids[1]=x"} {
		refuse(1, "", q, "", "")
	}
	for _, segment := range []string{"pi_other", "pi_sealed", "", ".", "..", "%2e%2e", "_%2fx", "__", "_;x", "%5f"} {
		refuse(2, segment, "", "", "")
	}
	for _, q := range []string{"intent=pi_other", "intent[]=x"} {
		refuse(2, "_", q, "", "")
	}
	for _, q := range []string{"address=x", "address=", "address[]=x", "Address=x", "address=x&address=y", "addres%73=x", "key=mine"} {
		refuse(3, "", q, "", "")
	}
	refuse(4, "", "", asJSON, `{"purchase_units":[{"amount":{"currency_code":"EUR","value":"1.00"}}]}`, `{"purchase_units":[{"amount":{}}]}`, `{"purchase_units":[{"amount":{"value":"1"}}]}`,
		`{"purchase_units":[]}`, `{"purchase_units":{}}`, `{"purchase_units":null}`, `{"purchase_units":[null]}`, `{"purchase_units":[{},{"amount":{"currency_code":"EUR","value":"1.00"}}]}`,
		`{"purchase_units":[{"description":"a"},{"description":"b"}]}`, `{"purchase_units":[[{"amount":{}}]]}`, `{"purchase_units":[{"description":"a"}],"purchase_units":[{"amount":{}}]}`, `{"purchase_units":{"0":{"description":"a"}}}`, `[]`, `null`)
	return seeds
}

// TestInsertion: what may stand beside a sealed value passes, and all that is at, above or
// below one is refused; either way the provider gets exactly the permit's value.
func TestInsertion(t *testing.T) {
	in := openInsertion(t)
	cases := insertionCases()
	for _, s := range insertionSeeds() {
		if s.op == 1 && s.query == "" || s.op == 2 && s.segment == "%5f" {
			s.passes = true // nothing was sent, or "_" in another spelling
		}
		if passed := in.try(t, cases[s.op], s.segment, s.query, s.kind, []byte(s.b)); passed != s.passes {
			t.Errorf("%s: %q ?%s %s %q: sent on %v, want %v", cases[s.op].operation, s.segment, s.query, s.kind, s.b, passed, s.passes)
		}
	}
}

// TestInsertionOfNoise mutates and mixes what browsers send: with SALLYPORT_TORTURE for long.
func TestInsertionOfNoise(t *testing.T) {
	rounds := 4_000
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		rounds = 400_000
	}
	in, cases, seeds := openInsertion(t), insertionCases(), insertionSeeds()
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 4))
	sent := 0
	for range rounds {
		s, other := seeds[rng.IntN(len(seeds))], seeds[rng.IntN(len(seeds))]
		if in.try(t, cases[s.op], noisy(rng, s.segment, other.segment), noisy(rng, s.query, other.query), s.kind, []byte(noisy(rng, s.b, other.b))) {
			sent++
		}
	}
	if sent < rounds/100 {
		t.Errorf("only %d of %d calls were sent on: the noise tests nothing", sent, rounds)
	}
	if t.Failed() {
		t.Logf("seed %d", seed)
	}
}

// noisy leaves s, joins it with another, or changes a few bytes of it.
func noisy(rng *rand.Rand, s, other string) string {
	const letters = "amountrdegl_[]{}.,:\"%&=+05\\ \x00\xff"
	switch rng.IntN(5) {
	case 0, 1:
		return s
	case 2:
		return s + "&" + other
	case 3:
		if len(s) > 2 && len(other) > 2 && s[0] == '{' && other[0] == '{' {
			return s[:len(s)-1] + "," + other[1:]
		}
	}
	b := []byte(s)
	for range 1 + rng.IntN(3) {
		at := rng.IntN(len(b) + 1)
		switch rng.IntN(3) {
		case 0:
			b = append(b[:at:at], append([]byte{letters[rng.IntN(len(letters))]}, b[at:]...)...)
		case 1:
			if at < len(b) {
				b[at] = letters[rng.IntN(len(letters))]
			}
		default:
			if at < len(b) {
				b = append(b[:at:at], b[at+1:]...)
			}
		}
	}
	return string(b)
}

// FuzzSealedInsertion: whatever the browser sends, in whatever encoding.
func FuzzSealedInsertion(f *testing.F) {
	in, cases := openInsertion(f), insertionCases()
	for _, s := range insertionSeeds() {
		f.Add(uint8(s.op), s.segment, s.query, s.kind == asForm, []byte(s.b))
	}
	f.Fuzz(func(t *testing.T, op uint8, segment, query string, form bool, body []byte) {
		kind := asJSON
		if form {
			kind = asForm
		}
		in.try(t, cases[int(op)%len(cases)], segment, query, kind, body)
	})
}

type noAudit struct{}

func (noAudit) Intent(context.Context, audit.Intent) (audit.ID, error) { return 1, nil }
func (noAudit) Outcome(context.Context, audit.ID, audit.Outcome) error { return nil }
func (noAudit) Record(context.Context, audit.Event) error              { return nil }

type noRecords struct{}

func (noRecords) Record(context.Context, *egress.Record) {}

type freePermits struct{}

func (freePermits) SpendPermit(context.Context, egress.PermitUse) (bool, error) { return true, nil }
func (freePermits) ReturnPermit(context.Context, egress.PermitUse) error        { return nil }
func (freePermits) PurgePermits(context.Context, time.Time) (int, error)        { return 0, nil }
