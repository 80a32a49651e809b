package provider_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/provider"
)

func readContract(t *testing.T, id string) tree {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("builtin", id, "contract.json"))
	if err != nil {
		t.Fatal(err)
	}
	doc := make(tree)
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatalf("%s/contract.json: %v", id, err)
	}
	return doc
}

// TestOfficial holds every operation of the built-in contracts against the provider's
// own description of its API.
func TestOfficial(t *testing.T) {
	c, files := provider.Builtin(), newOfficialFiles()
	for _, id := range c.List() {
		pack, err := c.Find(id)
		if err != nil {
			t.Error(err)
			continue
		}
		contract := readContract(t, id)
		for path, item := range object(contract["paths"]) {
			for method, op := range object(item) {
				if !isMethod(method) {
					continue
				}
				t.Run(id+"/"+text(object(op)["operationId"]), func(t *testing.T) {
					checkAgainstFile(t, files, pack, contract, method, path)
				})
			}
		}
	}
}

func isMethod(s string) bool {
	return strings.Contains(" get post put patch delete head ", " "+s+" ")
}

func checkAgainstFile(t *testing.T, files *officialFiles, pack *provider.Pack, contract tree, method, path string) {
	t.Helper()
	official := object(extension(object(object(object(contract["paths"])[path])[method]))["official"])
	if why, ok := official["none"].(string); ok {
		if len(why) < 20 {
			t.Errorf("x-sallyport.official.none is %q; say why no official file has this operation", why)
		}
		return
	}
	file, at := text(official["file"]), text(official["path"])
	if official["file"] == nil || official["path"] == nil {
		t.Fatal(`x-sallyport.official is missing; write {"file": …, "path": …} or {"none": "why"}`)
	}
	op, err := findCall(files.open(t, file), strings.ToUpper(method), at)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, f := range checkOperation(pack, contract, method, path, op) {
		t.Error(f)
	}
}
