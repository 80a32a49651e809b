package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// What the system refuses at a start comes with the way out; other errors are left alone.
func TestExplained(t *testing.T) {
	tests := map[string]struct {
		err  error
		hint string
	}{
		"port taken": {fmt.Errorf("listen on :443: %w", syscall.EADDRINUSE), "ss -ltnp"},
		"no address": {fmt.Errorf("listen on 10.9.9.9:443: %w", syscall.EADDRNOTAVAIL), "ip addr"},
		"low port":   {fmt.Errorf("listen on :443: %w", syscall.EACCES), "CAP_NET_BIND_SERVICE"},
		"key file":   {fmt.Errorf("open secret file: %w", &fs.PathError{Op: "open", Path: "k", Err: syscall.EACCES}), "must own"},
		"disk":       {fmt.Errorf("open audit log: %w", syscall.ENOSPC), "full"},
	}
	for name, tt := range tests {
		var f *failure
		if err := explained(tt.err); !errors.As(err, &f) || !errors.Is(err, tt.err) || !strings.Contains(f.hint, tt.hint) || f.code != exitProblem {
			t.Errorf("%s: %#v", name, err)
		}
	}
	if other := errors.New("other"); explained(other) != other || explained(nil) != nil { //nolint:errorlint // the same one
		t.Error("another error was changed")
	}
}
