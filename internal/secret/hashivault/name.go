package hashivault

import (
	"errors"
	"strconv"
	"strings"
)

// Name is a vault: reference taken apart.
type Name struct {
	Path    string // mount and path, as the KV command line writes them: kv/shop/stripe
	Version int    // of KV v2; 0: the newest
	Field   string
}

// NameForm says how a reference is written.
const NameForm = "write vault:MOUNT/PATH#FIELD, such as vault:kv/shop/stripe#secret_key, or vault:kv/shop/stripe?version=3#secret_key for one version"

// ParseName reads what follows "vault:". Its error does not repeat the name: it may be a
// secret that somebody pasted.
func ParseName(s string) (Name, error) {
	rest, field, ok := strings.Cut(s, "#")
	if !ok {
		return Name{}, errors.New("the field is missing; " + NameForm)
	}
	path, query, versioned := strings.Cut(rest, "?")
	n := Name{Path: path, Field: field}
	switch {
	case strings.ContainsAny(field, "?"):
		return Name{}, errors.New("the version stands before the field; " + NameForm)
	case !word(field, ""):
		return Name{}, errors.New("what follows # is not a field; " + NameForm)
	case len(path) > 512 || !strings.Contains(path, "/"):
		return Name{}, errors.New("the mount and the path are missing; " + NameForm)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." || !word(part, "/+=~:") {
			return Name{}, errors.New("the path has an empty part, or characters that are not letters, digits or one of _.@-+=~; " + NameForm)
		}
	}
	if !versioned {
		return n, nil
	}
	number, found := strings.CutPrefix(query, "version=")
	version, err := strconv.Atoi(number)
	if !found || err != nil || version < 1 || version > 1<<30 {
		return Name{}, errors.New("what follows ? is not version=NUMBER; " + NameForm)
	}
	n.Version = version
	return n, nil
}

// key is what the secret is remembered by: all its fields come at once.
func (n Name) key() string {
	if n.Version == 0 {
		return n.Path
	}
	return n.Path + "?version=" + strconv.Itoa(n.Version)
}

// word tells 1 to 128 letters, digits, or characters of "_.@-" and more.
func word(s, more string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !plain && !strings.ContainsRune("_.@-"+more, rune(c)) {
			return false
		}
	}
	return true
}
