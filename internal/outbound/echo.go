package outbound

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"unicode/utf8"

	"sallyport/internal/problem"
)

// leastSecret is the length in bytes below which a secret could not be told from
// ordinary text in an answer.
const leastSecret = 8

// needles are one state of a credential in the forms that a matcher knows.
type needles struct {
	mark   Mark
	exact  [][]byte
	folded [][]byte
}

// remember makes the values findable before they are sent.
func (t *Template) remember(values map[string][]byte, mark Mark) error {
	t.mu.RLock()
	known := len(t.recent) > 0 && t.recent[0].mark == mark
	t.mu.RUnlock()
	if known {
		return nil
	}
	n := needles{mark: mark}
	for _, name := range t.names {
		if t.fields[name].Identifier {
			continue
		}
		if len(values[name]) < leastSecret {
			return problem.New(problem.CredentialUnavailable, "the credential field %s is shorter than %d bytes", name, leastSecret).
				WithHint("a secret that short cannot be recognised in an answer; use the provider's real credential")
		}
		n.add(values[name])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	keep := []needles{n}
	for _, old := range t.recent {
		if old.mark != mark && len(keep) < keptNeedles {
			keep = append(keep, old)
		}
	}
	t.recent = keep
	var exact, folded [][]byte
	for _, n := range keep {
		exact, folded = append(exact, n.exact...), append(folded, n.folded...)
	}
	t.match = newMatcher(exact, folded)
	return nil
}

func (n *needles) add(secret []byte) {
	lower := toLower(secret)
	n.folded = append(n.folded, lower, []byte(hex.EncodeToString(secret)))
	if bytes.IndexByte(lower, ' ') >= 0 { // form encoding
		n.folded = append(n.folded, bytes.ReplaceAll(lower, []byte(" "), []byte("+")))
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			n.exact = append(n.exact, aligned(enc, secret, shift))
		}
	}
}

// aligned is the part of secret's base64 that does not depend on its neighbours
// when it begins shift bytes after a multiple of three.
func aligned(enc *base64.Encoding, secret []byte, shift int) []byte {
	text := enc.EncodeToString(append(make([]byte, shift), secret...))
	from := (shift*8 + 5) / 6
	to := (shift + len(secret)) * 8 / 6
	return []byte(text[from:to])
}

// Echo looks for each secret of the last three states as it is (in either case),
// in hexadecimal, in base64 at each alignment, and in all of these after undoing
// percent-encoding and JSON escapes, in any mixture.
func (t *Template) Echo(b []byte) bool {
	t.mu.RLock()
	match := t.match
	t.mu.RUnlock()
	if match == nil || len(b) < leastSecret {
		return false
	}
	views := [][]byte{b}
	for range 2 { // JSON, and JSON within JSON
		if last := views[len(views)-1]; bytes.IndexByte(last, '\\') >= 0 {
			views = append(views, unescapeJSON(last))
		}
	}
	for _, v := range views {
		if bytes.IndexByte(v, '%') >= 0 {
			views = append(views, unescapePercent(v))
		}
	}
	for _, v := range views {
		if match.in(v) {
			return true
		}
	}
	return false
}

// unescapePercent undoes %XX wherever it is well-formed, and leaves the rest.
func unescapePercent(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if v, err := hex.DecodeString(string(b[i+1 : i+3])); err == nil {
				out = append(out, v[0])
				i += 2
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}

var shortEscapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\', '/': '/'}

// unescapeJSON undoes JSON string escapes wherever they are well-formed. Surrogates
// stay as they are: a secret outside the basic plane is not a header value.
func unescapeJSON(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		if c, ok := shortEscapes[b[i+1]]; ok {
			out = append(out, c)
			i++
			continue
		}
		if b[i+1] == 'u' && i+5 < len(b) {
			if v, err := hex.DecodeString(string(b[i+2 : i+6])); err == nil {
				out = utf8.AppendRune(out, rune(v[0])<<8|rune(v[1]))
				i += 5
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}
