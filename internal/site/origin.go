package site

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Origin is an exact web origin (RFC 6454 §6.2): scheme, host and port as a browser
// writes them. Two origins are equal only byte for byte.
type Origin string

// ParseOrigin reads an origin as configuration writes it. It refuses everything a
// browser would not send in Origin: paths, user info, default ports, upper case,
// trailing dots, wildcards and null.
func ParseOrigin(s string) (Origin, error) {
	u, err := url.Parse(s)
	switch {
	case s == "*":
		return "", errors.New(`"*" would be every page there is; write https://shop.example, one line for each origin`)
	case err != nil || u.Host == "" || u.Opaque != "":
		return "", fmt.Errorf("%q is not an origin; write https://shop.example, or http://localhost:3000 for a page on this machine", s)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("%q has scheme %q; an origin is https:// (or http:// on loopback)", s, u.Scheme)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", fmt.Errorf("%q is plain http; write https:// (http is for loopback only)", s)
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(s, "?#"):
		return "", fmt.Errorf("%q has more than scheme, host and port; write %s://%s", s, u.Scheme, u.Host)
	case strings.ContainsAny(u.Host, "*"):
		return "", fmt.Errorf("%q has a wildcard; name each origin (preview_origins take * in mock and sandbox)", s)
	case s != strings.ToLower(s):
		return "", fmt.Errorf("%q has upper case; browsers send %s", s, strings.ToLower(s))
	case strings.HasSuffix(u.Hostname(), "."):
		return "", fmt.Errorf("%q ends in a dot; leave it out", s)
	case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" || strings.HasSuffix(u.Host, ":"):
		return "", fmt.Errorf("%q names the default port; browsers leave it out", s)
	}
	for _, c := range []byte(u.Host) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\\%@,;'\"<>`", c) >= 0 {
			return "", fmt.Errorf("%q holds a character no host has; write an ASCII (punycode) host name", s)
		}
	}
	return Origin(u.Scheme + "://" + u.Host), nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Preview is an origin pattern with one * inside one host label, for preview
// deployments in mock and sandbox.
type Preview struct{ prefix, suffix string }

// ParsePreview reads a pattern such as https://deploy-preview-*--shop.example.
func ParsePreview(s string) (Preview, error) {
	before, after, ok := strings.Cut(s, "*")
	if !ok || strings.Contains(after, "*") {
		return Preview{}, fmt.Errorf("%q needs exactly one *; write https://deploy-preview-*--shop.example", s)
	}
	if _, err := ParseOrigin(before + "x" + after); err != nil {
		return Preview{}, err
	}
	label := after
	if i := strings.IndexByte(after, '.'); i >= 0 {
		label = after[:i]
	}
	if !strings.HasPrefix(s, "https://") || len(before) == len("https://") && label == "" ||
		strings.Count(after, ".") < 1 {
		return Preview{}, fmt.Errorf("%q is too wide: the * must be part of a longer first label of an https host of your own", s)
	}
	return Preview{prefix: before, suffix: after}, nil
}

// Match reports whether o fits: the * stands for 1 to 63 letters, digits and hyphens.
func (p Preview) Match(o Origin) bool {
	s := string(o)
	if p.prefix == "" || len(s) <= len(p.prefix)+len(p.suffix) ||
		!strings.HasPrefix(s, p.prefix) || !strings.HasSuffix(s, p.suffix) {
		return false
	}
	middle := s[len(p.prefix) : len(s)-len(p.suffix)]
	if len(middle) > 63 {
		return false
	}
	for _, c := range []byte(middle) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// Allows reports whether a browser on origin o may call the site in a connection of
// the given kind: previews count only where previews is true (mock and sandbox).
func (s *Site) Allows(o Origin, previews bool) bool {
	for _, own := range s.Origins {
		if own == o {
			return true
		}
	}
	if previews {
		for _, p := range s.PreviewOrigins {
			if p.Match(o) {
				return true
			}
		}
	}
	return false
}

// Holds reports whether an address lies on one of the site's own origins, or on the gate's
// name under the site's own domain: where a provider may send a visitor or a call.
func (s *Site) Holds(address string, previews bool) bool {
	host := strings.Index(address, "://") + len("://")
	if host < len("://") {
		return false
	}
	end := len(address)
	if i := strings.IndexAny(address[host:], "/?#"); i >= 0 {
		end = host + i
	}
	if strings.ContainsAny(address, "\\ \t\r\n") {
		return false
	}
	if name, ok := strings.CutPrefix(address[:end], "https://"); ok && slices.Contains(s.ServedAt, name) {
		return true
	}
	return s.Allows(Origin(address[:end]), previews)
}
