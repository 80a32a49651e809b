package importer

import (
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/openapi"
)

// choose finds the wanted operations, in the order of the description. explicit are those that
// were wanted by name: they must not be left out silently.
func choose(all []openapi.Operation, wanted []string) ([]openapi.Operation, map[string]bool, error) {
	if len(all) == 0 {
		return nil, nil, &Error{Text: errNone.Error(), Hint: "give the description of an API, with paths in it"}
	}
	if len(wanted) == 0 {
		return nil, nil, wrong("write --operations all, or ids and patterns: --operations \"create-order,GET /v1/*\"; --list shows them", "which operations?")
	}
	chosen, explicit := map[string]bool{}, map[string]bool{}
	for _, w := range wanted {
		w = strings.TrimSpace(w)
		match, named, err := matcher(w)
		if err != nil {
			return nil, nil, err
		}
		found := false
		for _, o := range all {
			if match(o) {
				found, chosen[o.ID] = true, true
				explicit[o.ID] = explicit[o.ID] || named
			}
		}
		if !found {
			return nil, nil, wrong(near(w, ids(all)), "the description has no operation %q", w)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(o openapi.Operation) bool { return !chosen[o.ID] }), explicit, nil
}

// matcher reads one wish: all, an id, the description's own name, or a pattern of ids, of paths,
// or of a method and paths, in which * is any text.
func matcher(w string) (match func(openapi.Operation) bool, named bool, err error) {
	if w == "" {
		return nil, false, wrong("write ids and patterns with commas between them", "an empty name among the operations")
	}
	if w == "all" || w == "*" {
		return func(openapi.Operation) bool { return true }, false, nil
	}
	method, path, hasMethod := strings.Cut(w, " ")
	if !hasMethod {
		method, path = "*", w
	}
	path = strings.TrimSpace(path)
	switch {
	case strings.HasPrefix(path, "/"):
		glob := globOf(path)
		verb := globOf(strings.ToUpper(method))
		return func(o openapi.Operation) bool { return verb.MatchString(o.Method) && glob.MatchString(o.Path) }, false, nil
	case hasMethod:
		return nil, false, wrong("write a method and a path, such as \"GET /v1/*\"", "%q is neither an operation nor a pattern", w)
	case strings.Contains(w, "*"):
		glob := globOf(w)
		return func(o openapi.Operation) bool { return glob.MatchString(o.ID) }, false, nil
	}
	return func(o openapi.Operation) bool { return o.ID == w || o.Named == w }, true, nil
}

func globOf(pattern string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
}
