package observe

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxText = 512

// resolve follows LogValue; one that panics yields an error without its values.
func resolve(v slog.Value) (out slog.Value) {
	defer func() {
		if p := recover(); p != nil {
			out = slog.StringValue(fmt.Sprintf("[LogValue panicked: %T]", p))
		}
	}()
	return v.Resolve()
}

// show renders a value under a key of that kind, or the name of its type.
func show(kind Kind, v slog.Value) slog.Value {
	switch {
	case kind == Text && v.Kind() == slog.KindString:
		return slog.StringValue(clean(v.String(), maxText))
	case kind == Number && (v.Kind() == slog.KindInt64 || v.Kind() == slog.KindUint64 || v.Kind() == slog.KindFloat64):
		return v
	case kind == Flag && v.Kind() == slog.KindBool:
		return v
	case kind == Span && v.Kind() == slog.KindDuration:
		return slog.StringValue(v.Duration().String())
	case kind == Moment && v.Kind() == slog.KindTime:
		return slog.TimeValue(v.Time().UTC())
	case v.Kind() == slog.KindAny:
		return showAny(kind, v.Any())
	}
	return slog.StringValue("[" + v.Kind().String() + "]")
}

func showAny(kind Kind, x any) slog.Value {
	if kind == own {
		switch x := x.(type) {
		case decisions, phases, names:
			return slog.AnyValue(x)
		}
	}
	if err, ok := x.(error); ok && kind == Fault {
		return slog.StringValue(clean(scrub(errorText(err)), maxText))
	}
	return slog.StringValue(clean(fmt.Sprintf("[%T]", x), maxText))
}

func errorText(err error) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprintf("[%T panicked]", err)
		}
	}()
	return err.Error()
}

// inURL finds what comes after a URL's path, and what stands before its host.
var (
	queryOf    = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s?#"'<>]*)[?#][^\s"'<>]*`)
	userInfoOf = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/?#"'<>@]*@`)
)

// scrub takes out of an error's text what net/url would print of a URL's query,
// fragment and user info: credentials stand there.
func scrub(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	return queryOf.ReplaceAllString(userInfoOf.ReplaceAllString(s, "${1}[cut]@"), "${1}?[cut]")
}

// clean makes s harmless in a terminal and in whatever reads lines: control,
// formatting (bidi, zero width) and line-separating characters and broken UTF-8 are
// written as their code, and s is cut to limit bytes.
func clean(s string, limit int) string {
	if plain(s) && len(s) <= limit {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if b.Len() >= limit {
			b.WriteString("…")
			break
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.In(r, unicode.C, unicode.Zl, unicode.Zp):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
