package config

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/secret"
	"sallyport/internal/secret/env"
	"sallyport/internal/secret/hashivault"
	"sallyport/internal/secret/keystore"
)

// Vault is the HashiCorp Vault or OpenBao behind vault: references.
type Vault struct {
	Address    string // scheme, host and port
	Namespace  string
	CA         []byte // PEM; nil: the system's roots
	ServerName string // the name that its certificate has; empty: the address' host
	Auth       hashivault.Auth
	TTL        time.Duration
	Timeout    time.Duration
	// Transit is the key that wraps the gate's own keys; nil: they lie unwrapped.
	Transit *hashivault.TransitKey
}

const (
	vaultExample = `{address: "https://vault.internal:8200", auth: {approle: {role_id: env:VAULT_ROLE_ID, secret_id: file:/run/secrets/vault-secret-id}}}`
	minVaultTTL  = 5 * time.Second
	maxVaultTTL  = 24 * time.Hour
	minTimeout   = 100 * time.Millisecond
	maxTimeout   = 30 * time.Second
	authMount    = "the method's name"
)

func vaultKey() *key {
	mountKey := func() *key {
		return &key{name: "mount", kind: kindText, def: authMount, want: "the path of the auth method, such as approle", example: "approle", parsed: true,
			doc: "Where the auth method is mounted, without `auth/`."}
	}
	ref := func(name, doc, example string, required bool) *key {
		return &key{name: name, kind: kindText, required: required, want: "a reference such as " + example, example: example, doc: doc}
	}
	role := &key{name: "role", kind: kindText, required: true, want: "the name of a role in Vault", example: "sallyport", doc: "The role in Vault."}
	tokenFile := func(def string) *key {
		return &key{name: "token_file", kind: kindText, def: def, want: "a path to a file with the token", example: "/var/run/secrets/kubernetes.io/serviceaccount/token",
			doc: "File with the signed token. It is read for each login and, unlike `file:` references, may be readable by others, as Kubernetes makes it."}
	}
	return &key{name: "vault", kind: kindObject, def: "none", example: vaultExample, want: vaultExample,
		doc: "The HashiCorp Vault or OpenBao behind `vault:MOUNT/PATH#FIELD` references (docs/guide/vault.md). A start reads it.",
		keys: []*key{
			{name: "address", kind: kindText, required: true, want: "an address such as https://vault.internal:8200", example: "https://vault.internal:8200", parsed: true,
				doc: "Scheme, host and port. `http://` is for this machine only."},
			{name: "namespace", kind: kindText, def: "none", want: "a namespace such as team-a", example: "team-a", parsed: true, doc: "The namespace in Vault Enterprise, HCP Vault or OpenBao."},
			{name: "ca", kind: kindText, def: "the system's roots", want: "a path to a PEM file", example: "./vault-ca.pem", doc: "PEM file that vouches for Vault's certificate."},
			{name: "tls_server_name", kind: kindText, def: "the host of `address`", want: "a host name such as vault.internal", example: "vault.internal", parsed: true, doc: "The name that Vault's certificate has, where it is not the host of `address`."},
			{name: "ttl", kind: kindText, def: "5m", pattern: durationPattern, want: "a time from 5s to 24h", example: "5m",
				doc: "How long a value may be used without asking Vault: 5s to 24h. Values are read again after half of it; a change in Vault is in force by then, and an outage that is shorter goes unnoticed by callers. Afterwards calls are refused. A secret with a lease has its lease instead."},
			{name: "timeout", kind: kindText, def: "5s", pattern: durationPattern, want: "a time from 100ms to 30s", example: "5s", doc: "How long one request to Vault may take: 100ms to 30s."},
			{name: "auth", kind: kindObject, required: true, want: "one of approle, token, kubernetes, jwt", example: "{token: file:/run/secrets/vault-token}",
				doc: "How the gate logs in: exactly one of the keys below. What they point to is read anew for each login.", keys: []*key{
					{name: "approle", kind: kindObject, want: "{role_id: env:VAULT_ROLE_ID, secret_id: file:/run/secrets/vault-secret-id}", example: "{role_id: env:VAULT_ROLE_ID, secret_id: file:/run/secrets/vault-secret-id}",
						doc: "AppRole.", keys: []*key{
							ref("role_id", "Reference to the role id.", "env:VAULT_ROLE_ID", true),
							ref("secret_id", "Reference to the secret id; not needed where the role has `bind_secret_id=false`.", "file:/run/secrets/vault-secret-id", false),
							mountKey()}},
					ref("token", "Reference to a token. One that is renewable is renewed; a new one may be put in its place at any time.", "file:/run/secrets/vault-token", false),
					{name: "kubernetes", kind: kindObject, want: "{role: sallyport}", example: "{role: sallyport}", doc: "The service account of the pod.", keys: []*key{
						role, tokenFile("`" + hashivault.ServiceAccountToken + "`"), mountKey()}},
					{name: "jwt", kind: kindObject, want: "{role: sallyport, token: file:/run/secrets/identity.jwt}", example: "{role: sallyport, token: file:/run/secrets/identity.jwt}",
						doc: "A signed token of somebody whom Vault trusts, as JWT or OIDC auth takes it; one of `token` and `token_file`.", keys: []*key{
							role, ref("token", "Reference to the signed token.", "file:/run/secrets/identity.jwt", false), tokenFile("none"), mountKey()}},
				}},
			{name: "transit", kind: kindObject, def: "none", example: "{key: sallyport}", want: "{mount: transit, key: sallyport}",
				doc: "A key of a Transit engine that wraps the gate's own keys: the root key in the data folder and the keystore's key (`sallyport secrets wrap`).", keys: []*key{
					{name: "mount", kind: kindText, def: "`transit`", want: "the path of a Transit engine, such as transit", example: "transit", parsed: true, doc: "Where the Transit engine is mounted."},
					{name: "key", kind: kindText, required: true, want: "the name of a key in Transit, such as sallyport", example: "sallyport", parsed: true, doc: "The key in Transit, of a type that encrypts (aes256-gcm96 is the default there)."},
				}},
		}}
}

