package provider_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/provider"
)

// TestFormatIsDocumented: every key of pack.json, and every word that it may hold,
// stands in docs/reference/catalog.md.
func TestFormatIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/reference/catalog.md")
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"official", "effects", "legacy", "set", "echo", "account", "public", "unlisted: why", "differs: why"}
	words = append(append(append(words, provider.FunctionNames()...), provider.Subjects()...), provider.Schemes()...)
	words = append(append(words, provider.AuthKinds()...), jsonKeys(reflect.TypeFor[provider.Pack](), map[reflect.Type]bool{})...)
	for _, w := range words {
		if !strings.Contains(string(doc), "`"+w+"`") && !strings.Contains(string(doc), `"`+w+`"`) {
			t.Errorf("docs/reference/catalog.md does not mention %q", w)
		}
	}
	for _, e := range provider.Evidences() {
		if !strings.Contains(string(doc), "`"+e+"`") {
			t.Errorf("docs/reference/catalog.md does not mention the evidence %q", e)
		}
	}
}

func jsonKeys(typ reflect.Type, seen map[reflect.Type]bool) []string {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return jsonKeys(typ.Elem(), seen)
	case reflect.Struct:
	default:
		return nil
	}
	if seen[typ] || !strings.HasPrefix(typ.PkgPath(), "sallyport/internal/provider") {
		return nil
	}
	seen[typ] = true
	var keys []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		if !f.IsExported() {
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			keys = append(keys, name)
		}
		keys = append(keys, jsonKeys(f.Type, seen)...)
	}
	return keys
}
