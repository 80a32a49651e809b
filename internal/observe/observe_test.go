package observe_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
	"k8s.io/klog/v2"

	"sallyport/internal/observe"
	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines parses what was logged; anything that is not one object a line fails.
func lines(t *testing.T, b []byte) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("not a JSON line: %q: %v", line, err)
		}
		all = append(all, m)
	}
	return all
}

func logged(t *testing.T, log func(*slog.Logger)) (map[string]any, string) {
	t.Helper()
	var out bytes.Buffer
	log(observe.New(&out, observe.Options{}))
	all := lines(t, out.Bytes())
	if len(all) != 1 {
		t.Fatalf("%d lines instead of one: %q", len(all), out.String())
	}
	return all[0], out.String()
}

func fullCall() observe.Call {
	return observe.Call{Request: "req-1", Site: "shop", Connection: "payments", Provider: "stripe", Operation: "create-payment-intent",
		Caller: "browser", Mode: "mock", Config: "c0ffee", Status: 422, Code: problem.ContractViolation, Outcome: problem.NotPerformed,
		Attempts: 2, BytesIn: 10, BytesOut: 20, Dropped: 3, Limit: "10 per minute per session",
		Decisions: []observe.Decision{{Check: "contract", Decision: "observe", Reason: "amount is below the minimum"}},
		Phases:    []observe.Phase{{Name: "check", Took: 15 * time.Microsecond}, {Name: "provider", Took: 120 * time.Millisecond}},
		Observed:  []string{"line_items[0].price_data.unit_amount", "CANARY@example.com", "4242424242424242", "x y"},
	}
}

