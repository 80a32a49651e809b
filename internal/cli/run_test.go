package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/provider"
	"sallyport/internal/secret/seal"
	"sallyport/internal/site"
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
		"root key":   {fmt.Errorf("open what is sealed: %w", seal.ErrOpen), "same backup"},
		"no root":    {fmt.Errorf("read root key: %w", seal.ErrRootSize), "same backup"},
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

// TestGreeting: at a terminal a start says what listens where; elsewhere nobody would read it.
func TestGreeting(t *testing.T) {
	file := &config.File{Path: "sallyport.yaml", Data: "/var/lib/sallyport", Keystore: t.TempDir(),
		Listen:   config.Listen{Public: ":443", HTTP: ":80", TLS: config.TLS{Kind: config.TLSAuto}},
		Warnings: make(config.Faults, 1), Loosened: make([]config.Loosening, 2)}
	for i := range 23 {
		file.Sites = append(file.Sites, &site.Site{Name: fmt.Sprintf("site%02d", i), Connections: map[string]*site.Connection{
			"pay": {Name: "pay", Provider: "stripe", Mode: provider.Mock}, "maps": {Name: "maps", Provider: "google-maps", Mode: provider.Live}}})
	}
	file.Sites[0].ServedAt = []string{"api.shop.example", "api.shop.test"}
	for terminal, lines := range map[bool][]string{
		true: {"    Listens   https://192.0.2.1:443/", "    Redirects :80, which also answers for certificates", "      https://api.shop.test/", "      https://192.0.2.1:443/site01/",
			"      maps (google-maps, live), pay (stripe, mock)", "    … and 3 sites more", "    `sallyport check` tells of 1 warning and 2 loosenings."},
		false: nil,
	} {
		p, out, errs := program(t)
		p.Terminal = terminal
		p.Run = func(_ context.Context, o RunOptions) error {
			if (o.Started != nil) != terminal {
				t.Errorf("on a terminal %v, told to greet %v", terminal, o.Started != nil)
			}
			if o.Started != nil {
				o.Started(file, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443})
			}
			return nil
		}
		if code := p.Main(t.Context(), []string{"run"}); code != exitDone || out.Len() > 0 {
			t.Errorf("%d, standard output %q", code, out)
		}
		for _, line := range lines {
			if !strings.Contains(errs.String(), "\n"+line+"\n") {
				t.Errorf("it does not say %q:\n%s", line, errs)
			}
		}
		if !terminal && errs.Len() > 0 {
			t.Errorf("it says %q", errs)
		}
	}
}
