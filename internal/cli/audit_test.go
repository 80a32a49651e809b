package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/audit"
	"sallyport/internal/problem"
	"sallyport/internal/secret"
)

// audited is a folder with a file and the log of one call that was made and one that was refused.
func audited(t *testing.T) (config, log string) {
	t.Helper()
	dir := t.TempDir()
	config, log = filepath.Join(dir, "sallyport.yaml"), filepath.Join(dir, "data", "audit")
	doc := "version: 1\nlisten: {public: \"127.0.0.1:0\", tls: off}\nsites: {shop: {connections: {pay: {provider: stripe, mode: mock, backend: all}}}}\n"
	if err := os.WriteFile(config, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(log, audit.Options{Key: func(string) (secret.Value, error) { return secret.NewValue([]byte("sixteen bytes or more")), nil }, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	id, err := l.Intent(t.Context(), audit.Intent{Request: "r1", Site: "shop", Connection: "pay", Provider: "stripe", Operation: "create-refund", Mode: "mock", Caller: "backend", Attempt: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Outcome(t.Context(), id, audit.Outcome{Result: problem.Performed, Status: 200}); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), audit.Event{Kind: audit.KindRefused, Request: "r2", Site: "blog", Code: problem.OriginRefused}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return config, log
}

func TestAuditShow(t *testing.T) {
	config, _ := audited(t)
	for name, c := range map[string]struct {
		args  []string
		lines int
		holds string
	}{
		"all":                             {nil, 3, "performed"},
		"one site":                        {[]string{"--site", "blog"}, 1, "origin_refused"},
		"one request, with its outcome":   {[]string{"--request", "r1"}, 2, "performed"},
		"one operation, with its outcome": {[]string{"--operation", "create-refund"}, 2, "performed"},
		"the outcomes of one site":        {[]string{"--site", "shop", "--kind", "outcome"}, 1, "performed"},
		"the outcomes of another site":    {[]string{"--site", "blog", "--kind", "outcome"}, 0, ""},
		"no such outcome of a site":       {[]string{"--site", "shop", "--outcome", "unknown"}, 0, ""},
		"what was performed for one site": {[]string{"--site", "shop", "--outcome", "performed"}, 1, "performed"},
		"one kind":                        {[]string{"--kind", "intent"}, 1, "create-refund"},
		"one outcome":                     {[]string{"--outcome", "performed"}, 1, "performed"},
		"the last":                        {[]string{"--last", "1"}, 1, "origin_refused"},
		"since":                           {[]string{"--since", "1h"}, 3, "create-refund"},
		"in the past":                     {[]string{"--since", "0s"}, 0, ""},
		"as JSON":                         {[]string{"--json", "--request", "r1", "--kind", "intent"}, 1, `"operation":"create-refund"`},
	} {
		t.Run(name, func(t *testing.T) {
			p, out, errs := program(t)
			code := p.Main(t.Context(), append([]string{"audit", "show", "-c", config}, c.args...))
			if code != exitDone || strings.Count(out.String(), "\n") != c.lines || !strings.Contains(out.String(), c.holds) {
				t.Errorf("code %d\n%s%s", code, out, errs)
			}
		})
	}
	for name, args := range map[string][]string{"kind": {"--kind", "intnet"}, "outcome": {"--outcome", "done"}, "since": {"--since", "yesterday"}, "last": {"--last", "-1"}} {
		p, _, errs := program(t)
		if code := p.Main(t.Context(), append([]string{"audit", "show", "-c", config}, args...)); code != exitUsage || !strings.Contains(errs.String(), "hint:") {
			t.Errorf("%s: code %d, %s", name, code, errs)
		}
	}
}

func TestAuditVerify(t *testing.T) {
	config, log := audited(t)
	p, out, errs := program(t)
	if code := p.Main(t.Context(), []string{"audit", "verify", "-c", config}); code != exitDone || !strings.Contains(out.String(), "the audit log is whole") {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	tamper(t, log)
	for _, more := range [][]string{nil, {"--json"}} {
		p, out, errs = program(t)
		if code := p.Main(t.Context(), append([]string{"audit", "verify", "-c", config}, more...)); code != exitProblem || !strings.Contains(out.String(), "fault") {
			t.Errorf("a changed log passed (code %d):\n%s%s", code, out, errs)
		}
	}
}

// tamper changes one letter of an entry in every file that holds it.
func tamper(t *testing.T, log string) {
	t.Helper()
	changed := 0
	err := filepath.WalkDir(log, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(data), "create-refund") {
			return err
		}
		changed++
		return os.WriteFile(path, []byte(strings.ReplaceAll(string(data), "create-refund", "create-refunb")), 0o600)
	})
	if err != nil || changed == 0 {
		t.Fatalf("changed %d files: %v", changed, err)
	}
}

func TestAuditWithoutALog(t *testing.T) {
	config, log := audited(t)
	if err := os.RemoveAll(log); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"show", "verify"} {
		p, _, errs := program(t)
		if code := p.Main(t.Context(), []string{"audit", command, "-c", config}); code != exitProblem || !strings.Contains(errs.String(), "there is no audit log at") {
			t.Errorf("%s: code %d, %s", command, code, errs)
		}
	}
}