func TestCall(t *testing.T) {
	m, line := logged(t, func(l *slog.Logger) { fullCall().Log(context.Background(), l) })
	if strings.Contains(line, "CANARY") || strings.Contains(line, "4242") {
		t.Errorf("a name that the caller chose is in the line: %s", line)
	}
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(m["time"]))
	if _, offset := at.Zone(); err != nil || offset != 0 || !strings.HasSuffix(fmt.Sprint(m["time"]), "Z") {
		t.Errorf("time %v is not UTC", m["time"])
	}
	delete(m, "time")
	got, _ := json.Marshal(m)
	want := `{"attempts":2,"bytes_in":10,"bytes_out":20,"caller":"browser","code":"contract_violation","config":"c0ffee","connection":"payments",` +
		`"decisions":[{"check":"contract","decision":"observe","reason":"amount is below the minimum"}],"dropped":3,"level":"INFO",` +
		`"limit":"10 per minute per session","mode":"mock","msg":"call",` +
		`"observed":["line_items[0].price_data.unit_amount","[not a name of the contract]","[not a name of the contract]","[not a name of the contract]"],` +
		`"operation":"create-payment-intent","outcome":"not_performed","phases":{"check":15,"provider":120000},"provider":"stripe","request":"req-1","site":"shop","status":422}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	failed, _ := logged(t, func(l *slog.Logger) { observe.Call{Status: 502}.Log(context.Background(), l) })
	if failed["level"] != "WARN" || failed["dropped_attrs"] != nil {
		t.Errorf("%v", failed)
	}
	echoed, _ := logged(t, func(l *slog.Logger) {
		observe.Call{Status: 502, Code: problem.UpstreamEcho}.Log(context.Background(), l)
	})
	if echoed["level"] != "ERROR" {
		t.Errorf("a credential that came back: %v", echoed)
	}
}

func TestCallIsBounded(t *testing.T) {
	c := observe.Call{Site: strings.Repeat("x", 10_000)}
	for range 1000 {
		c.Observed = append(c.Observed, "a")
		c.Decisions = append(c.Decisions, observe.Decision{Reason: strings.Repeat("y", 10_000)})
		c.Phases = append(c.Phases, observe.Phase{Name: "z"})
	}
	if _, line := logged(t, func(l *slog.Logger) { c.Log(context.Background(), l) }); len(line) > 16<<10 {
		t.Errorf("a line of %d bytes", len(line))
	}
}

type password string

type hasSecret struct{ Inner string }

func (hasSecret) LogValue() slog.Value { return slog.StringValue("fine") }

type panics struct{}

func (panics) LogValue() slog.Value { panic("CANARY") }

type panicsAsError struct{}

func (panicsAsError) Error() string { panic("CANARY") }

func TestWhatIsNotInTheListDoesNotAppear(t *testing.T) {
	const canary = "CANARY-7f3c"
	for _, c := range []struct {
		name    string
		attr    slog.Attr
		dropped bool
		shown   any // under its key
	}{
		{"unknown key", slog.String("password", canary), true, nil},
		{"query", slog.String("query", "?key="+canary), true, nil},
		{"body", slog.Any("body", []byte(canary)), true, nil},
		{"url", slog.String("url", canary), true, nil},
		{"client", slog.String("client", canary), true, nil},
		{"another spelling", slog.String("Site", canary), true, nil},
		{"builtin key", slog.String("msg", canary), true, nil},
		{"empty key", slog.String("", canary), true, nil},
		{"text", slog.String("site", "shop"), false, "shop"},
		{"struct under a text key", slog.Any("site", struct{ S string }{canary}), false, "[struct { S string }]"},
		{"bytes under a text key", slog.Any("site", []byte(canary)), false, "[[]uint8]"},
		{"named string under a text key", slog.Any("site", password(canary)), false, "[observe_test.password]"},
		{"error under a text key", slog.Any("site", errors.New(canary)), false, "[*errors.errorString]"},
		{"text under a number key", slog.String("status", canary), false, "[String]"},
		{"text under an error key", slog.String("error", canary), false, "[String]"},
		{"list under a list key", slog.Any("decisions", []observe.Decision{{Reason: canary}}), false, "[[]observe.Decision]"},
		{"secret", slog.Any("name", secret.NewValue([]byte(canary))), false, "[secret]"},
		{"LogValuer", slog.Any("name", hasSecret{canary}), false, "fine"},
		{"LogValuer that panics", slog.Any("name", panics{}), false, nil},
		{"error that panics", slog.Any("error", panicsAsError{}), false, "[observe_test.panicsAsError panicked]"},
		{"error", slog.Any("error", fmt.Errorf("open x: %w", errors.New("no such file"))), false, "open x: no such file"},
		{"duration", slog.Duration("took", 1500*time.Millisecond), false, "1.5s"},
		{"group", slog.Group("http", slog.String("authorization", canary)), true, nil},
		{"group with a known key", slog.Group("http", slog.String("site", "shop")), false, nil},
		{"nested groups", slog.Group("a", slog.Group("b", slog.Any("c", canary))), true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, how := range []func(l *slog.Logger){
				func(l *slog.Logger) { l.LogAttrs(context.Background(), slog.LevelInfo, "m", c.attr) },
				func(l *slog.Logger) { l.With(c.attr).Info("m") },
				func(l *slog.Logger) { l.WithGroup("g").With(c.attr).WithGroup("h").Info("m") },
			} {
				m, line := logged(t, how)
				if strings.Contains(line, "CANARY") || strings.Contains(line, base64.StdEncoding.EncodeToString([]byte(canary))[:10]) {
					t.Errorf("canary in %s", line)
				}
				if (m["dropped_attrs"] == float64(1)) != c.dropped {
					t.Errorf("dropped_attrs %v in %s", m["dropped_attrs"], line)
				}
				if c.shown != nil && m[c.attr.Key] != c.shown {
					t.Errorf("%s: %v, want %v", c.attr.Key, m[c.attr.Key], c.shown)
				}
			}
		})
	}
}

func TestErrorsLoseQueriesAndUserInfo(t *testing.T) {
	err := &url.Error{Op: "Get", URL: "https://CANARY:CANARY@api.example/v1/x?key=CANARY&a=1#CANARY", Err: errors.New("refused")}
	m, line := logged(t, func(l *slog.Logger) { l.Info("m", "error", fmt.Errorf("call: %w", err)) })
	if strings.Contains(line, "CANARY") || !strings.Contains(fmt.Sprint(m["error"]), "api.example/v1/x") {
		t.Errorf("%s", line)
	}
}

// TestInjection sends what ends lines, moves cursors and turns text around through
// every way into a line.
func TestInjection(t *testing.T) {
	for _, evil := range []string{"\r\n{\"level\":\"fake\"}", "\x1b[2J\x1b]0;x\x07", "a\u2028b\u2029c", "\u202egnp.exe", "\u200b\ufeff", "\u009b31m", "\x7f\x00\x08", "\xff\xc0\xae", "\ud7ff\U000e0001", "\"}\n{\"", `\u000a`} {
		var out bytes.Buffer
		l := observe.New(&out, observe.Options{})
		l.Info(evil, "site", evil, "error", errors.New(evil), evil, evil)
		l.With("name", evil).WithGroup(evil).Info("x")
		observe.Call{Site: evil, Limit: evil, Code: problem.Code(evil), Observed: []string{evil}, Err: errors.New(evil),
			Decisions: []observe.Decision{{Check: evil, Decision: evil, Reason: evil}}, Phases: []observe.Phase{{Name: evil}}}.Log(context.Background(), l)
		if got := lines(t, out.Bytes()); len(got) != 3 {
			t.Errorf("%q: %d lines instead of 3", evil, len(got))
		}
		text := out.String()
		if !utf8.ValidString(text) {
			t.Errorf("%q: broken UTF-8", evil)
		}
		for _, r := range strings.ReplaceAll(text, "\n", "") {
			if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r == 0xfeff || r >= 0xe0000 {
				t.Errorf("%q: %U is in the line", evil, r)
			}
		}
		for _, m := range lines(t, out.Bytes()) {
			if m["level"] == "fake" {
				t.Errorf("%q made a line of its own", evil)
			}
		}
	}
}

func TestLaterAttributesWin(t *testing.T) {
	var out bytes.Buffer
	observe.New(&out, observe.Options{}).With("site", "a", "status", 1).Info("m", "site", "b")
	if strings.Count(out.String(), `"site"`) != 1 || lines(t, out.Bytes())[0]["site"] != "b" {
		t.Errorf("%s", out.String())
	}
}

func TestExtraKeysAndLevels(t *testing.T) {
	var out bytes.Buffer
	h := observe.NewHandler(&out, observe.Options{Level: slog.LevelWarn, Keys: map[string]observe.Kind{"shard": observe.Number, "level": observe.Text}})
	l := slog.New(h)
	l.Info("hidden")
	l.Warn("m", "shard", 3, "level", "x", "secret", "y")
	m := lines(t, out.Bytes())[0]
	if m["shard"] != 3.0 || m["level"] != "WARN" || h.Dropped() != 2 {
		t.Errorf("%v, %d dropped", m, h.Dropped())
	}
}

func TestPanicked(t *testing.T) {
	m, line := logged(t, func(l *slog.Logger) {
		func() {
			defer func() {
				l.LogAttrs(context.Background(), slog.LevelError, "panic", observe.Panicked(recover())...)
			}()
			panic(map[string]string{"CANARY": "CANARY"})
		}()
	})
	if strings.Contains(line, "CANARY") || m["panic"] != "map[string]string" || !strings.Contains(fmt.Sprint(m["stack"]), "TestPanicked") {
		t.Errorf("%s", line)
	}
}

func TestCaptureLibraries(t *testing.T) {
	old, flags, w := slog.Default(), log.Flags(), log.Writer()
	level := slog.SetLogLoggerLevel(slog.LevelInfo)
	defer func() {
		slog.SetLogLoggerLevel(level)
		slog.SetDefault(old)
		log.SetFlags(flags)
		log.SetOutput(w)
		klog.ClearLogger()
	}()
	var out bytes.Buffer
	observe.CaptureLibraries(observe.New(&out, observe.Options{}))
	log.Printf("from log\nfake")
	klog.Errorf("from klog %s", "\x1b[2J")
	slog.Error("from slog", "token", "CANARY")
	slog.Info("chatter")
	klog.Infof("chatter")
	klog.Flush()
	got := lines(t, out.Bytes())
	if len(got) != 3 || strings.Contains(out.String(), "CANARY") {
		t.Fatalf("%s", out.String())
	}
	for i, want := range []string{"from log", "from klog", "from slog"} {
		if !strings.HasPrefix(fmt.Sprint(got[i]["msg"]), want) || got[i]["component"] != "library" {
			t.Errorf("%v", got[i])
		}
	}
}

func TestManyWriters(t *testing.T) {
	var out bytes.Buffer
	h := observe.NewHandler(&out, observe.Options{})
	base := slog.New(h).With("site", "shop")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				fullCall().Log(context.Background(), base.With("component", "x"))
				base.Info("m", "unknown", 1)
			}
		})
	}
	all.Wait()
	if n := len(lines(t, out.Bytes())); n != 1600 || h.Dropped() != 800 {
		t.Errorf("%d lines, %d dropped", n, h.Dropped())
	}
}

func BenchmarkCall(b *testing.B) {
	l := observe.New(discard{}, observe.Options{})
	c := fullCall()
	b.ReportAllocs()
	for b.Loop() {
		c.Log(context.Background(), l)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
