package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse: whatever bytes a file has, there is a File or there are faults, never both and never neither; every
// fault has a finding and a remedy; and a marked secret is never repeated.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/config/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(seeds, example) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, doc string) {
		if len(doc) > 16<<10 {
			return
		}
		file, faults := Parse(filepath.Join(dir, "sallyport.yaml"), []byte(doc), catalog())
		if (file == nil) == (len(faults) == 0) {
			t.Fatalf("file %v, faults %v", file, faults)
		}
		for _, fault := range faults {
			if fault.Found == "" || fault.Hint == "" || fault.Line < 0 {
				t.Errorf("an incomplete fault: %+v", fault)
			}
		}
		if strings.Contains(faults.Error(), "sk_live_51CanaryCanary") {
			t.Errorf("a secret is printed back: %v", faults)
		}
	})
}
