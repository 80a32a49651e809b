package app

import (
	"net/netip"
	"testing"

	"sallyport/internal/config"
)

// What only a start reads must be told of when it changes: a proxy that is no longer
// believed is believed until the restart.
func TestNeedsRestart(t *testing.T) {
	behind := func(cidr string) config.Listen {
		return config.Listen{Behind: &config.Behind{From: []netip.Prefix{netip.MustParsePrefix(cidr)}, ClientIP: "X-Forwarded-For"}}
	}
	tests := map[string]struct {
		old, now config.File
		want     string
	}{
		"nothing":      {config.File{Listen: behind("10.0.0.0/8")}, config.File{Listen: behind("10.0.0.0/8"), Hash: "2"}, ""},
		"public":       {config.File{}, config.File{Listen: config.Listen{Public: ":443"}}, "listen"},
		"proxy":        {config.File{Listen: behind("10.0.0.0/8")}, config.File{Listen: behind("10.0.0.0/16")}, "listen.behind"},
		"proxy is new": {config.File{}, config.File{Listen: behind("10.0.0.0/8")}, "listen.behind"},
		"store":        {config.File{}, config.File{Store: "x"}, "store"},
		"keystore":     {config.File{}, config.File{Keystore: "x"}, "secrets.keystore"},
	}
	for name, tt := range tests {
		if got := needsRestart(&tt.old, &tt.now); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
