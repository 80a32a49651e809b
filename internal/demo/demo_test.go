package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/mock"
	"sallyport/internal/provider"
	"sallyport/internal/site"
)

type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// TestRunLeavesNothing: two tours one after the other leave no goroutine and no file.
func TestRunLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	tour := func() {
		ctx, cancel := context.WithCancel(t.Context())
		var out, log output
		ended := make(chan error, 1)
		go func() { ended <- Run(ctx, Options{Out: &out, Log: &log}) }()
		waitFor(t, func() bool { return strings.Contains(out.String(), "Ctrl-C") }, &out)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if log.String() != "" {
			t.Errorf("errors were logged: %s", &log)
		}
	}
	tour() // libraries start what they keep
	before := runtime.NumGoroutine()
	tour()
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before }, stacks{})
	left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

type stacks struct{}

func (stacks) String() string {
	buf := make([]byte, 1<<16)
	return string(buf[:runtime.Stack(buf, true)])
}

func waitFor(t *testing.T, done func() bool, shown interface{ String() string }) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long:\n%s", shown)
		}
	}
}

func TestRunOnATakenPort(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n, _ := strconv.Atoi(port)
	var out output
	if err := Run(t.Context(), Options{Out: &out, Port: n}); err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("Run on a taken port: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); len(left) > 0 || out.String() != "" {
		t.Errorf("left behind: %v, printed %q", left, out.String())
	}
}

func TestKeysAreMasked(t *testing.T) {
	c := &recorder{conn: connection{secrets: []credential{{prefix: "sk_test_", value: "sk_test_abcdef"}}}}
	for _, row := range []struct {
		name, value, want string
		key               bool
	}{
		{"bearer", "Bearer sk_test_abcdef", "Bearer sk_test_" + dots, true},
		{"bare", "sk_test_abcdef", "sk_test_" + dots, true},
		{"inside", "x=sk_test_abcdef&y", "x=sk_test_" + dots + "&y", true},
		{"basic", "Basic QUMxMjM0NTY3ODpzZWNyZXQ=", "Basic AC1234…:" + dots, true},
		{"broken basic", "Basic !!", "Basic " + dots, true},
		{"basic without a colon", "Basic YWJj", "Basic " + dots, true},
		{"plain", "4800", "4800", false},
	} {
		if got, key := c.mask(row.value); got != row.want || key != row.key {
			t.Errorf("%s: mask = %q, %v; want %q, %v", row.name, got, key, row.want, row.key)
		}
	}
}

func TestTapeIsBounded(t *testing.T) {
	tp := newTape()
	for range tapeLength + 50 {
		tp.add(passage{})
	}
	all, last := tp.after(0)
	if len(all) != tapeLength || last != tapeLength+50 || all[0].N != 51 {
		t.Errorf("%d kept, last %d, first %d", len(all), last, all[0].N)
	}
	if some, _ := tp.after(last - 3); len(some) != 3 {
		t.Errorf("%d after the third last", len(some))
	}
}

