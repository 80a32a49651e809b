package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestProgressIsForTerminalsAndLongWork: nothing is drawn on a pipe, nor within the first second; what
// was drawn is taken away.
func TestProgressIsForTerminalsAndLongWork(t *testing.T) {
	for _, row := range []struct {
		name     string
		terminal bool
		took     time.Duration
		want     string
	}{
		{"a pipe", false, time.Minute, ""},
		{"short work", true, 900 * time.Millisecond, ""},
		{"long work", true, 2 * time.Second, "[###############               ] 50 of 100 operations"},
	} {
		t.Run(row.name, func(t *testing.T) {
			out, now := &bytes.Buffer{}, time.Unix(0, 0)
			p := &Program{Err: out, Terminal: row.terminal, Now: func() time.Time { return now }}
			bar := p.progress()
			bar.show("reading", 0, 0)
			now = now.Add(row.took)
			bar.show("operations", 50, 100)
			bar.show("operations", 51, 100) // too soon to be drawn again
			drawn := out.String()
			bar.end()
			if row.want == "" {
				if out.Len() > 0 {
					t.Errorf("drew %q", out)
				}
				return
			}
			if !strings.HasSuffix(drawn, row.want) || !strings.HasSuffix(out.String(), "\r\x1b[K") {
				t.Errorf("drew %q", out)
			}
		})
	}
}
