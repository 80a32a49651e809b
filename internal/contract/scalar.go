package contract

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// text is a number or string as text.
func text(v any) string {
	switch v := v.(type) {
	case json.Number:
		return string(v)
	case string:
		return v
	}
	return ""
}

// found says what stands there. A value is shown only when it is short, comes from the
// caller himself, and nothing marks it; never one of an answer.
func (w *walker) found(v any, hide Sensitivity) string {
	show := !w.reply && hide == Plain
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		if show {
			return strconv.FormatBool(v)
		}
		return "true or false"
	case json.Number:
		if show && len(v) <= 32 {
			return "the number " + string(v)
		}
		return "a number"
	case string:
		if n := utf8.RuneCountInString(v); !show || n > 32 {
			return fmt.Sprintf("a string of %d characters", n)
		}
		return "the string " + strconv.QuoteToASCII(v)
	case []any:
		return fmt.Sprintf("an array of %d elements", len(v))
	}
	return "an object"
}

// describe says in words what a schema wants.
func describe(s *Schema) string {
	if s == nil {
		return "a value"
	}
	if s.HasConst {
		return compact(s.Const)
	}
	if s.Enum != nil {
		var words []string
		for _, v := range s.Enum {
			words = append(words, compact(v))
		}
		return "one of " + inWords(words)
	}
	names := map[string]string{"boolean": "true or false", "integer": "a whole number in digits", "number": "a number",
		"string": "a string", "array": "an array", "object": "an object"}
	var words []string
	for _, t := range s.Types {
		words = append(words, names[t])
	}
	if s.Nullable {
		words = append(words, "null")
	}
	for _, list := range [][]*Schema{s.AnyOf, s.OneOf} {
		if len(words) == 0 && len(list) > 0 {
			return describeAll(list)
		}
	}
	if len(words) == 0 {
		return "a value"
	}
	return strings.Join(words, " or ")
}

func compact(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		return "a value"
	}
	return string(out)
}

// enumFault compares with const and enum.
func enumFault(s *Schema, v any) (want string, bad bool) {
	if s.HasConst && !equal(s.Const, v) {
		return describe(s), true
	}
	if s.Enum == nil {
		return "", false
	}
	for _, e := range s.Enum {
		if equal(e, v) {
			return "", false
		}
	}
	return describe(s), true
}

// equal compares values; numbers by value, exactly.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && (a == b || exact(string(a)).Cmp(exact(string(b))) == 0)
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if v, ok := b[k]; !ok || !equal(a[k], v) {
				return false
			}
		}
		return true
	}
	switch b.(type) {
	case json.Number, []any, map[string]any:
		return false
	}
	return a == b
}

// unique reports whether no two elements are equal.
func unique(list []any) bool {
	seen := make(map[string]bool, len(list))
	for _, v := range list {
		key := canonical(v)
		if seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}

// canonical writes equal values equally.
func canonical(v any) string {
	switch v := v.(type) {
	case json.Number:
		return exact(string(v)).RatString()
	case []any:
		words := make([]string, len(v))
		for i := range v {
			words[i] = canonical(v[i])
		}
		return "[" + strings.Join(words, ",") + "]"
	case map[string]any:
		words := make([]string, 0, len(v))
		for _, k := range sortedKeys(v) {
			words = append(words, strconv.Quote(k)+":"+canonical(v[k]))
		}
		return "{" + strings.Join(words, ",") + "}"
	case string:
		return strconv.Quote(v)
	}
	return fmt.Sprint(v)
}

// scalarFault checks length, pattern, format and bounds; want is empty when all hold.
func (w *walker) scalarFault(s *Schema, v any, hide Sensitivity) (found, want string) {
	switch v := v.(type) {
	case string:
		n := utf8.RuneCountInString(v)
		switch {
		case bad(n, s.MinLen, s.MaxLen):
			return fmt.Sprintf("%d characters", n), between(s.MinLen, s.MaxLen, "characters")
		case s.rules.pattern != nil && !s.rules.pattern.MatchString(v):
			return w.found(v, hide), "a string that matches " + s.Pattern
		case !w.reply && !fitsFormat(s.Format, v):
			return w.found(v, hide), "a string of format " + s.Format
		}
	case json.Number:
		if s.rules.min == nil && s.rules.max == nil && s.rules.multiple == nil && (w.reply || !strings.HasPrefix(s.Format, "int")) {
			return "", ""
		}
		return w.found(v, hide), w.numberFault(s, string(v))
	}
	return "", ""
}

func (w *walker) numberFault(s *Schema, text string) (want string) {
	n := exact(text)
	if low := s.rules.min; low != nil && (n.Cmp(low) < 0 || s.AboveMin && n.Cmp(low) == 0) {
		if s.AboveMin {
			return "more than " + decimal(low)
		}
		return "at least " + decimal(low)
	}
	if high := s.rules.max; high != nil && (n.Cmp(high) > 0 || s.BelowMax && n.Cmp(high) == 0) {
		if s.BelowMax {
			return "less than " + decimal(high)
		}
		return "at most " + decimal(high)
	}
	if m := s.rules.multiple; m != nil && !new(big.Rat).Quo(n, m).IsInt() {
		return "a multiple of " + decimal(m)
	}
	if bits := map[string]int{"int32": 32, "int64": 64}[s.Format]; bits > 0 && !w.reply {
		if _, err := strconv.ParseInt(text, 10, bits); err != nil {
			return fmt.Sprintf("a whole number of %d bits", bits)
		}
	}
	return ""
}

func decimal(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	return strings.TrimRight(r.FloatString(12), "0")
}

func bad(n int, low, high *int) bool { return low != nil && n < *low || high != nil && n > *high }

func between(low, high *int, unit string) string {
	switch {
	case low != nil && high != nil && *low == *high:
		return fmt.Sprintf("%d %s", *low, unit)
	case low != nil && high != nil:
		return fmt.Sprintf("%d to %d %s", *low, *high, unit)
	case low != nil:
		return fmt.Sprintf("at least %d %s", *low, unit)
	}
	return fmt.Sprintf("at most %d %s", *high, unit)
}
