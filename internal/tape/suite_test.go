package tape

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// suite reads JSONTestSuite's files and makes the two that are only long.
func suite(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/jsontestsuite/*.json")
	if err != nil || len(files) < 300 {
		t.Fatalf("found %d files of JSONTestSuite, want over 300: %v", len(files), err)
	}
	texts := map[string][]byte{
		"n_structure_100000_opening_arrays.json": []byte(strings.Repeat("[", 100_000)),
		"n_structure_open_array_object.json":     []byte(strings.Repeat(`[{"":`, 50_000) + "\n"),
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(f)] = text
	}
	return texts
}

// duplicates are the files that RFC 8259 allows and we do not: "names within an object
// SHOULD be unique", and readers differ over which one counts.
var duplicates = []string{"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}

// verdicts are ours on the files that are left to the reader; false is refused.
var verdicts = map[string]bool{
	// A number beyond what is compared exactly.
	"i_number_double_huge_neg_exp.json":   false,
	"i_number_huge_exp.json":              false,
	"i_number_neg_int_huge_exp.json":      false,
	"i_number_pos_double_huge_exp.json":   false,
	"i_number_real_neg_overflow.json":     false,
	"i_number_real_pos_overflow.json":     false,
	"i_number_real_underflow.json":        false,
	"i_number_too_big_neg_int.json":       true, // kept as written, so nothing is lost
	"i_number_too_big_pos_int.json":       true,
	"i_number_very_big_negative_int.json": true,
	// Half of a surrogate pair: no character, and every reader makes another one of it.
	"i_object_key_lone_2nd_surrogate.json":                false,
	"i_string_1st_surrogate_but_2nd_missing.json":         false,
	"i_string_1st_valid_surrogate_2nd_invalid.json":       false,
	"i_string_incomplete_surrogate_and_escape_valid.json": false,
	"i_string_incomplete_surrogate_pair.json":             false,
	"i_string_incomplete_surrogates_escape_valid.json":    false,
	"i_string_invalid_lonely_surrogate.json":              false,
	"i_string_invalid_surrogate.json":                     false,
	"i_string_inverted_surrogates_U+1D11E.json":           false,
	"i_string_lone_second_surrogate.json":                 false,
	// Not UTF-8, or with a byte order mark.
	"i_string_UTF-16LE_with_BOM.json":              false,
	"i_string_UTF-8_invalid_sequence.json":         false,
	"i_string_UTF8_surrogate_U+D800.json":          false,
	"i_string_invalid_utf-8.json":                  false,
	"i_string_iso_latin_1.json":                    false,
	"i_string_lone_utf8_continuation_byte.json":    false,
	"i_string_not_in_unicode_range.json":           false,
	"i_string_overlong_sequence_2_bytes.json":      false,
	"i_string_overlong_sequence_6_bytes.json":      false,
	"i_string_overlong_sequence_6_bytes_null.json": false,
	"i_string_truncated-utf-8.json":                false,
	"i_string_utf16BE_no_BOM.json":                 false,
	"i_string_utf16LE_no_BOM.json":                 false,
	"i_structure_UTF-8_BOM_empty_object.json":      false,
	"i_structure_500_nested_arrays.json":           false, // deeper than 64
}

func TestJSONTestSuite(t *testing.T) {
	v, judged := new(Tape), 0
	for name, text := range suite(t) {
		err := v.Parse(text, Limits{})
		accepted := err == nil
		want := strings.HasPrefix(name, "y_")
		if strings.HasPrefix(name, "i_") {
			var known bool
			if want, known = verdicts[name]; !known {
				t.Errorf("%s: no verdict written for it", name)
			}
			judged++
		}
		for _, twice := range duplicates {
			if name == twice {
				want = false
				if accepted || !strings.Contains(err.Error(), "stands twice") {
					t.Errorf("%s: %v, want the duplicate named", name, err)
				}
			}
		}
		if accepted != want {
			t.Errorf("%s: accepted %v (%v), want %v", name, accepted, err, want)
		}
		if accepted {
			checkShape(t, v)
			if got, want := v.Value(0), decoded(t, text); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %#v, want %#v", name, got, want)
			}
			if again := v.AppendJSON(nil, 0); !json.Valid(again) {
				t.Errorf("%s: written as %s", name, again)
			}
		}
	}
	if judged != len(verdicts) {
		t.Errorf("%d verdicts for %d files", len(verdicts), judged)
	}
}
