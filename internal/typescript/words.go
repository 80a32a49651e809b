package typescript

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"sallyport/internal/contract"
)

// maxWords bounds one description of a contract, in bytes.
const maxWords = 400

// operationWords says what an operation does, and where its documentation is.
func operationWords(op *contract.Operation) []string {
	doc := []string{sentence(op.Summary)}
	for _, e := range []struct{ name, says string }{
		{contract.EffectMoney, "Moves or promises money."},
		{contract.EffectMessage, "Sends something to a person."},
		{contract.EffectPersonal, "Reads or writes personal data."},
		{contract.EffectAdmin, "Changes the account itself."},
	} {
		if op.HasEffect(e.name) {
			doc = append(doc, e.says)
		}
	}
	if op.Legacy != nil {
		doc = append(doc, "@deprecated "+cmp.Or(sentence(op.Legacy.Note), "The provider calls this legacy since "+clean(op.Legacy.Since)+"."))
	}
	if source := clean(op.Source); source != "" {
		doc = append(doc, "@see "+source)
	}
	return slices.DeleteFunc(doc, func(s string) bool { return s == "" })
}

// described is what a contract says of a field in words.
func described(ss ...*contract.Schema) []string {
	for _, s := range flatten(ss) {
		if text := sentence(s.Description); text != "" {
			return []string{text}
		}
	}
	for _, s := range ss {
		if text := sentence(s.Title); text != "" {
			return []string{text}
		}
	}
	return nil
}

// words is described, with the rules that a type cannot say.
func (r *reader) words(ss []*contract.Schema) []string {
	doc := described(ss...)
	for _, s := range allParts(ss) {
		if r.request {
			doc = append(doc, sizes(s)...)
		} else if s.Format != "" && len(s.Enum) == 0 {
			doc = append(doc, "Format: "+clean(s.Format)+".")
		}
	}
	switch mark(ss) {
	case contract.Secret:
		doc = append(doc, "Secret: it gives power, so keep it out of logs and addresses.")
	case contract.Personal:
		doc = append(doc, "Personal data.")
	}
	return slices.Compact(doc)
}

func mark(ss []*contract.Schema) contract.Sensitivity {
	data := contract.Plain
	for _, s := range ss {
		switch {
		case s.Data == contract.Secret:
			return s.Data
		case s.Data != contract.Plain:
			data = s.Data
		}
	}
	return data
}

// sizes are the bounds of a value in a request.
func sizes(s *contract.Schema) []string {
	var doc []string
	if len(s.Enum) == 0 && !s.HasConst {
		doc = append(doc, numberWords(s)...)
		doc = append(doc, countWords(s.MinLen, s.MaxLen, "character")...)
		if s.Pattern != "" && len(s.Pattern) <= 100 {
			doc = append(doc, "Matches `"+clean(s.Pattern)+"`.")
		}
		if s.Format != "" {
			doc = append(doc, "Format: "+clean(s.Format)+".")
		}
	}
	doc = append(doc, countWords(s.MinItems, s.MaxItems, "element")...)
	doc = append(doc, countWords(s.MinProps, s.MaxProps, "name")...)
	if s.UniqueItems {
		doc = append(doc, "No element twice.")
	}
	if s.URL {
		doc = append(doc, "An address on one of the site's origins.")
	}
	if d, ok := plainValue(s.Default); ok {
		doc = append(doc, "Otherwise "+d+".")
	}
	return doc
}

func plainValue(v any) (string, bool) {
	switch v.(type) {
	case nil, []any, map[string]any:
		return "", false
	}
	return literalOf(v).text, true
}

func numberWords(s *contract.Schema) []string {
	noun := "A number"
	if slices.Contains(s.Types, "integer") && !slices.Contains(s.Types, "number") {
		noun = "A whole number"
	}
	low, high := "from ", " to "
	if s.AboveMin {
		low = "above "
	}
	if s.BelowMax {
		high = " to below "
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		return []string{noun + " " + low + number(*s.Minimum) + high + number(*s.Maximum) + "."}
	case s.Minimum != nil:
		return []string{noun + " " + low + number(*s.Minimum) + "."}
	case s.Maximum != nil:
		return []string{noun + strings.TrimSuffix(high, " ") + " " + number(*s.Maximum) + "."}
	case noun == "A whole number":
		return []string{noun + "."}
	}
	return nil
}

func countWords(least, most *int, noun string) []string {
	s := func(n int) string {
		if n == 1 {
			return noun
		}
		return noun + "s"
	}
	switch {
	case least != nil && *least > 0 && most != nil:
		return []string{fmt.Sprintf("%d to %d %s.", *least, *most, s(*most))}
	case least != nil && *least > 0:
		return []string{fmt.Sprintf("At least %d %s.", *least, s(*least))}
	case most != nil:
		return []string{fmt.Sprintf("At most %d %s.", *most, s(*most))}
	}
	return nil
}

// sentence is a description as part of a comment: its first paragraph, bounded, with a
// full stop.
func sentence(s string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s), "\n\n")
	s = strings.TrimLeft(clean(first), "@ ") // no tag of the contract's own
	if len(s) > maxWords {
		s = s[:maxWords]
		if i := strings.LastIndexByte(s, ' '); i > 0 {
			s = s[:i]
		}
		s = strings.ToValidUTF8(s, "") + " …"
	}
	if s != "" && !strings.ContainsAny(s[len(s)-1:], ".!?:") && !strings.HasSuffix(s, "…") {
		s += "."
	}
	return s
}

// clean makes a text of a contract fit to stand in a comment: one line, printable, and
// without the end of the comment.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "*/", `*\/`)
}
