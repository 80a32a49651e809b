package backend

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sallyport "sallyport/backend/go"
	"sallyport/test/harness"
)

// step is one thing that a helper does.
type step struct {
	Do      string `json:"do"` // permit, voucher, verify, claim
	SiteKey string `json:"site_key,omitempty"`
	Given   object `json:"given,omitempty"`
	Token   string `json:"token"`
	Want    object `json:"want,omitempty"`
	JWKS    string `json:"jwks,omitempty"` // its address
	Gate    string `json:"gate,omitempty"`
	Now     int64  `json:"now,omitempty"`
}

// result is what came of it: a token, claims, or the reason of a refusal.
type result struct {
	OK    any    `json:"ok"`
	Error string `json:"error"`
}

// language runs steps with one helper, in one process of its own.
type language struct {
	name string
	run  func(t *testing.T, steps []step) []result
}

func languages(t *testing.T) []language {
	t.Helper()
	abs := func(path string) string {
		out, err := filepath.Abs(filepath.FromSlash(path))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	driver := func(program, helper, script string, more ...string) func(*testing.T, []step) []result {
		return func(t *testing.T, steps []step) []result {
			t.Helper()
			path := harness.Need(t, program)
			raw, err := json.Marshal(steps)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "steps.json")
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(path, append([]string{abs(script), abs(helper), file}, more...)...).Output()
			var failed *exec.ExitError
			if errors.As(err, &failed) {
				t.Fatalf("%s: %v\n%s\n%s", program, err, failed.Stderr, out)
			}
			var results []result
			if err := json.Unmarshal(out, &results); err != nil || len(results) != len(steps) {
				t.Fatalf("%s printed %s (%v)", program, out, err)
			}
			return results
		}
	}
	return []language{
		{"go", runGo},
		{"node", driver("node", "../../backend/node/sallyport.mjs", "testdata/driver.mjs")},
		{"php", driver("php", "../../backend/php/Sallyport.php", "testdata/driver.php")},
		{"php with a file", driver("php", "../../backend/php/Sallyport.php", "testdata/driver.php", filepath.Join(t.TempDir(), "keys.json"))},
		{"python", driver("/usr/bin/python3", "../../backend/python/sallyport.py", "testdata/driver.py")},
	}
}

// memoryUsed is sallyport.Used of one process.
type memoryUsed map[string]bool

func (m memoryUsed) Claim(_ context.Context, id string, _ time.Time) (bool, error) {
	first := !m[id]
	m[id] = true
	return first, nil
}

func runGo(t *testing.T, steps []step) []result {
	used, sets := memoryUsed{}, map[string]*sallyport.KeySet{}
	var out []result
	for _, s := range steps {
		var got any
		var err error
		switch s.Do {
		case "permit":
			got, err = sallyport.SignPermit(s.SiteKey, goPermit(s.Given))
		case "voucher":
			p := goPermit(s.Given)
			got, err = sallyport.SignVoucher(s.SiteKey, sallyport.Voucher{Site: p.Site, Session: p.Session, Life: p.Life, ID: p.ID, Now: p.Now})
		case "verify":
			if sets[s.JWKS] == nil {
				sets[s.JWKS] = sallyport.NewKeySet(s.JWKS)
			}
			if s.Now != 0 {
				sets[s.JWKS].At(func() time.Time { return time.Unix(s.Now, 0) })
			}
			got, err = sallyport.VerifyReceipt(t.Context(), s.Token, goWant(s.Want), sets[s.JWKS], used)
		case "claim":
			got, err = sallyport.ClaimReceipt(t.Context(), s.Gate, s.SiteKey, s.Token, goWant(s.Want))
		}
		out = append(out, goResult(t, got, err))
	}
	return out
}

func goResult(t *testing.T, got any, err error) result {
	t.Helper()
	var refused *sallyport.ReceiptError
	switch {
	case errors.As(err, &refused):
		return result{Error: refused.Reason}
	case err != nil:
		return result{Error: err.Error()}
	}
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(raw, &r.OK); err != nil {
		t.Fatal(err)
	}
	return r
}

func goPermit(given object) sallyport.Permit {
	text := func(name string) string { s, _ := given[name].(string); return s }
	whole := func(name string) int64 {
		switch n := given[name].(type) {
		case json.Number:
			i, _ := n.Int64()
			return i
		case int:
			return int64(n)
		case int64:
			return n
		}
		return 0
	}
	p := sallyport.Permit{Site: text("site"), Connection: text("connection"), Mode: text("mode"), Operation: text("operation"), Origin: text("origin"),
		Session: text("session"), Uses: int(whole("uses")), ID: text("id"), Life: time.Duration(whole("life")) * time.Second}
	p.Sealed, _ = given["sealed"].(map[string]any)
	if now := whole("now"); now != 0 {
		p.Now = time.Unix(now, 0)
	}
	return p
}

func goWant(want object) sallyport.Expected {
	text := func(name string) string { s, _ := want[name].(string); return s }
	return sallyport.Expected{Site: text("site"), Connection: text("connection"), Mode: text("mode"), Operation: text("operation"), Session: text("session")}
}

