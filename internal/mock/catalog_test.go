package mock_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/contract"
	"sallyport/internal/mock"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

func fixedClock() time.Time { return time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC) }

func builtin(t *testing.T) []*provider.Pack {
	t.Helper()
	packs, err := provider.Builtin().Load()
	if err != nil {
		t.Fatal(err)
	}
	return packs
}

// TestAnswersFitTheContract asks every operation of the catalog once, without and with
// a failing provider, and holds the answer against the contract: no fault, and no field
// that the contract does not know.
func TestAnswersFitTheContract(t *testing.T) {
	for _, pack := range builtin(t) {
		for name, faults := range map[string]site.MockFaults{
			"success": {Seed: 1}, "throttled": {Seed: 1, RateLimited: 1}, "failing": {Seed: 1, ServerError: 1},
		} {
			t.Run(pack.ID+"/"+name, func(t *testing.T) {
				m := mock.New(pack, faults, fixedClock)
				for _, op := range pack.Contract().Operations() {
					status, header, body := m.Answer(op, contract.NewArgs(nil))
					checkAnswer(t, op, status, header, body)
				}
			})
		}
	}
}

func checkAnswer(t *testing.T, op *contract.Operation, status int, header http.Header, body []byte) {
	t.Helper()
	if op.Schema(status) == nil {
		return
	}
	view, err := op.View(nil)
	if err != nil {
		t.Fatalf("%s: %v", op.ID, err)
	}
	reply, faults, err := op.CheckResponse(status, header.Get("Content-Type"), body, view)
	if err != nil {
		t.Errorf("%s: %d: %v: %s", op.ID, status, err, body)
	}
	for _, f := range faults {
		t.Errorf("%s: %d: %s is %s, want %s", op.ID, status, f.Where, f.Found, f.Want)
	}
	if reply.Dropped > 0 {
		t.Errorf("%s: %d: the contract does not know %v", op.ID, status, reply.Unknown)
	}
}

// TestSameSeedSameAnswers: two mocks that see the same calls give the same answers.
func TestSameSeedSameAnswers(t *testing.T) {
	for _, pack := range builtin(t) {
		one, two := mock.New(pack, site.MockFaults{Seed: 7}, fixedClock), mock.New(pack, site.MockFaults{Seed: 7}, fixedClock)
		for _, op := range pack.Contract().Operations() {
			_, _, a := one.Answer(op, contract.NewArgs(nil))
			_, _, b := two.Answer(op, contract.NewArgs(nil))
			if !bytes.Equal(a, b) {
				t.Errorf("%s/%s:\n%s\n%s", pack.ID, op.ID, a, b)
			}
		}
	}
}

// TestCreateThenRead: what one operation made, another reads.
func TestCreateThenRead(t *testing.T) {
	pack, err := provider.Builtin().Find("twilio")
	if err != nil {
		t.Fatal(err)
	}
	m := mock.New(pack, site.MockFaults{Seed: 3}, fixedClock)
	create, _ := pack.Contract().Find("create-message")
	fetch, _ := pack.Contract().Find("fetch-message")
	_, _, made := m.Answer(create, contract.NewArgs(map[string]any{"To": "+447700900123", "Body": "Your vase is ready."}))
	sid := field(t, made, `"sid":"`)
	_, _, read := m.Answer(fetch, contract.NewArgs(map[string]any{"Sid": sid}))
	if !bytes.Equal(made, read) {
		t.Errorf("created\n%s\nread\n%s", made, read)
	}
	_, _, other := m.Answer(fetch, contract.NewArgs(map[string]any{"Sid": "SM00000000000000000000000000000000"}))
	if bytes.Contains(other, []byte("Your vase is ready.")) {
		t.Errorf("another id gave the created message: %s", other)
	}
}

// field takes the text after a mark up to the next quote.
func field(t *testing.T, body []byte, mark string) string {
	t.Helper()
	_, rest, found := bytes.Cut(body, []byte(mark))
	value, _, closed := bytes.Cut(rest, []byte(`"`))
	if !found || !closed || len(value) == 0 {
		t.Fatalf("no %s in %s", mark, body)
	}
	return string(value)
}

// TestNoOpenHints: an object names itself in its own values, at every depth.
func TestNoOpenHints(t *testing.T) {
	for _, pack := range builtin(t) {
		m := mock.New(pack, site.MockFaults{}, fixedClock)
		for _, op := range pack.Contract().Operations() {
			_, _, body := m.Answer(op, contract.NewArgs(map[string]any{}))
			if strings.Contains(string(body), "{id}") {
				t.Errorf("%s %s: %s", pack.ID, op.ID, body)
			}
			if op.ID == "create-payment-intent" {
				id := field(t, body, `"id":"pi_`)
				if !strings.Contains(string(body), `"client_secret":"pi_`+id+`_secret_`) {
					t.Errorf("the client secret does not name its intent: %s", body)
				}
			}
		}
	}
}