// vault reads secrets.vault; nil: there is none, or it has a fault.
func (b *builder) vault(v *value) *Vault {
	if v.form != mapping {
		return nil
	}
	n := len(b.faults)
	out := &Vault{Namespace: strings.Trim(v.at("namespace").str(), "/"), TTL: hashivault.DefaultTTL, Timeout: hashivault.DefaultTimeout}
	out.Address = b.vaultAddress(v.at("address"))
	if ns := v.at("namespace"); ns.present() && !hashivault.CheckPath(out.Namespace) {
		b.fault(ns, "found "+ns.shown(), "write the namespace's path, such as team-a")
	}
	if ca := v.at("ca"); ca.str() != "" {
		out.CA = b.pemRoots(ca, b.resolve(ca.str()))
	}
	if name := v.at("tls_server_name"); name.present() {
		out.ServerName = name.str()
		if _, err := netip.ParseAddr(out.ServerName); err != nil && !hostName(out.ServerName) {
			b.fault(name, "found "+name.shown()+", which is not a host name", "write the name that stands in Vault's certificate, such as vault.internal")
		}
	}
	if plain := strings.HasPrefix(out.Address, "http://"); plain && (out.CA != nil || out.ServerName != "") {
		b.fault(v.at("address"), "a certificate is named, and http:// has none", "write https://, or remove ca and tls_server_name")
	}
	b.within(v.at("ttl"), &out.TTL, minVaultTTL, maxVaultTTL)
	b.within(v.at("timeout"), &out.Timeout, minTimeout, maxTimeout)
	out.Transit = b.transit(v.at("transit"))
	out.Auth = b.vaultAuth(v.at("auth"), out.Transit != nil)
	if len(b.faults) > n {
		return nil
	}
	return out
}

// vaultAddress reads scheme, host and port.
func (b *builder) vaultAddress(at *value) string {
	if at.str() == "" {
		return ""
	}
	const hint = "write https://HOST:PORT, such as https://vault.internal:8200"
	u, err := url.Parse(at.text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		b.fault(at, "this is not an address", hint)
	case u.User != nil:
		b.hide(at.text)
		b.fault(at, "the address has a user or password in it (it is not shown)", hint+"; how to log in stands under auth")
	case u.Scheme != "https" && u.Scheme != "http":
		b.fault(at, "found "+at.shown(), hint)
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		b.fault(at, "http:// to another machine is not encrypted: whoever listens reads the secrets", "write https://"+u.Host+"; http:// is for this machine only")
	case strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(at.text, "?#"):
		b.fault(at, at.shown()+" has more than scheme, host and port", "write "+u.Scheme+"://"+u.Host)
	default:
		return b.hostPort(at, u)
	}
	return ""
}