func TestRecorderWritesBothSides(t *testing.T) {
	pack, err := provider.Builtin().Find("stripe")
	if err != nil {
		t.Fatal(err)
	}
	tp := newTape()
	c := &recorder{tape: tp, pack: pack, conn: connection{name: "c", secrets: []credential{{prefix: "k_", value: "k_1"}}},
		next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"a":1}`))
		})}
	r := httptest.NewRequest("POST", "/v1/x%2Fy?b=2&key=k_1&a=1", strings.NewReader("m%5Bn%5D=1&m=2"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer k_1")
	c.ServeHTTP(httptest.NewRecorder(), r)
	all, _ := tp.after(0)
	raw, err := json.Marshal(all)
	if err != nil || len(all) != 1 || strings.Contains(string(raw), "k_1") {
		t.Fatalf("%v %s", err, raw)
	}
	p := all[0]
	want := []pair{{Name: "b", Value: "2", In: "query"}, {Name: "key", Value: "k_" + dots, In: "query", Key: true}, {Name: "a", Value: "1", In: "query"},
		{Name: "m[n]", Value: "1", In: "body"}, {Name: "m", Value: "2", In: "body"}}
	if p.Status != 201 || string(p.Answer) != `{"a":1}` || p.Path != "/v1/x%2Fy" || len(p.Fields) != len(want) {
		t.Fatalf("%+v", p)
	}
	for i, f := range want {
		if p.Fields[i] != f {
			t.Errorf("field %d is %+v, want %+v", i, p.Fields[i], f)
		}
	}
}

// TestRecorderTellsWhatIsSensitive asks a mock and reads the contract's marks back.
func TestRecorderTellsWhatIsSensitive(t *testing.T) {
	pack, err := provider.Builtin().Find("zigpoll")
	if err != nil {
		t.Fatal(err)
	}
	tp := newTape()
	c := &recorder{tape: tp, pack: pack, next: mock.New(pack, site.MockFaults{}, time.Now).Handler()}
	r := httptest.NewRequest("GET", "/responses", nil)
	r.Header.Set("Authorization", "k")
	c.ServeHTTP(httptest.NewRecorder(), r)
	all, _ := tp.after(0)
	if len(all) != 1 || all[0].Sensitive["data[].userAgent"] != "personal" || all[0].Sensitive["data[].createdAt"] != "" {
		t.Errorf("%+v", all)
	}
}

func TestBodyPairsOfJSON(t *testing.T) {
	got := bodyPairs("application/json", []byte(`{"b":"x","a":{"c":[1]},"n":null}`))
	want := []pair{{Name: "b", Value: "x", In: "body"}, {Name: "a", Value: `{"c":[1]}`, In: "body"}, {Name: "n", Value: "null", In: "body"}}
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	for _, broken := range []string{"", "[1]", "{", `{"a"`, "x"} {
		if got := bodyPairs("application/json", []byte(broken)); len(got) != 0 {
			t.Errorf("%q gave %v", broken, got)
		}
	}
}

func TestPhone(t *testing.T) {
	var p phone
	to := url.Values{"To": {"+447700900123"}, accountField: {"AC1"}}
	check := func(digits string) map[string]any {
		answer := map[string]any{"status": "approved", "valid": true}
		p.compare(answer, url.Values{"To": to["To"], "Code": {digits}, accountField: {"AC1"}})
		return answer
	}
	if a := check("123456"); a["status"] != "pending" || a["valid"] != false {
		t.Errorf("approved a code that was never sent: %v", a)
	}
	send := func() string {
		p.ring(map[string]any{"sid": "VE1"}, to)
		return regexp.MustCompile(`[0-9]{6}`).FindString(p.message("+447700900123"))
	}
	code := send()
	if code == "" || p.message("+1") != "" {
		t.Errorf("messages: %q %q", code, p.message("+1"))
	}
	if a := check("x" + code); a["status"] != "pending" {
		t.Errorf("a wrong code: %v", a)
	}
	if a := check(code); a["status"] != "approved" || a["valid"] != true || a["sid"] != "VE1" || a["account_sid"] != "AC1" {
		t.Errorf("the right code: %v", a)
	}
	if a := check(code); a["status"] != "pending" {
		t.Errorf("the same code again: %v", a)
	}
	code = send()
	for range maxTries {
		check("x")
	}
	if a := check(code); a["status"] != "max_attempts_reached" || a["valid"] != false {
		t.Errorf("the right code after %d wrong ones: %v", maxTries, a)
	}
	for i := range 2 * maxPhones {
		p.ring(map[string]any{}, url.Values{"To": {strconv.Itoa(i)}})
	}
	if len(p.waits) > maxPhones {
		t.Errorf("%d numbers are remembered", len(p.waits))
	}
}

func TestLocated(t *testing.T) {
	for asked, want := range map[string]string{
		"8 Harbour Street, Whitstable": "Whitstable", "delft": "Delft", "Holtenauer Straße, Kiel": "Kiel", "KYOTO": "Kyoto",
		"Atlantis": "", "": "", "8": "",
	} {
		answer := map[string]any{"status": "OK", "results": []any{map[string]any{"formatted_address": "x"}}}
		located(answer, url.Values{"address": {asked}})
		results := answer["results"].([]any)
		if want == "" {
			if answer["status"] != "ZERO_RESULTS" || len(results) != 0 {
				t.Errorf("%q: %v", asked, answer)
			}
			continue
		}
		if got := results[0].(map[string]any)["formatted_address"].(string); answer["status"] != "OK" || !strings.Contains(got, want) {
			t.Errorf("%q: %v", asked, got)
		}
	}
}

func TestShopIsStrict(t *testing.T) {
	polls := &answers{}
	h, err := newShop(shopOptions{Self: "127.0.0.1:1", Gate: "127.0.0.1:2", Dir: t.TempDir(), Tape: newTape(), Phone: &phone{},
		Mocks: []*upstream{{conn: connection{provider: "zigpoll"}, polls: polls}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, method, host, path, body, origin string
		status                                 int
	}{
		{"the page", "GET", "127.0.0.1:1", "/", "", "", 200},
		{"another name for the address", "GET", "rebound.example", "/passed?after=0", "", "", 421},
		{"another port", "GET", "127.0.0.1:9", "/", "", "", 421},
		{"passages", "GET", "127.0.0.1:1", "/passed?after=0", "", "", 200},
		{"passages after nothing", "GET", "127.0.0.1:1", "/passed?after=x", "", "", 200},
		{"an answer from the page", "POST", "127.0.0.1:1", "/survey", `{"choice":"a"}`, "http://127.0.0.1:1", 204},
		{"an answer from another page", "POST", "127.0.0.1:1", "/survey", `{"choice":"a"}`, "http://evil.example", 403},
		{"an answer without an origin", "POST", "127.0.0.1:1", "/survey", `{"choice":"a"}`, "", 403},
		{"no choice", "POST", "127.0.0.1:1", "/survey", `{}`, "http://127.0.0.1:1", 400},
		{"too long", "POST", "127.0.0.1:1", "/survey", `{"choice":"` + strings.Repeat("a", 300) + `"}`, "http://127.0.0.1:1", 400},
		{"a file that is not the shop's", "GET", "127.0.0.1:1", "/stripe.key", "", "", 404},
		{"a path that climbs", "GET", "127.0.0.1:1", "/../stripe.key", "", "", 307},
	} {
		r := httptest.NewRequest(row.method, row.path, strings.NewReader(row.body))
		r.Host = row.host
		if row.origin != "" {
			r.Header.Set("Origin", row.origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != row.status {
			t.Errorf("%s: %d, want %d: %s", row.name, w.Code, row.status, w.Body)
		}
		if csp := w.Header().Get("Content-Security-Policy"); w.Code == 200 && (!strings.Contains(csp, "script-src 'self' http://127.0.0.1:2;") || strings.Contains(csp, "unsafe")) {
			t.Errorf("%s: policy %q", row.name, csp)
		}
	}
	if len(polls.kept) != 1 {
		t.Errorf("%d answers were kept", len(polls.kept))
	}
	for range 100 {
		polls.add("a", "b", time.Now())
	}
	if len(polls.kept) != maxAnswers {
		t.Errorf("%d answers are kept, want %d", len(polls.kept), maxAnswers)
	}
}
