package wire

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// partReader cuts a multipart body into parts (RFC 2046 §5.1), strictly: no preamble, no
// epilogue, lines end with CRLF, a boundary stands alone on its line, and nothing but it
// begins with it, because parsers differ over all of these.
type partReader struct {
	rest  []byte
	line  []byte // -- and the boundary
	count int    // parts begun
	begun bool
}

func (r *partReader) where() string {
	if r.count == 0 {
		return "the multipart body"
	}
	return "part " + strconv.Itoa(r.count) + " of the body"
}

// next gives the next part; more is false behind the last. fault says in words what is wrong.
func (r *partReader) next() (p part, more bool, fault string) {
	if !r.begun {
		r.begun = true
		rest, ok := bytes.CutPrefix(r.rest, r.line)
		if !ok {
			return p, false, "does not begin with the boundary"
		}
		r.rest = rest
	}
	if last, ok := bytes.CutPrefix(r.rest, []byte("--")); ok {
		if len(last) > 0 && string(last) != "\r\n" {
			return p, false, "is the last one, but something follows it"
		}
		return p, false, ""
	}
	r.count++
	rest, ok := bytes.CutPrefix(r.rest, []byte("\r\n"))
	switch {
	case !ok:
		return p, false, "does not begin behind a boundary that stands alone on its line"
	case r.count > maxParts:
		return p, false, "is one too many"
	}
	end := bytes.Index(rest[:min(len(rest), maxPartHead)], []byte("\r\n\r\n"))
	if end < 0 {
		return p, false, "has no end of its header within 4096 bytes"
	}
	if fault := p.header(rest[:end]); fault != "" {
		return p, false, fault
	}
	rest = rest[end+4:]
	stop := bytes.Index(rest, append([]byte("\n"), r.line...))
	if stop < 1 || rest[stop-1] != '\r' {
		return p, false, "does not end with the boundary on a line of its own"
	}
	p.content, r.rest = rest[:stop-1], rest[stop+1+len(r.line):]
	return p, true, ""
}

// header reads a part's header: Content-Disposition and Content-Type, each at most once.
func (p *part) header(head []byte) (fault string) {
	disposed := false
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, ok := strings.Cut(string(line), ":")
		value = strings.Trim(value, " \t")
		if !ok || !token(name) || !headerLine(value) {
			return "has a header line that is none"
		}
		switch {
		case strings.EqualFold(name, "Content-Disposition") && !disposed:
			disposed = true
			if fault := p.disposition(value); fault != "" {
				return fault
			}
		case strings.EqualFold(name, "Content-Type") && p.media == "" && value != "":
			p.media = value
		default:
			return "has a header field that such parts do not have, or one twice"
		}
	}
	if !disposed {
		return "has no Content-Disposition"
	}
	return ""
}

// disposition reads form-data; name="…"; filename="…".
func (p *part) disposition(value string) (fault string) {
	const bad = "has a Content-Disposition that is not form-data with a name"
	kind, rest, _ := strings.Cut(value, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "form-data") {
		return bad
	}
	named := false
	for rest != "" {
		name, after, ok := strings.Cut(strings.TrimLeft(rest, " \t"), "=")
		if !ok {
			return bad
		}
		text, after, ok := quotedOrToken(after)
		if !ok {
			return bad
		}
		switch {
		case strings.EqualFold(name, "name") && !named && text != "":
			p.name, named = text, true
		case strings.EqualFold(name, "filename") && !p.isFile:
			p.filename, p.isFile = text, true
		default:
			return bad
		}
		after = strings.TrimLeft(after, " \t")
		if after != "" && after[0] != ';' {
			return bad
		}
		rest = strings.TrimPrefix(after, ";")
	}
	switch {
	case !named:
		return bad
	case p.isFile && !filename(p.filename):
		return "has a filename that is too long, or has slashes or control characters"
	}
	return ""
}

// quotedOrToken reads a parameter's value. Backslashes are refused: browsers, libraries and
// RFC 7578 disagree over what they mean.
func quotedOrToken(s string) (text, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, "; \t")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], token(s[:end])
	}
	end := strings.IndexByte(s[1:], '"') + 1
	if end < 1 || strings.IndexByte(s[:end], '\\') >= 0 {
		return "", "", false
	}
	return s[1:end], s[end+1:], true
}

// token is RFC 9110 §5.6.2.
func token(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", c))
	}) < 0
}

// headerLine allows UTF-8, which browsers send in names, and no control characters.
func headerLine(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(c rune) bool { return c < 0x20 && c != '\t' || c == 0x7f }) < 0
}

// filename refuses what could leave a folder, or a header, somewhere.
func filename(s string) bool {
	return len(s) <= maxFilename && s != "." && s != ".." && utf8.ValidString(s) &&
		strings.IndexFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f || c == '/' || c == '\\' || c == '"' }) < 0
}