// TestVectorsInEveryLanguage: each helper signs what the file says byte for byte, and says of
// every receipt what the file says.
func TestVectorsInEveryLanguage(t *testing.T) {
	v := load(t)
	var asked atomic.Int64
	jwks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "public, max-age=300")
		w.Write(v.Receipts.JWKS) //nolint:errcheck // the test sees it
	}))
	defer jwks.Close()
	var steps []step
	var names, wants []string
	add := func(name, want string, s step) {
		names, wants, steps = append(names, name), append(wants, want), append(steps, s)
	}
	for _, one := range v.Permits.Good {
		add("permit "+one.Name, one.Token, step{Do: "permit", SiteKey: one.SiteKey, Given: one.Given})
	}
	for _, one := range v.Vouchers {
		add("voucher "+one.Name, one.Token, step{Do: "voucher", SiteKey: one.SiteKey, Given: one.Given})
	}
	verify := step{Do: "verify", JWKS: jwks.URL, Now: v.Receipts.Now, Want: v.Receipts.Want}
	for _, one := range v.Receipts.Good {
		s := verify
		s.Token = one.Token
		add("receipt "+one.Name, "", s)
	}
	for _, one := range v.Receipts.Bad {
		s := verify
		s.Token = one.Token
		add("refused receipt "+one.Name, one.Reason, s)
	}
	for _, l := range languages(t) {
		t.Run(l.name, func(t *testing.T) {
			asked.Store(0)
			good := 0
			for i, r := range l.run(t, steps) {
				switch steps[i].Do {
				case "verify":
					if r.Error != wants[i] {
						t.Errorf("%s: %q, want %q", names[i], r.Error, wants[i])
					}
					if wants[i] == "" && good < len(v.Receipts.Good) {
						sameClaims(t, v.Receipts.Good[good], r.OK)
						good++
					}
				default:
					if r.OK != wants[i] {
						t.Errorf("%s: %v %s\nwant %s", names[i], r.OK, r.Error, wants[i])
					}
				}
			}
			if n := asked.Load(); n != 1 { // one key is unknown, within the same minute
				t.Errorf("the key set was read %d times, want once", n)
			}
		})
	}
}

func sameClaims(t *testing.T, want good, got any) {
	t.Helper()
	raw, err := json.Marshal(want.Claims)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	have, _ := got.(map[string]any)
	if _, knows := have["note"]; !knows {
		delete(claims, "note") // a helper with types leaves out what it does not know
	}
	if fields, ok := have["fields"].([]any); ok && len(fields) == 0 {
		have["fields"] = map[string]any{} // PHP writes an empty map so
	}
	if d := cmp.Diff(claims, have); d != "" {
		t.Errorf("receipt %q (-want +got):\n%s", want.Name, d)
	}
}

// TestWrongUse: what a helper cannot sign it says at once, and signs nothing.
func TestWrongUse(t *testing.T) {
	all := permitGiven()
	without := func(name string) object {
		out := permitGiven()
		delete(out, name)
		return out
	}
	steps := []step{
		{Do: "permit", SiteKey: "", Given: all},
		{Do: "permit", SiteKey: shopKey, Given: without("origin")},
		{Do: "permit", SiteKey: shopKey, Given: without("session")},
		{Do: "permit", SiteKey: shopKey, Given: permitGiven("life", 901)},
		{Do: "permit", SiteKey: shopKey, Given: permitGiven("sealed", object{"a": string(make([]byte, 4096))})},
		{Do: "voucher", SiteKey: shopKey, Given: object{"site": "shop"}},
	}
	for _, l := range languages(t) {
		t.Run(l.name, func(t *testing.T) {
			for i, r := range l.run(t, steps) {
				if r.OK != nil || r.Error == "" {
					t.Errorf("step %d: %v", i, r.OK)
				}
			}
		})
	}
}

// TestKeysAreReadAgain: for a key that is not in the set, but not more often than once a
// minute; and never from an address that redirects.
func TestKeysAreReadAgain(t *testing.T) {
	v := load(t)
	var asked atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "public, max-age=0")
		w.Write(v.Receipts.JWKS) //nolint:errcheck // the test sees it
	})
	mux.Handle("/moved", http.RedirectHandler("/keys", http.StatusFound))
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	server := httptest.NewServer(mux)
	defer server.Close()
	want := v.Receipts.Want
	token := v.Receipts.Good[0].Token
	for _, l := range languages(t) {
		if l.name == "php with a file" {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			asked.Store(0)
			results := l.run(t, []step{
				{Do: "verify", JWKS: server.URL + "/moved", Now: v.Receipts.Now, Want: want, Token: token},
				{Do: "verify", JWKS: server.URL + "/broken", Now: v.Receipts.Now, Want: want, Token: token},
			})
			for i, r := range results {
				if r.OK != nil || r.Error == "" || r.Error == "key" {
					t.Errorf("step %d: %+v", i, r)
				}
			}
			if asked.Load() != 0 {
				t.Error("a redirect was followed")
			}
		})
	}
}
