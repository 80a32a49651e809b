package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/provider"
	"sallyport/internal/secret"
)

func TestSharedState(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]*SharedState{
		"memory":                                       nil,
		"redis://127.0.0.1":                            {Address: "127.0.0.1:6379", Host: "127.0.0.1"},
		"redis://localhost:7000/3":                     {Address: "localhost:7000", Host: "localhost", Database: 3},
		`"redis://[::1]:7000"`:                         {Address: "[::1]:7000", Host: "::1"},
		"rediss://gate@cache.internal/2":               {Address: "cache.internal:6379", Host: "cache.internal", User: "gate", Database: 2, TLS: true},
		`{url: "redis://cache", private: true}`:        {Address: "cache:6379", Host: "cache"},
		`{url: "rediss://c", password: "env:PW"}`:      {Address: "c:6379", Host: "c", TLS: true, Password: secret.Ref{Scheme: "env", Name: "PW"}},
		`{url: "rediss://c", password: file:password}`: {Address: "c:6379", Host: "c", TLS: true, Password: secret.Ref{Scheme: "file", Name: file}},
	} {
		doc := "version: 1\nlisten: {public: \"127.0.0.1:0\", tls: off}\nshared_state: " + text + `
sites:
  shop:
    origins: [https://shop.example]
    connections: {payments: {provider: stripe, mode: mock, backend: all}}
`
		f, faults := Parse(filepath.Join(dir, "sallyport.yaml"), []byte(doc), provider.Builtin())
		if len(faults) > 0 {
			t.Errorf("%s: %v", text, faults)
			continue
		}
		got := f.SharedState
		if (got == nil) != (want == nil) || got != nil && (got.Address != want.Address || got.Host != want.Host || got.Database != want.Database ||
			got.User != want.User || got.TLS != want.TLS || got.Password != want.Password) {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
		if loosened := len(f.Loosened) > 0; loosened != strings.Contains(text, "private") {
			t.Errorf("%s: loosened %v", text, f.Loosened)
		}
	}
}
