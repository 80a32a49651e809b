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
	marked   []*regexp.Regexp // secrets with a mark of their own (sk_live_…), from the catalog
	plain    []*regexp.Regexp // secrets that look like any random text, from the catalog
	prefixes []string         // that only keys begin with, from the catalog
	expected map[*value]bool  // values that the catalog declares as not secret in their place
}

const (
	secretFound = "a secret stands here in clear text"
	secretHint  = "replace it at the provider, for whoever can read this file has it; then store the new one with `sallyport secrets set NAME` and write keystore:NAME, or write env:NAME or file:/path"
)

// findSecrets hides every text that looks like a secret from all faults, and names those that
// stand outside credentials (for which the builder has the exact fault).
func (c *collector) findSecrets(root *value, data []byte, catalog Catalog) {
	s := &secretScan{collector: c, expected: map[*value]bool{}}
	heads, err := catalog.Heads()
	if err != nil {
		c.add(Fault{Found: "the catalog of this build cannot be read", Hint: "this is a defect of this build; report it with the output of `sallyport providers list`"})
	}
	packs := map[string]*provider.Pack{}
	for _, pack := range heads {
		packs[pack.ID] = pack
		s.learn(pack)
	}
	for _, site := range root.at("sites").entries {
		for _, conn := range site.value.at("connections").entries {
			s.expect(conn.value, packs[conn.value.at("provider").str()])
			s.credentials(conn.value.at("credentials"))
		}
	}
	s.scan(root, true)
	s.comments(string(data))
}

// comments names keys that were commented out: whoever can read the file reads comments too.
func (s *secretScan) comments(doc string) {
	n := 0
	for line := range strings.Lines(doc) {
		n++
		at := comment.FindStringIndex(line)
		if at == nil {
			continue
		}
		for _, word := range keyWord.FindAllString(line[at[1]:], -1) {
			if s.marks(word) {
				s.hide(word)
				s.add(Fault{Line: n, Column: at[1], Found: "a secret stands in a comment", Hint: "remove it, and replace it at the provider, for whoever can read this file has it"})
			}
		}
	}
}

func (s *secretScan) learn(pack *provider.Pack) {
	for _, f := range pack.Credentials {
		re, err := regexp.Compile(f.Pattern)
		switch {
		case err != nil || !f.Secret || f.Pattern == "":
		case matchesAnything(re):
			s.plain = append(s.plain, re)
		default:
			s.marked = append(s.marked, re)
		}
	}
	for _, shape := range pack.KeyShapes {
		if len(shape.Prefix) >= 4 {
			s.prefixes = append(s.prefixes, shape.Prefix)
		}
	}
}

// expect remembers identifiers and publishable values that may stand where they stand.
func (s *secretScan) expect(conn *value, pack *provider.Pack) {
	if pack == nil {
		return
	}
	for _, f := range pack.Credentials {
		if v := conn.at("credentials", f.Name); !f.Secret && matches(f.Pattern, v.str()) {
			s.expected[v] = true
		}
	}
	for _, e := range conn.at("public").entries {
		for _, f := range pack.Public {
			if matches(f.Pattern, e.value.str()) {
				s.expected[e.value] = true
			}
		}
	}
}

// credentials hides whatever stands in a credential field and is no reference.
func (s *secretScan) credentials(v *value) {
	for _, e := range v.entries {
		if s.expected[e.value] {
			continue
		}
		if _, err := secret.ParseRef(e.value.text); err != nil || s.looksSecret(e.value.text, true) {
			s.hide(e.value.text)
		}
		s.expected[e.value] = true
	}
}

// scan goes through all texts and keys. Random-looking texts count as secrets everywhere but in the
// rules for browsers, whose values are often the provider's object ids.
func (s *secretScan) scan(v *value, strict bool) {
	if v.form == text && !s.expected[v] {
		if withPassword.MatchString(v.text) {
			s.hide(v.text)
		}
		if s.looksSecret(v.text, strict) {
			s.hide(v.text)
			s.fault(v, secretFound, secretHint)
		}
	}
	for _, e := range v.entries {
		if s.looksSecret(e.key, strict) {
			s.hide(e.key)
			s.fault(&value{line: e.line, column: e.column, path: child(v.path, e.key)}, secretFound, secretHint)
		}
		s.scan(e.value, strict && e.key != "browser")
	}
	for _, item := range v.items {
		s.scan(item, strict)
	}
}

var (
	comment = regexp.MustCompile(`(?:^|\s)#`)
	// keyWord is a stretch of a text that a key could be; keyText is a text that is nothing else.
	keyWord = regexp.MustCompile(`[A-Za-z0-9_-]{12,}`)
	keyText = regexp.MustCompile(`^[A-Za-z0-9_+/=-]{16,}$`)
	// withPassword is an address with user and password before the host.
	withPassword = regexp.MustCompile(`://[^/@\s]*@`)
	// alwaysSecret is secret wherever it stands: PEM private keys, signed tokens (JWT).
	alwaysSecret = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY|\bAGE-SECRET-KEY-1|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.`)
)

// looksSecret decides by marks that only secrets have, and, where strict, by the catalog's forms of
// secrets without a mark, for texts that no person would choose.
func (s *secretScan) looksSecret(t string, strict bool) bool {
	if alwaysSecret.MatchString(t) {
		return true
	}
	for _, word := range append(keyWord.FindAllString(t, -1), t) {
		if s.marks(word) {
			return true
		}
	}
	if ref, err := secret.ParseRef(t); err == nil {
		t = ref.Name
	}
	return strict && random(t) && anyMatches(s.plain, t)
}

// marks reports whether a word bears the mark of a secret.
func (s *secretScan) marks(word string) bool {
	for _, prefix := range s.prefixes {
		if strings.HasPrefix(word, prefix) && len(word) >= len(prefix)+8 {
			return true
		}
	}
	return anyMatches(s.marked, word)
}

func anyMatches(patterns []*regexp.Regexp, t string) bool {
	for _, re := range patterns {
		if re.MatchString(t) {
			return true
		}
	}
	return false
}

// random tells texts that no person would choose: 16 characters or more of the alphabets of
// keys, with letters and digits, that are not words with a number, such as
// fetch-verification-v1 or garden-shop-2026.
func random(t string) bool {
	return keyText.MatchString(t) && strings.ContainsAny(t, "0123456789") &&
		strings.ContainsAny(strings.ToLower(t), "abcdefghijklmnopqrstuvwxyz") && !chosen.MatchString(t)
}

// chosen is two or more words in lower case (with a vowel, or up to four letters) and
// numbers of up to four digits, with hyphens or underscores between them.
var chosen = regexp.MustCompile(`^(?:[a-z]{1,4}[-_]|v?[0-9]{1,4}[-_])*[a-z]*[aeiouy][a-z]*(?:[-_](?:[a-z]{1,2}|[a-z]*[aeiouy][a-z]*|v?[0-9]{1,4}))+$`)

// matchesAnything tries a pattern on texts without a mark: it has none if one of them fits.
func matchesAnything(re *regexp.Regexp) bool {
	for _, letters := range []string{"0123456789abcdef", "a1B2c3D4e5F6g7H8"} {
		long := strings.Repeat(letters, 16)
		for n := 8; n <= 128; n++ {
			if re.MatchString(long[:n]) {
				return true
			}
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