func (b *builder) hostPort(at *value, u *url.URL) string {
	host, port := u.Hostname(), u.Port()
	number, err := strconv.ParseUint(port, 10, 16)
	if port != "" && (err != nil || number == 0) {
		b.fault(at, "found "+at.shown()+", whose port is not one", "write "+u.Scheme+"://"+host+":8200")
		return ""
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostName(host) {
		b.fault(at, "found "+at.shown()+", which names no host", "write https://vault.internal:8200")
		return ""
	}
	if port == "" {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + "://" + net.JoinHostPort(host, port)
}

// within reads a time between two bounds.
func (b *builder) within(v *value, into *time.Duration, least, most time.Duration) {
	if !v.present() {
		return
	}
	d, err := time.ParseDuration(v.str())
	if err != nil || d < least || d > most {
		if matches(durationPattern, v.str()) { // else the table has said so
			b.fault(v, "found "+v.shown(), fmt.Sprintf("write a time from %s to %s", shortTime(least), shortTime(most)))
		}
		return
	}
	*into = d
}

func shortTime(d time.Duration) string {
	if d%time.Hour == 0 {
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return d.String()
}

func (b *builder) transit(v *value) *hashivault.TransitKey {
	if v.form != mapping {
		return nil
	}
	k := &hashivault.TransitKey{Mount: "transit", Key: v.at("key").str()}
	if at := v.at("mount"); at.present() {
		if k.Mount = strings.Trim(at.str(), "/"); !hashivault.CheckPath(k.Mount) {
			b.fault(at, "found "+at.shown()+", which is not the path of an engine", "write its path as `vault secrets list` shows it, such as transit")
		}
	}
	if at := v.at("key"); at.str() != "" && (!hashivault.CheckPath(k.Key) || strings.Contains(k.Key, "/")) {
		b.fault(at, "found "+at.shown()+", which is not the name of a key", "write a name of letters, digits and -, such as sallyport")
	}
	return k
}

// vaultAuth reads the one way to log in. early: it is needed before the keystore is open.
func (b *builder) vaultAuth(v *value, early bool) hashivault.Auth {
	if v.form != mapping {
		return hashivault.Auth{}
	}
	var found []string
	for _, name := range []string{"approle", "token", "kubernetes", "jwt"} {
		if v.at(name).present() {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		what := "no way to log in to Vault is named"
		if len(found) > 1 {
			what = "more than one way to log in to Vault is named: " + strings.Join(found, ", ")
		}
		b.fault(v, what, "write exactly one of approle, token, kubernetes, jwt")
		return hashivault.Auth{}
	}
	a := hashivault.Auth{Method: hashivault.Method(found[0])}
	at := v.at(found[0])
	ref := func(v *value, example string) secret.Ref {
		if !v.present() {
			return secret.Ref{}
		}
		return b.vaultRef(v, example, early)
	}
	switch a.Method {
	case hashivault.Token:
		a.Token = ref(at, "file:/run/secrets/vault-token")
		return a
	case hashivault.AppRole:
		a.RoleID, a.SecretID = ref(at.at("role_id"), "env:VAULT_ROLE_ID"), ref(at.at("secret_id"), "file:/run/secrets/vault-secret-id")
	case hashivault.Kubernetes:
		a.TokenFile = hashivault.ServiceAccountToken
	case hashivault.JWT:
		a.Token = ref(at.at("token"), "file:/run/secrets/identity.jwt")
		if at.form == mapping && at.at("token").present() == at.at("token_file").present() {
			b.fault(at, "one of token and token_file is needed, and not both", "write {role: sallyport, token: file:/run/secrets/identity.jwt}")
		}
	}
	a.Role = at.at("role").str()
	if f := at.at("token_file"); f.str() != "" {
		a.TokenFile = b.resolve(f.str())
	}
	if m := at.at("mount"); m.present() {
		if a.Mount = strings.TrimPrefix(strings.Trim(m.str(), "/"), "auth/"); !hashivault.CheckPath(a.Mount) {
			b.fault(m, "found "+m.shown()+", which is not the path of an auth method", "write its path as `vault auth list` shows it, such as "+found[0])
		}
	}
	return a
}

// vaultRef reads a reference to what the gate logs in to Vault with.
func (b *builder) vaultRef(v *value, example string, early bool) secret.Ref {
	ref, err := secret.ParseRef(v.text)
	switch {
	case v.form != text:
	case err != nil:
		b.hide(v.text)
		b.fault(v, "what stands here is not a reference to a secret (the value is not shown)", "write env:NAME, file:/path or keystore:vault/NAME, such as "+example)
	case ref.Scheme == "vault":
		b.fault(v, "what opens Vault cannot lie in Vault", "write "+example)
	case ref.Scheme == "keystore" && early:
		b.fault(v, "the keystore's key may be wrapped by secrets.vault.transit, so that what opens Vault cannot lie in the keystore", "write "+example)
	case ref.Scheme == "env" && env.CheckName(ref.Name) != nil:
		b.fault(v, v.shown()+" does not name an environment variable", "write env:NAME with letters, digits and underscores")
	case ref.Scheme == "keystore" && keystore.CheckName(ref.Name) != nil:
		b.fault(v, v.shown()+" is not a name in the keystore", "write keystore:vault/secret-id")
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

// vaultName looks at a vault: reference; it says whether it can be used.
func (b *builder) vaultName(v *value, ref secret.Ref) bool {
	if _, err := hashivault.ParseName(ref.Name); err != nil {
		why, _, _ := strings.Cut(err.Error(), "; "+hashivault.NameForm)
		b.fault(v, "this is no reference to a secret in Vault: "+why, hashivault.NameForm)
		return false
	}
	if !b.vaultNamed {
		b.fault(v, "a vault: reference stands here, and the file names no Vault", "add secrets: {vault: "+vaultExample+"}")
		return false
	}
	return true
}

// roots is the pool of CA; nil: the system's.
func (v *Vault) roots() *x509.CertPool {
	if v.CA == nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(v.CA) // Load looked at it
	return pool
}
