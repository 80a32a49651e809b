package config

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"sallyport/internal/secret"
)

// Postgres is the database that nodes share.
type Postgres struct {
	Host     string     // name or address; empty with Socket
	Port     int        //
	Socket   string     // folder of the server's unix socket
	Database string     //
	User     string     //
	Password secret.Ref // the zero Ref: none is asked for
	TLS      bool       // to a certificate that has the name Host
	CA       []byte     // PEM; nil: the system's roots
	Private  bool       // no TLS to another machine: the network between is the operator's alone
}

const (
	sqliteExample   = "sqlite:./data/sallyport.db"
	postgresExample = "postgres://sallyport@db.internal/sallyport"
	// storePattern is what editors are told; the builder reads the address itself.
	storePattern = `^(sqlite:.+|postgres(ql)?://[^\s]+)$`
)

func storeKey() *key {
	want := `"` + sqliteExample + `", or an address such as ` + postgresExample
	return &key{name: "store", kind: kindObject, def: `"` + sqliteExample + `"`, want: want, example: `"` + sqliteExample + `"`,
		doc: "The database: `sqlite:` and a path for one node, or `postgres://` for several, with the keys below where it has a password. Site keys, signing keys, freezes, permits, budgets and idempotency records are kept there. A start reads it.",
		or:  &key{kind: kindText, pattern: storePattern, parsed: true, want: want, example: `"` + sqliteExample + `"`},
		keys: []*key{
			{name: "url", kind: kindText, required: true, want: "an address such as " + postgresExample, example: postgresExample, pattern: storePattern, parsed: true,
				doc: "`postgres://USER@HOST[:PORT]/DATABASE`, or `postgres://USER@/DATABASE?host=/run/postgresql` for a unix socket. To another machine it is always encrypted, and the certificate verified."},
			{name: "password", kind: kindText, def: "none", want: "a reference such as env:SALLYPORT_DB_PASSWORD", example: "env:SALLYPORT_DB_PASSWORD",
				doc: "Reference to the user's password."},
			{name: "ca", kind: kindText, def: "the system's roots", want: "a path to a PEM file", example: "./db-ca.pem",
				doc: "PEM file that vouches for the database's certificate; on this machine it also turns TLS on."},
			{name: "private", kind: kindSwitch, def: "false", example: "true",
				doc: "Allows another machine without TLS, where the network between is yours alone. Each start logs it."},
		}}
}

// storeText is where the store's address stands.
func storeText(root *value) *value {
	if v := root.at("store"); v.form != mapping {
		return v
	}
	return root.at("store", "url")
}

// store reads where the store is.
func (b *builder) store(root *value) {
	v, at := root.at("store"), storeText(root)
	scheme, _, _ := strings.Cut(at.str(), ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		b.file.Postgres = b.postgres(v, at)
		return
	case at.str() != "" && scheme != "sqlite":
		b.fault(at, "found "+at.shown(), `write "`+sqliteExample+`", or an address such as `+postgresExample)
	case v.form == mapping && (v.at("password").present() || v.at("ca").present() || v.at("private").present()):
		b.fault(v, "a store in a file has no password, certificate or network", `write store: "`+at.str()+`"`)
	}
	name := storeName(root)
	if name == "" || strings.ContainsAny(name, "?#") || strings.HasPrefix(name, "//") || strings.HasPrefix(name, ":") {
		b.fault(at, "found "+at.shown(), `write a plain path after sqlite:, such as "`+sqliteExample+`"`)
	}
	b.file.Store = b.resolve(name)
}

// storeName is the path of the database in a file; the default where there is none.
func storeName(root *value) string {
	if name, ok := strings.CutPrefix(storeText(root).str(), "sqlite:"); ok {
		return name
	}
	return "./data/sallyport.db"
}

// postgres reads the address and what belongs to it.
func (b *builder) postgres(v, at *value) *Postgres {
	p := b.postgresAddress(at)
	if p == nil {
		return nil
	}
	if password := v.at("password"); password.present() {
		p.Password = b.passwordRef(password, "env:SALLYPORT_DB_PASSWORD", "keystore:database")
	}
	if ca := v.at("ca"); ca.str() != "" {
		p.CA = b.pemRoots(ca, b.resolve(ca.str()))
	}
	p.Private = v.at("private").yes()
	away := p.Socket == "" && !loopbackHost(p.Host)
	switch {
	case p.Private && !away:
		b.fault(v.at("private"), "the database is on this machine", "remove private")
	case p.Private && p.CA != nil:
		b.fault(v.at("private"), "private means without TLS, and ca names a certificate", "remove one of them")
	case p.CA != nil && p.Socket != "":
		b.fault(v.at("ca"), "a certificate is named, and a unix socket has no TLS", "remove ca")
	case p.Private:
		b.loosen(v.at("private"), "the way to the database is not encrypted")
	}
	p.TLS = away && !p.Private || p.CA != nil
	return p
}

// postgresAddress reads user@host[:port]/database, or user@/database?host=FOLDER[&port=PORT].
func (b *builder) postgresAddress(at *value) *Postgres {
	u, err := url.Parse(at.text)
	if err != nil {
		b.hide(at.text)
		b.fault(at, "this is not an address", "write "+postgresExample)
		return nil
	}
	query := u.Query()
	p := &Postgres{Host: u.Hostname(), Socket: query.Get("host"), Database: strings.TrimPrefix(u.Path, "/"), User: u.User.Username()}
	port := u.Port()
	if p.Socket != "" && port == "" {
		port = query.Get("port")
	}
	if port == "" {
		port = "5432"
	}
	number, portErr := strconv.ParseUint(port, 10, 16)
	p.Port = int(number)
	_, literal := u.User.Password()
	for name := range query {
		if name == "host" || name == "port" && p.Socket != "" {
			continue
		}
		hint := "remove it; the other settings are keys of store"
		if strings.HasPrefix(name, "ssl") {
			hint = "remove it: to another machine the connection is always encrypted and its certificate verified; store.ca names another authority's"
		}
		b.fault(at, "the address has "+strconv.Quote(name)+", which is not read", hint)
		return nil
	}
	switch {
	case literal:
		b.hide(at.text)
		b.fault(at, "the database's password stands in the file (it is not shown)", "write store: {url: "+u.Scheme+"://"+u.User.Username()+"@"+u.Host+u.Path+", password: env:SALLYPORT_DB_PASSWORD}")
		return nil
	case p.User == "" || p.Database == "" || strings.Contains(p.Database, "/"):
		b.fault(at, "found "+at.shown()+", which lacks the user or the database", "write "+postgresExample)
		return nil
	case p.Socket != "" && (p.Host != "" || !filepath.IsAbs(p.Socket)):
		b.fault(at, "found "+at.shown()+", which does not name the folder of one unix socket", "write postgres://"+p.User+"@/"+p.Database+"?host=/run/postgresql")
		return nil
	case p.Socket == "" && p.Host == "" || portErr != nil || number == 0 || u.Fragment != "":
		b.fault(at, "found "+at.shown()+", which names no host and port", "write "+postgresExample)
		return nil
	}
	if _, err := netip.ParseAddr(p.Host); p.Socket == "" && err != nil && !hostName(p.Host) {
		b.fault(at, "found "+at.shown()+", which names no host", "write "+postgresExample)
		return nil
	}
	if p.Host == "localhost" {
		p.Host = "127.0.0.1"
	}
	return p
}
