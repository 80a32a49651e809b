package config

import (
	"regexp"
	"strings"

	"sallyport/internal/provider"
	"sallyport/internal/secret"
)

// secretScan looks for secrets that somebody wrote into the file.
type secretScan struct {
	*collector
	patterns []*regexp.Regexp // of well-formed secrets, from the catalog
	prefixes []string         // that only keys begin with, from the catalog
	expected map[*value]bool  // values that the catalog declares as not secret in their place
}

const (
	secretFound = "a secret stands here in clear text"
	secretHint  = "replace it at the provider, for whoever can read this file has it; then store the new one with `sallyport secrets set NAME` and write keystore:NAME, or write env:NAME or file:/path"
)

// findSecrets hides every text that looks like a secret from all faults, and names those that
// stand outside credentials (for which the builder has the exact fault).
func (c *collector) findSecrets(root *value, catalog Catalog) {
	s := &secretScan{collector: c, expected: map[*value]bool{}}
	for _, id := range catalog.List() {
		if pack, err := catalog.Find(id); err == nil {
			s.learn(pack)
		}
	}
	for _, site := range root.at("sites").entries {
		for _, conn := range site.value.at("connections").entries {
			s.expect(conn.value, catalog)
			s.credentials(conn.value.at("credentials"))
		}
	}
	s.scan(root)
}

func (s *secretScan) learn(pack *provider.Pack) {
	for _, f := range pack.Credentials {
		if re, err := regexp.Compile(f.Pattern); err == nil && f.Secret && f.Pattern != "" {
			s.patterns = append(s.patterns, re)
		}
	}
	for _, shape := range pack.KeyShapes {
		if len(shape.Prefix) >= 4 {
			s.prefixes = append(s.prefixes, shape.Prefix)
		}
	}
}

// expect remembers identifiers and publishable values that may stand where they stand.
func (s *secretScan) expect(conn *value, catalog Catalog) {
	pack, err := catalog.Find(conn.at("provider").str())
	if err != nil {
		return
	}
	for _, f := range pack.Credentials {
		if v := conn.at("credentials", f.Name); !f.Secret && matches(f.Pattern, v.str()) {
			s.expected[v] = true
		}
	}
	for _, f := range pack.Public {
		if v := conn.at("public", f.Name); matches(f.Pattern, v.str()) {
			s.expected[v] = true
		}
	}
}

// credentials hides whatever stands in a credential field and is no reference.
func (s *secretScan) credentials(v *value) {
	for _, e := range v.entries {
		if s.expected[e.value] {
			continue
		}
		if _, err := secret.ParseRef(e.value.text); err != nil || s.looksSecret(e.value.text) {
			s.hide(e.value.text)
		}
		s.expected[e.value] = true
	}
}

func (s *secretScan) scan(v *value) {
	if v.form == text && !s.expected[v] {
		if withPassword.MatchString(v.text) {
			s.hide(v.text)
		}
		if s.looksSecret(v.text) {
			s.hide(v.text)
			s.fault(v, secretFound, secretHint)
		}
	}
	for _, e := range v.entries {
		if s.looksSecret(e.key) {
			s.hide(e.key)
			s.fault(&value{line: e.line, column: e.column, path: child(v.path, e.key)}, secretFound, secretHint)
		}
		s.scan(e.value)
	}
	for _, item := range v.items {
		s.scan(item)
	}
}

var (
	// withPassword is an address with user and password before the host.
	withPassword = regexp.MustCompile(`://[^/@\s]*@`)
	// alwaysSecret is secret wherever it stands: PEM private keys, signed tokens (JWT).
	alwaysSecret = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY|\bAGE-SECRET-KEY-1|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.`)
)

// looksSecret decides by the catalog's patterns; those that any word could match count only
// for texts that no person would choose (16 characters or more, letters and digits).
func (s *secretScan) looksSecret(t string) bool {
	if alwaysSecret.MatchString(t) {
		return true
	}
	if ref, err := secret.ParseRef(t); err == nil {
		t = ref.Name
	}
	for _, prefix := range s.prefixes {
		if strings.HasPrefix(t, prefix) && len(t) >= len(prefix)+8 {
			return true
		}
	}
	if len(t) < 16 || !strings.ContainsAny(t, "0123456789") || !strings.ContainsAny(strings.ToLower(t), "abcdefghijklmnopqrstuvwxyz") {
		return false
	}
	for _, re := range s.patterns {
		if re.MatchString(t) {
			return true
		}
	}
	return false
}

// matches reports whether a text has a declared form; without a declared form none does.
func matches(pattern, t string) bool {
	if pattern == "" || t == "" {
		return false
	}
	re, err := regexp.Compile(pattern)
	return err == nil && re.MatchString(t)
}
