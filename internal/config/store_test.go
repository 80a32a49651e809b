package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/secret"
)

func storeFile(store string) []byte {
	return []byte("version: 1\nlisten:\n  public: \"127.0.0.1:8443\"\n  tls: off\nstore: " + store +
		"\nsites:\n  shop:\n    connections:\n      payments: {provider: stripe, mode: mock, backend: all}\n")
}

func TestStores(t *testing.T) {
	dir := t.TempDir()
	remote := Postgres{Host: "db.internal", Port: 5432, Database: "gate", User: "sallyport", TLS: true}
	with := func(change func(p *Postgres)) *Postgres {
		p := remote
		change(&p)
		return &p
	}
	tests := []struct {
		store string
		want  *Postgres
		path  string
	}{
		{store: `"sqlite:./kept/s.db"`, path: filepath.Join(dir, "kept/s.db")},
		{store: `{url: "sqlite:./kept/s.db"}`, path: filepath.Join(dir, "kept/s.db")},
		{store: `postgres://sallyport@db.internal/gate`, want: &remote},
		{store: `postgresql://sallyport@db.internal:6000/gate`, want: with(func(p *Postgres) { p.Port = 6000 })},
		{store: `{url: "postgres://sallyport@db.internal/gate", password: env:DB_PASSWORD}`, want: with(func(p *Postgres) { p.Password = secret.Ref{Scheme: "env", Name: "DB_PASSWORD"} })},
		{store: `{url: "postgres://sallyport@10.1.2.3/gate", private: true}`, want: with(func(p *Postgres) { p.Host, p.TLS, p.Private = "10.1.2.3", false, true })},
		{store: `postgres://sallyport@localhost/gate`, want: with(func(p *Postgres) { p.Host, p.TLS = "127.0.0.1", false })},
		{store: `"postgres://sallyport@[::1]/gate"`, want: with(func(p *Postgres) { p.Host, p.TLS = "::1", false })},
		{store: `postgres://sallyport@/gate?host=/run/postgresql`, want: with(func(p *Postgres) { p.Host, p.Socket, p.TLS = "", "/run/postgresql", false })},
		{store: `postgres://sallyport@/gate?host=/run/postgresql&port=6000`, want: with(func(p *Postgres) { p.Host, p.Socket, p.TLS, p.Port = "", "/run/postgresql", false, 6000 })},
	}
	for _, test := range tests {
		file, faults := Parse(filepath.Join(dir, "sallyport.yaml"), storeFile(test.store), catalog())
		if len(faults) > 0 {
			t.Errorf("%s: %v", test.store, faults)
			continue
		}
		if d := cmp.Diff(test.want, file.Postgres); d != "" || file.Store != test.path {
			t.Errorf("%s: store %q, postgres (-want +got):\n%s", test.store, file.Store, d)
		}
		if test.want != nil && file.Data != filepath.Join(dir, "data") {
			t.Errorf("%s: data in %s", test.store, file.Data)
		}
		if loosened := len(file.Loosened) > 0; loosened != (test.want != nil && test.want.Private) {
			t.Errorf("%s: loosened %v", test.store, file.Loosened)
		}
	}
}

func TestBadStores(t *testing.T) {
	for store, want := range map[string]string{
		`postgres://db.internal/gate`:                                             "lacks the user",
		`postgres://sallyport@db.internal`:                                        "lacks the user or the database",
		`postgres://sallyport@/gate`:                                              "names no host",
		`postgres://sallyport@db.internal:0/gate`:                                 "names no host and port",
		`postgres://sallyport@db_1/gate`:                                          "names no host",
		`postgres://sallyport@db.internal/gate?sslmode=prefer`:                    "always encrypted",
		`postgres://sallyport@db.internal/gate?pool_max_conns=4`:                  "not read",
		`postgres://sallyport@db.internal/gate?host=/run/postgresql`:              "one unix socket",
		`postgres://sallyport@/gate?host=run/postgresql`:                          "one unix socket",
		`postgres://sallyport:word@db.internal/gate`:                              "password stands in the file",
		`{url: "postgres://sallyport@localhost/gate", private: true}`:             "on this machine",
		`{url: "postgres://sallyport@db.internal/gate", password: word}`:          "not a reference",
		`{url: "postgres://sallyport@db.internal/gate", password: "vault:a#b"}`:   "no reference to a secret in Vault",
		`{url: "postgres://sallyport@db.internal/gate", password: "env:a b"}`:     "environment variable",
		`{url: "postgres://sallyport@db.internal/gate", password: "file:./none"}`: "cannot be opened",
		`{url: "sqlite:./s.db", password: env:A}`:                                 "no password",
		`{password: env:A}`: "url",
		`mysql://db/gate`:   "sqlite:./data",
		`"sqlite:"`:         "plain path",
	} {
		file, faults := Parse(filepath.Join(t.TempDir(), "sallyport.yaml"), storeFile(store), catalog())
		if file != nil || !strings.Contains(faults.Error(), want) {
			t.Errorf("%s: %v; want a fault with %q", store, faults, want)
		}
		if strings.Contains(faults.Error(), "word@") || strings.Contains(faults.Error(), "password: word") {
			t.Errorf("%s: the password is printed back:\n%v", store, faults)
		}
	}
}
