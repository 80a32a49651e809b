package contract

import (
	"fmt"
	"net/url"
	"sort"
	"strings"
	"unicode/utf8"
)

// segment is one part of a path template between slashes: literal text, or a
// parameter with text before and after it ({Sid}.json).
type segment struct {
	before, param, after string
}

func parseTemplate(template string) ([]segment, error) {
	if !strings.HasPrefix(template, "/") {
		return nil, fmt.Errorf("a path starts with /")
	}
	var segments []segment
	for _, part := range strings.Split(template[1:], "/") {
		open := strings.IndexByte(part, '{')
		if open < 0 {
			if strings.ContainsAny(part, "}%?#") || part == "." || part == ".." {
				return nil, fmt.Errorf("%q cannot stand in a path; write it decoded, without query", part)
			}
			segments = append(segments, segment{before: part})
			continue
		}
		end := strings.IndexByte(part, '}')
		if end < open+2 || strings.ContainsAny(part[end+1:], "{}") {
			return nil, fmt.Errorf("%q: write at most one {parameter} between two slashes", part)
		}
		segments = append(segments, segment{before: part[:open], param: part[open+1 : end], after: part[end+1:]})
	}
	return segments, nil
}

// match compares one decoded segment; value is what stands for the parameter.
func (s segment) match(text string) (value string, ok bool) {
	if s.param == "" {
		return "", text == s.before
	}
	rest, ok := strings.CutPrefix(text, s.before)
	if !ok {
		return "", false
	}
	value, ok = strings.CutSuffix(rest, s.after)
	return value, ok && value != ""
}

// splitPath decodes each segment of an escaped path once. An encoded slash stays
// inside its segment, so it never separates.
func splitPath(escaped string) ([]string, bool) {
	if !strings.HasPrefix(escaped, "/") {
		return nil, false
	}
	parts := strings.Split(escaped[1:], "/")
	for i, part := range parts {
		text, err := url.PathUnescape(part)
		if err != nil || !utf8.ValidString(text) {
			return nil, false
		}
		parts[i] = text
	}
	return parts, true
}

func (o *Operation) matches(parts []string) bool {
	if len(parts) != len(o.segments) {
		return false
	}
	for i, s := range o.segments {
		if _, ok := s.match(parts[i]); !ok {
			return false
		}
	}
	return true
}

// before reports whether o is the more exact of two templates that match one path:
// the first segment that differs decides, literal text before a parameter, and of
// two parameters the one with more text around it.
func (o *Operation) before(p *Operation) bool {
	for i := range o.segments {
		a, b := o.segments[i], p.segments[i]
		if (a.param == "") != (b.param == "") {
			return a.param == ""
		}
		if x, y := len(a.before)+len(a.after), len(b.before)+len(b.after); x != y {
			return x > y
		}
	}
	return false
}

// Route finds the operation of a method and an escaped path (without query). op is
// nil when there is none; allowed then lists the methods that exist on that path,
// sorted, and is nil when the path does not exist at all. Paths are compared decoded
// once, byte by byte, case-sensitively; a trailing slash matters.
func (d *Document) Route(method, escapedPath string) (op *Operation, allowed []string) {
	parts, ok := splitPath(escapedPath)
	if !ok {
		return nil, nil
	}
	methods := map[string]bool{}
	for _, o := range d.ops {
		if !o.matches(parts) {
			continue
		}
		methods[o.Method] = true
		if o.Method == method && (op == nil || o.before(op)) {
			op = o
		}
	}
	if op != nil {
		return op, nil
	}
	for m := range methods {
		allowed = append(allowed, m)
	}
	sort.Strings(allowed)
	return nil, allowed
}

// shape is the template without the names of its parameters: two operations of one
// method and shape could not be told apart.
func (o *Operation) shape() string {
	var b strings.Builder
	b.WriteString(o.Method)
	for _, s := range o.segments {
		b.WriteString("/" + s.before)
		if s.param != "" {
			b.WriteString("{}" + s.after)
		}
	}
	return b.String()
}
