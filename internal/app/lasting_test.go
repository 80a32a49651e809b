package app

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/egress"
	"sallyport/internal/problem"
	"sallyport/internal/provider"
	"sallyport/internal/secret"
	"sallyport/internal/secret/seal"
	"sallyport/internal/site"
	"sallyport/internal/store/sqlite"
)

func quiet(t *testing.T) *Gate {
	t.Helper()
	return &Gate{log: slog.New(slog.DiscardHandler), catalog: provider.Builtin(), secrets: secret.Sources{}}
}

// TestRootKey: without a keystore the root key is made once, for its owner only, and one
// that others can read or that is damaged is refused.
func TestRootKey(t *testing.T) {
	f := &config.File{Data: t.TempDir()}
	first, err := quiet(t).rootKey(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.Data, rootFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != seal.RootSize {
		t.Fatalf("%v %v", info, err)
	}
	if again, err := quiet(t).rootKey(t.Context(), f); err != nil || !again.Equal(first) {
		t.Errorf("the second start has another key: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := quiet(t).rootKey(t.Context(), f); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 5)); err != nil {
		t.Fatal(err)
	}
	if _, err := quiet(t).rootKey(t.Context(), f); err == nil || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("a damaged key: %v", err)
	}
	if err := errors.Join(os.Remove(path), os.Symlink("/dev/zero", path)); err != nil {
		t.Fatal(err)
	}
	if _, err := quiet(t).rootKey(t.Context(), f); err == nil {
		t.Error("a link was followed")
	}
}

// TestHashKeys: each site has a key of its own, the same each time and from 8 goroutines.
func TestHashKeys(t *testing.T) {
	h := &hashKeys{root: secret.NewValue(bytes.Repeat([]byte{7}, seal.RootSize)), known: map[string]secret.Value{}}
	keys := map[string]secret.Value{}
	for _, name := range []string{"", "shop", "blog"} {
		v, err := h.key(name)
		if err != nil {
			t.Fatal(err)
		}
		for other, o := range keys {
			if o.Equal(v) {
				t.Errorf("%q and %q share a key", name, other)
			}
		}
		keys[name] = v
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if v, err := h.key("shop"); err != nil || !v.Equal(keys["shop"]) {
				t.Errorf("another key the second time: %v", err)
			}
		})
	}
	wg.Wait()
}

// TestAnswersAreSealedByCall: what is kept for one call opens for no other, of any site,
// and does not hold its text.
func TestAnswersAreSealedByCall(t *testing.T) {
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "s.db"), Role: sqlite.Serve})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	root, err := seal.NewRoot(secret.NewValue(bytes.Repeat([]byte{7}, seal.RootSize)))
	if err != nil {
		t.Fatal(err)
	}
	a := answers{seal.NewKeyring(root, store)}
	call := func(change func(*egress.AnswerOf)) egress.AnswerOf {
		of := egress.AnswerOf{Key: egress.RepeatKey{Site: "shop", Connection: "payments", Operation: "create-refund", Caller: "backend@live", KeyHash: [32]byte{1}}, Request: [32]byte{2}}
		change(&of)
		return of
	}
	same := call(func(*egress.AnswerOf) {})
	sealed, err := a.Seal(t.Context(), same, []byte("ada@example.com"))
	if err != nil || bytes.Contains(sealed, []byte("ada")) {
		t.Fatalf("%q %v", sealed, err)
	}
	if open, err := a.Open(t.Context(), same, sealed); err != nil || string(open) != "ada@example.com" {
		t.Errorf("%q %v", open, err)
	}
	for name, change := range map[string]func(*egress.AnswerOf){
		"site":       func(of *egress.AnswerOf) { of.Key.Site = "blog" },
		"connection": func(of *egress.AnswerOf) { of.Key.Connection = "donations" },
		"operation":  func(of *egress.AnswerOf) { of.Key.Operation = "retrieve-refund" },
		"caller":     func(of *egress.AnswerOf) { of.Key.Caller = "visit:1@live" },
		"key":        func(of *egress.AnswerOf) { of.Key.KeyHash[31] = 1 },
		"request":    func(of *egress.AnswerOf) { of.Request[0] = 3 },
		"border":     func(of *egress.AnswerOf) { of.Key.Connection, of.Key.Operation = "paymentscreate", "-refund" },
	} {
		if open, err := a.Open(t.Context(), call(change), sealed); err == nil {
			t.Errorf("another %s read %q", name, open)
		}
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := a.Open(t.Context(), same, sealed); err == nil {
		t.Error("a changed answer was opened")
	}
}

