package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/secret"
)

// RotateAfter and ProbeEvery hold where the file names no others.
const (
	RotateAfter = 90 * 24 * time.Hour
	ProbeEvery  = 24 * time.Hour
)

const spanPattern = `^([0-9]{1,4}[hd]|off)$`

func agesKeys() []*key {
	return []*key{
		{name: "rotate_after", kind: kindText, def: "90d", pattern: spanPattern, want: "days or hours such as 90d, or off", example: "90d",
			doc: "How old the value of a secret or a site key may be before `sallyport secrets list` calls it due: 1d to 3650d, or `off`. Nothing is refused because of its age."},
		{name: "probe_every", kind: kindText, def: "24h", pattern: spanPattern, want: "hours or days such as 24h, or off", example: "24h",
			doc: "How often the gate asks each provider whether the credential of a connection is good, with questions that cost nothing: 1h to 30d, or `off`. One node asks; `sallyport status` shows the answers, and a change raises an alert."},
	}
}

// ages reads how old secrets may be and how often providers are asked about them.
func (b *builder) ages(root *value) {
	day := 24 * time.Hour
	b.file.RotateAfter = b.days(root.at("secrets", "rotate_after"), RotateAfter, [2]time.Duration{day, 3650 * day}, "1d to 3650d, or off")
	b.file.ProbeEvery = b.days(root.at("secrets", "probe_every"), ProbeEvery, [2]time.Duration{time.Hour, 30 * day}, "1h to 30d, or off")
}

func (b *builder) days(v *value, otherwise time.Duration, within [2]time.Duration, want string) time.Duration {
	text := v.str()
	switch {
	case text == "off":
		return 0
	case text == "" || !matches(spanPattern, text):
		return otherwise // walk has named it
	}
	unit := time.Hour
	if strings.HasSuffix(text, "d") {
		unit = 24 * time.Hour
	}
	n, err := strconv.Atoi(text[:len(text)-1])
	if d := time.Duration(n) * unit; err == nil && d >= within[0] && d <= within[1] {
		return d
	}
	b.fault(v, "found "+v.shown(), "write "+want)
	return otherwise
}

// SecretUse is one place of a file that names a secret.
type SecretUse struct {
	Ref  secret.Ref
	Kind string // what it is, in words: "stripe secret_key", "store password"
	By   string // who uses it: SITE/CONNECTION, or a part of the gate
}

// SecretUses lists every secret that the file names, once for each place.
func (f *File) SecretUses() []SecretUse {
	var out []SecretUse
	add := func(ref secret.Ref, kind, by string) {
		if ref != (secret.Ref{}) {
			out = append(out, SecretUse{ref, kind, by})
		}
	}
	if f.Postgres != nil {
		add(f.Postgres.Password, "database password", "store")
	}
	if f.SharedState != nil {
		add(f.SharedState.Password, "Redis password", "shared_state")
	}
	if f.Vault != nil {
		add(f.Vault.Auth.Token, "Vault token", "secrets.vault")
		add(f.Vault.Auth.RoleID, "Vault role id", "secrets.vault")
		add(f.Vault.Auth.SecretID, "Vault secret id", "secrets.vault")
	}
	for _, s := range f.Sites {
		for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
			c := s.Connections[name]
			for _, field := range slices.Sorted(maps.Keys(c.Credentials)) {
				add(c.Credentials[field], c.Provider+" "+field, s.Name+"/"+name)
			}
			if w := c.Webhooks; w != nil {
				add(w.Secret, c.Provider+" webhook secret", s.Name+"/"+name)
				add(w.Token, c.Provider+" verify token", s.Name+"/"+name)
				for _, d := range w.Destinations {
					add(d.SignWith, "delivery signing secret", s.Name+"/"+name+" "+d.Name)
				}
			}
		}
		if s.OpenID != nil {
			for _, id := range slices.Sorted(maps.Keys(s.OpenID.Clients)) {
				add(s.OpenID.Clients[id].Secret, "OpenID client secret", s.Name+" openid "+id)
			}
		}
	}
	return out
}
