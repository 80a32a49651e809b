package provider_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/provider"
)

func samplePacks() []*provider.Pack {
	fact := provider.Fact{Statement: "Data stays in US1 or IE1.", Source: "https://a.example/regions", Date: "2026-11-23", Evidence: "documentation"}
	return []*provider.Pack{
		{
			ID: "open", Name: "Open", Functions: []string{"payments"}, Format: "form in, JSON out",
			Servers: map[string]provider.Server{"api": {URL: map[provider.Mode]string{provider.Live: "https://a.example", provider.Sandbox: "https://b.example"}}},
			Limits: []provider.Limit{
				{Scope: "account", Modes: []provider.Mode{provider.Live}, Calls: 100, Per: "1s", Published: true},
				{Scope: "account", Modes: []provider.Mode{provider.Sandbox}, Calls: 5, Per: "1s", Published: true},
				{Scope: "account", Calls: 1200, Per: "1m", Published: true},
			},
			Idempotency: provider.Idempotency{Header: "Idempotency-Key", Keep: "24h"},
			Regions:     []provider.Fact{fact},
			Compliance:  []provider.Compliance{{Subject: "SOC 2", Fact: fact}},
		},
		{
			ID: "silent", Name: "Silent", Functions: []string{"messages"}, Format: "JSON",
			Limits: []provider.Limit{{Scope: "account", Calls: 10, Per: "1s", Note: "ours"}},
		},
	}
}

func TestCompareFilters(t *testing.T) {
	for _, c := range []struct {
		name    string
		filter  provider.Filter
		want    []string
		because string // of the first that is left out
	}{
		{"nothing", provider.Filter{}, []string{"open", "silent"}, ""},
		{"function", provider.Filter{Function: "Messages"}, []string{"silent"}, "is for payments"},
		{"format", provider.Filter{Format: "form"}, []string{"open"}, "its data format is JSON"},
		{"region", provider.Filter{Region: "us"}, []string{"open"}, "publishes nothing"},
		{"region of nobody", provider.Filter{Region: "au"}, nil, `no published region statement mentions "au"`},
		{"part of a word is no region", provider.Filter{Region: "sta"}, nil, "no published region"},
		{"compliance as people write it", provider.Filter{Compliance: "soc2"}, []string{"open"}, "publishes no compliance claim"},
		{"other compliance", provider.Filter{Compliance: "HIPAA"}, nil, "no published claim about HIPAA"},
		{"rate: the smallest live one counts", provider.Filter{MinRate: 20}, []string{"open"}, "publishes no limit"},
		{"rate too high", provider.Filter{MinRate: 21}, nil, "publishes 20 calls per second, fewer than 21"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := provider.Compare(samplePacks(), c.filter)
			var got []string
			for _, p := range table.Providers {
				got = append(got, p.ID)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("kept %v; want %v", got, c.want)
			}
			if c.because != "" && (len(table.LeftOut) == 0 || !strings.Contains(table.LeftOut[0].Because, c.because)) {
				t.Errorf("left out %+v; want because %q", table.LeftOut, c.because)
			}
			for _, row := range table.Rows {
				if len(row.Cells) != len(c.want) {
					t.Errorf("row %q has %d cells for %d providers", row.Property, len(row.Cells), len(c.want))
				}
			}
		})
	}
}

// TestCompareSaysNotPublished: silence is never shown as a no, and our own limit never
// as the provider's.
func TestCompareSaysNotPublished(t *testing.T) {
	table := provider.Compare(samplePacks(), provider.Filter{})
	for _, property := range []string{"limits", "data regions", "compliance", "idempotency", "webhooks", "caching"} {
		i := slices.IndexFunc(table.Rows, func(r provider.Row) bool { return r.Property == property })
		if i < 0 {
			t.Fatalf("no row %q", property)
		}
		silent := table.Rows[i].Cells[1]
		if silent.Published || silent.Lines[0] != provider.NotPublished {
			t.Errorf("%s: %+v; want not published", property, silent)
		}
	}
	i := slices.IndexFunc(table.Rows, func(r provider.Row) bool { return r.Property == "limits" })
	if got := table.Rows[i].Cells[1].Lines[1]; got != "ours: 10 per second per account" {
		t.Errorf("our own limit: %q", got)
	}
}

