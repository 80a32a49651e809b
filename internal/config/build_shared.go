package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"sallyport/internal/secret"
	"sallyport/internal/secret/env"
	"sallyport/internal/secret/keystore"
)

// SharedState is the Redis that nodes count in together.
type SharedState struct {
	Address  string     // host:port
	Database int        //
	User     string     // empty: Redis' default user
	Password secret.Ref // the zero Ref: none is asked for
	TLS      bool       //
	Host     string     // the name that its certificate must have
	CA       []byte     // PEM; nil: the system's roots
}

const (
	sharedExample = "rediss://cache.internal:6379/0"
	// sharedPattern is what editors are told; the builder reads the address itself.
	sharedPattern = `^(memory|rediss?://[^\s]+)$`
	redisPort     = "6379"
	maxDatabase   = 1 << 14
)

func sharedKey() *key {
	want := "memory, or an address such as " + sharedExample
	return &key{name: "shared_state", kind: kindObject, def: "memory", want: want, example: sharedExample,
		doc: "Where limits, and what may be used once, are counted. `memory` is one node's own; nodes of one PostgreSQL share a Redis: `redis://` on this machine, `rediss://` (TLS) elsewhere, or the keys below where it has a password. A start reads it.",
		or:  &key{kind: kindText, pattern: sharedPattern, parsed: true, want: want, example: "memory"},
		keys: []*key{
			{name: "url", kind: kindText, required: true, want: "an address such as " + sharedExample, example: sharedExample, pattern: `^rediss?://[^\s]+$`, parsed: true,
				doc: "`rediss://[USER@]HOST[:PORT][/DATABASE]`; `redis://` is without TLS, for this machine or a `private` network."},
			{name: "password", kind: kindText, def: "none", want: "a reference such as env:REDIS_PASSWORD", example: "env:REDIS_PASSWORD",
				doc: "Reference to the password of Redis."},
			{name: "ca", kind: kindText, def: "the system's roots", want: "a path to a PEM file", example: "./redis-ca.pem", doc: "PEM file that vouches for the certificate of Redis."},
			{name: "private", kind: kindSwitch, def: "false", example: "true", doc: "Allows `redis://` without TLS to another machine, where the network between is yours alone. Each start logs it."},
		}}
}

// shared reads shared_state; nil is memory.
func (b *builder) shared(v *value) *SharedState {
	at := v
	switch {
	case v.form == mapping:
		at = v.at("url")
	case v.str() == "" || v.str() == "memory":
		return nil
	}
	s, u := b.redisAddress(at)
	if s == nil {
		return nil
	}
	if password := v.at("password"); v.form == mapping && password.present() {
		s.Password = b.passwordRef(password, "env:REDIS_PASSWORD", "keystore:redis")
	}
	if ca := v.at("ca"); v.form == mapping && ca.str() != "" {
		s.CA = b.pemRoots(ca, b.resolve(ca.str()))
		if !s.TLS {
			b.fault(ca, "a certificate is named, and redis:// has no TLS", "write rediss:// in url, or remove ca")
		}
	}
	private := v.form == mapping && v.at("private").yes()
	switch here := loopbackHost(s.Host); {
	case s.TLS || here:
	case !private:
		b.fault(at, "redis:// to another machine is not encrypted", "write rediss://"+u.Host+", or, where the network between is yours alone, {url: redis://"+u.Host+", private: true}")
	default:
		b.loosen(v.at("private"), "the way to the Redis of shared_state is not encrypted")
	}
	return s
}

// redisAddress reads [user@]host[:port][/database].
func (b *builder) redisAddress(at *value) (*SharedState, *url.URL) {
	if at.str() == "" {
		return nil, nil
	}
	u, err := url.Parse(at.text)
	if err != nil {
		b.fault(at, "this is not an address", "write "+sharedExample)
		return nil, nil
	}
	number, dbErr := strconv.Atoi(strings.TrimPrefix(u.Path, "/"))
	if u.Path == "" || u.Path == "/" {
		number, dbErr = 0, nil
	}
	port := u.Port()
	if port == "" {
		port = redisPort
	}
	n, portErr := strconv.ParseUint(port, 10, 16)
	_, literal := u.User.Password()
	switch {
	case u.Scheme != "redis" && u.Scheme != "rediss":
		b.fault(at, "found "+at.shown(), "write memory, or an address such as "+sharedExample)
	case literal:
		b.hide(at.text)
		b.fault(at, "the password of Redis stands in the file (it is not shown)", "write {url: "+u.Scheme+"://"+u.Host+", password: env:REDIS_PASSWORD}")
	case u.Hostname() == "" || portErr != nil || n == 0 || u.Opaque != "":
		b.fault(at, "found "+at.shown()+", which names no host and port", "write "+sharedExample)
	case dbErr != nil || number < 0 || number > maxDatabase:
		b.fault(at, "found "+at.shown()+"; what follows the host is not the number of a database", "write "+u.Scheme+"://"+u.Host+"/0")
	case u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(at.text, "?#"):
		b.fault(at, at.shown()+" has more than user, host, port and database", "write "+u.Scheme+"://"+u.Host+"/0; the other settings are keys of shared_state")
	default:
		host := u.Hostname()
		if _, err := netip.ParseAddr(host); err != nil && !hostName(host) {
			b.fault(at, "found "+at.shown()+", which names no host", "write "+sharedExample)
			return nil, nil
		}
		return &SharedState{Address: net.JoinHostPort(host, port), Database: number, User: u.User.Username(), TLS: u.Scheme == "rediss", Host: host}, u
	}
	return nil, nil
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// passwordRef reads a reference to a secret of the operator's own, outside sites; variable
// and stored are examples of one.
func (b *builder) passwordRef(v *value, variable, stored string) secret.Ref {
	ref, err := secret.ParseRef(v.text)
	hint := "write " + variable + ", file:/path or " + stored
	switch {
	case v.form != text:
	case err != nil:
		b.hide(v.text)
		b.fault(v, "what stands here is not a reference to a secret (the value is not shown)", hint)
	case ref.Scheme == "vault" && !b.vaultName(v, ref):
	case ref.Scheme == "env" && env.CheckName(ref.Name) != nil:
		b.fault(v, v.shown()+" does not name an environment variable", "write env:NAME with letters, digits and underscores")
	case ref.Scheme == "keystore" && keystore.CheckName(ref.Name) != nil:
		b.fault(v, v.shown()+" is not a name in the keystore", "write "+stored)
	case ref.Scheme == "file":
		ref.Name = b.resolve(ref.Name)
		if b.private(v, ref.Name) {
			return ref
		}
	default:
		return ref
	}
	return secret.Ref{}
}
