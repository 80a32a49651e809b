package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// forms are the shapes in which a value could stand in an output: plain in any case,
// base64 at the three alignments (both alphabets), hex, URL-encoded, JSON-escaped.
func forms(value string) map[string][]byte {
	v := []byte(value)
	var url, json strings.Builder
	for _, b := range v {
		fmt.Fprintf(&url, "%%%02x", b)
		fmt.Fprintf(&json, `\u%04x`, b)
	}
	out := map[string][]byte{"plain": v, "hex": []byte(hex.EncodeToString(v)), "URL-encoded": []byte(url.String()), "JSON-escaped": []byte(json.String())}
	for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
		for shift := range 3 {
			text := enc.EncodeToString(append(make([]byte, shift), v...))
			// The characters that neighbours change are left out at both ends.
			first := (shift*8 + 5) / 6
			last := (shift + len(v)) * 8 / 6
			out[fmt.Sprintf("%s+%d", name, shift)] = []byte(text[first:last])
		}
	}
	return out
}

// finder looks for values in every form at once.
type finder struct{ values map[string]string } // name → value

// find names the values that stand in text. base64 is compared exactly, all else in any case.
func (f finder) find(text []byte) []string {
	lower := bytes.ToLower(text)
	var out []string
	for name, value := range f.values {
		for form, needle := range forms(value) {
			in := text
			if !strings.HasPrefix(form, "base64") {
				in, needle = lower, bytes.ToLower(needle)
			}
			if i := bytes.Index(in, needle); i >= 0 {
				out = append(out, fmt.Sprintf("%s (%s) at byte %d", name, form, i))
			}
		}
	}
	return out
}

// none fails the test for each value that stands in text.
func (f finder) none(t *testing.T, where string, text []byte) {
	t.Helper()
	for _, hit := range f.find(text) {
		t.Errorf("%s: %s", where, hit)
	}
}

// noneBelow looks through every file of a folder, and at the names.
func (f finder) noneBelow(t *testing.T, dir string) (files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f.none(t, "the name "+path, []byte(path))
		if d.IsDir() {
			return nil
		}
		raw, err := os.ReadFile(path)
		if os.IsNotExist(err) { // a temporary file of the running gate
			return nil
		}
		files++
		f.none(t, path, raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestSearchFindsWhatIsThere is the positive control of the canary test: a planted value
// is found in every form, at every alignment, and only what was planted.
func TestSearchFindsWhatIsThere(t *testing.T) {
	const value = "CANARY7f3c9aKey"
	f := finder{map[string]string{"planted": value, "absent": "CANARY7f3c9aOther"}}
	planted := map[string]string{
		"plain": "x" + value + "y", "upper": strings.ToUpper(value), "hex": hex.EncodeToString([]byte("k=" + value)),
		"upper hex": strings.ToUpper(hex.EncodeToString([]byte(value))), "URL": "?a=" + string(forms(value)["URL-encoded"]),
		"upper URL": strings.ToUpper(string(forms(value)["URL-encoded"])), "JSON": `{"a":"` + string(forms(value)["JSON-escaped"]) + `"}`,
	}
	for shift := range 6 {
		around := strings.Repeat("\xff", shift) + value + strings.Repeat("\xff\xfe", shift)
		planted[fmt.Sprintf("base64 %d", shift)] = base64.StdEncoding.EncodeToString([]byte(around))
		planted[fmt.Sprintf("base64url %d", shift)] = base64.RawURLEncoding.EncodeToString([]byte(around))
	}
	for name, text := range planted {
		hits := f.find([]byte("before " + text + " after"))
		if len(hits) == 0 || strings.Contains(strings.Join(hits, " "), "absent") {
			t.Errorf("%s: found %v in %s", name, hits, text)
		}
	}
	if hits := f.find([]byte("CANARY7f3c9a alone, and " + base64.StdEncoding.EncodeToString([]byte("CANARY7f3c9a")))); len(hits) != 0 {
		t.Errorf("found %v in a text that has only the beginning", hits)
	}
}