// TestServedModes: a provider whose credentials need a token first is served in mode
// mock only, and both list and comparison say so.
func TestServedModes(t *testing.T) {
	packs, err := provider.Builtin().Load("paypal", "stripe")
	if err != nil {
		t.Fatal(err)
	}
	if got := packs[0].Served(); !slices.Equal(got, []provider.Mode{provider.Mock}) {
		t.Errorf("paypal is served in %v", got)
	}
	if got := packs[1].Served(); !slices.Equal(got, []provider.Mode{provider.Live, provider.Sandbox, provider.Mock}) {
		t.Errorf("stripe is served in %v", got)
	}
	var b bytes.Buffer
	if err := provider.WriteTable(&b, provider.Compare(packs, provider.Filter{})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "this version serves mock only") {
		t.Error("the comparison does not say what is served")
	}
}

func TestDescribe(t *testing.T) {
	pack, err := provider.Builtin().Find("stripe")
	if err != nil {
		t.Fatal(err)
	}
	d := provider.Describe(pack)
	i := slices.IndexFunc(d.Operations, func(o provider.OperationLine) bool { return o.ID == "create-payment-intent" })
	if i < 0 {
		t.Fatal("create-payment-intent is missing")
	}
	op := d.Operations[i]
	if op.Method != "POST" || op.Path != "/v1/payment_intents" || op.Auth != "header Authorization (secret_key)" ||
		op.Servers[provider.Live] != "https://api.stripe.com" || op.Retry != "repeated with an idempotency key only" {
		t.Errorf("line: %+v", op)
	}
	for _, want := range []string{"in receipt_email", "in shipping", "out receipt_email", "out shipping"} {
		if !slices.Contains(op.Personal, want) {
			t.Errorf("personal %v lacks %q", op.Personal, want)
		}
	}
	if !slices.Equal(op.Secret, []string{"out client_secret"}) {
		t.Errorf("secret: %v", op.Secret)
	}
}

// TestTextsFitTheTerminal prints every built-in provider; only a single long word may
// pass the edge.
func TestTextsFitTheTerminal(t *testing.T) {
	packs, err := provider.Builtin().Load()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	errs := []error{
		provider.WriteList(&b, provider.List(packs)),
		provider.WriteTable(&b, provider.Compare(packs, provider.Filter{})),
		provider.WriteTable(&b, provider.Compare(packs, provider.Filter{Function: "payments"})),
	}
	for _, p := range packs {
		errs = append(errs, provider.WriteDescription(&b, provider.Describe(p)))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	blank := 0
	for _, line := range strings.Split(b.String(), "\n") {
		if len([]rune(line)) > 80 && len(strings.Fields(line)) > 2 {
			t.Errorf("%d columns: %s", len([]rune(line)), line)
		}
		if line != strings.TrimRight(line, " ") {
			t.Errorf("trailing space: %q", line)
		}
		if blank++; line != "" {
			blank = 0
		}
		if blank > 1 {
			t.Fatal("two blank lines in a row")
		}
	}
	for _, want := range []string{"stripe", "LEFT OUT", "create-payment-intent", "POST /v1/payment_intents", provider.NotPublished} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the texts lack %q", want)
		}
	}
}

type brokenWriter struct{ left int }

func (w *brokenWriter) Write(b []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, errors.New("disk full")
	}
	return len(b), nil
}

func TestWritersReportErrors(t *testing.T) {
	if err := provider.WriteTable(&brokenWriter{left: 3}, provider.Compare(samplePacks(), provider.Filter{})); err == nil {
		t.Error("a broken writer was not noticed")
	}
}