// TestSteady: the clock of records goes on from its begin by what passes.
func TestSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		clock := steady(began)
		time.Sleep(25 * time.Hour)
		if got := clock(); got.Sub(began) != 25*time.Hour || got != got.Round(0) {
			t.Errorf("after 25 h it says %s (began %s)", got, began)
		}
	})
}

// TestMocksOutliveReloads: what was created can still be read after a change of the file;
// other switches make another mock.
func TestMocksOutliveReloads(t *testing.T) {
	m := &mocks{now: time.Now, made: map[string]*mockEntry{}}
	p := pack(t, "stripe")
	c := func() *site.Connection {
		return &site.Connection{Site: "shop", Name: "payments", Provider: "stripe", Mode: provider.Mock}
	}
	first := m.of(c(), p)
	if m.of(c(), p) != first {
		t.Error("a reload forgot the mock")
	}
	other, faults := c(), c()
	other.Site, faults.Mock.Seed = "blog", 7
	if m.of(other, p) == first || m.of(faults, p) == first {
		t.Error("another site or other switches share a mock")
	}
}

// TestRecordHoldsNoValues: the line of a call has its names and numbers, and nothing that
// a caller or a provider sent.
func TestRecordHoldsNoValues(t *testing.T) {
	const person = "CANARY-Ada"
	var out bytes.Buffer
	r := recorder{log: slog.New(slog.NewJSONHandler(&out, nil)), config: "abc"}
	r.Record(t.Context(), &egress.Record{
		Call: &egress.Call{ID: "req-1", Site: "shop", Connection: "payments", Method: "POST", Path: "/v1/" + person, RawQuery: "e=" + person,
			Header: http.Header{"Authorization": {"Bearer " + person}, "X-A": {person}}, Client: netip.MustParseAddr("192.0.2.77")},
		Provider: "stripe", Mode: provider.Sandbox, Operation: "create-payment-intent", Caller: site.Browser,
		Decisions: []egress.Decision{{Step: "grammar", Reason: "parameter_refused", Problem: problem.New(problem.ParameterRefused, "not %s", person)}},
		Status:    422, Code: problem.ParameterRefused, BytesIn: 17,
	})
	line := out.String()
	for _, want := range []string{`"req-1"`, `"shop"`, `"payments"`, `"create-payment-intent"`, `422`, `"parameter_refused"`, `"grammar`} {
		if !strings.Contains(line, want) {
			t.Errorf("the line lacks %s: %s", want, line)
		}
	}
	if strings.Contains(line, person) || strings.Contains(line, "192.0.2.77") || strings.Count(line, "\n") != 1 {
		t.Errorf("the line holds what was sent, or is not one line: %s", line)
	}
}

// TestScriptHoldsNoRule: client.js says where parameters travel, and tells no credential,
// no fixed value and no list; a value of the file cannot break out of the script.
func TestScriptHoldsNoRule(t *testing.T) {
	c := connection("shop", "payments", "CANARY_REF")
	c.Account = map[string]string{"account_sid": "CANARY-account"}
	c.Public = map[string]string{"publishable_key": "pk_test_</script><script>alert(1)"}
	c.Browser = map[string]*site.BrowserRule{"create-payment-intent": {Operation: "create-payment-intent",
		Fixed: []site.Fixed{{Value: "CANARY-fixed"}}}}
	other := connection("shop", "back", "CANARY_REF")
	other.BackendAll = true
	script, err := script(&site.Site{Name: "shop", Connections: map[string]*site.Connection{"payments": c, "back": other}}, provider.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	text := string(script)
	if strings.Contains(text, "CANARY") || strings.Contains(text, "<script>alert") || strings.Contains(text, `"back"`) {
		t.Error("client.js holds what it must not")
	}
	if !strings.Contains(text, `"create-payment-intent"`) || !strings.Contains(text, "pk_test_") || strings.Contains(text, scriptMark) {
		t.Error("client.js lacks the site's table")
	}
}
