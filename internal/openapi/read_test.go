package openapi

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

// TestFamilies reads one document of each family and compares everything that comes of it.
func TestFamilies(t *testing.T) {
	for _, name := range []string{"swagger.yaml", "discovery.json", "openapi31.yaml"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			open := func(name string) ([]byte, error) { return os.ReadFile(filepath.Join("testdata", name)) }
			d, err := Read(name, data, Options{Open: open})
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			var out strings.Builder
			fmt.Fprintf(&out, "%s %s: %s, version %s, %s\nschemes %+v\n", d.Family, d.Version, d.Title, d.APIVersion, d.Description, d.Schemes)
			for i, s := range d.Servers {
				fmt.Fprintf(&out, "server %d: %v\n", i, s.URLs)
			}
			for _, o := range d.Operations {
				ids = append(ids, o.ID)
				fmt.Fprintf(&out, "%s: %s %s, server %d, security %v, open %v\n", o.ID, o.Method, o.Path, o.Server, o.Security, o.Open)
			}
			r, err := d.Write(ids, Hooks{Prefix: func(Operation) string { return "/base" }, Note: func(Operation, []Marked) []byte { return []byte(`{"server":"api"}`) }})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.LeftOut {
				fmt.Fprintf(&out, "left out: %s\n", f)
			}
			for _, f := range r.Findings {
				fmt.Fprintf(&out, "found: %s\n", f)
			}
			out.Write(r.Contract)
			golden(t, filepath.Join("testdata", name+".golden"), out.String())
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not as %s says (-update writes it):\n%s", path, got)
	}
}

func TestDocumentsThatAreNone(t *testing.T) {
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	for _, row := range []struct{ name, text, want string }{
		{"nothing", " \n", "the file is empty"},
		{"too much", strings.Repeat(" ", MaxSize+1), "up to 32 MiB are read"},
		{"other JSON", `{"a":1}`, "has none of openapi, swagger and discoveryVersion"},
		{"a list", `[1]`, "found an array where a description is an object"},
		{"other YAML", "a: 1\n", "has none of openapi"},
		{"broken JSON", "{\"openapi\":\n \"3.0.3\",,}", "line 2, column 10: this is not JSON"},
		{"broken YAML", "openapi: [\n", "this is not YAML"},
		{"two documents", "openapi: 3.0.3\n---\nopenapi: 3.0.3\n", "a second document begins here"},
		{"a name twice in JSON", `{"openapi":"3.0.3","openapi":"3.0.3"}`, "stands twice"},
		{"a name twice in YAML", "openapi: 3.0.3\nopenapi: 3.0.3\n", `line 2: the name "openapi" stands twice; the first is on line 1`},
		{"an old version", `{"swagger":"1.2"}`, `found swagger "1.2"; version 2.0 is read`},
		{"a new version", `{"openapi":"4.0.0"}`, `found openapi "4.0.0"`},
		{"deep JSON", `{"openapi":"3.0.3","x":` + deep + `}`, "nested deeper than 128"},
		{"deep YAML", "openapi: 3.0.3\nx: " + deep, "nested deeper than 128"},
		{"very deep YAML", strings.Repeat("- ", 100_000), "this is not YAML"},
		{"an alias bomb", bomb.String(), "values; an alias stands for all that is in its anchor"},
		{"an alias in its anchor", "a: &a [*a]\n", "stands in its own anchor"},
		{"a merge of itself", "a: &a {<<: *a}\n", "merges go too deep"},
		{"not a number", "openapi: .inf\n", "not a number that JSON can write"},
		{"a tag", "openapi: !money 3\n", "the tag !money is not taken"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := Read("doc", []byte(row.text), Options{})
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.HasPrefix(err.Error(), "doc: ") {
				t.Errorf("error %v, want %q", err, row.want)
			}
		})
	}
}

func TestFilesOfADocument(t *testing.T) {
	const doc = `{"openapi":"3.0.3","paths":{"/a":{"get":{"operationId":"a","responses":{"200":{"description":"d","content":{"application/json":{"schema":{"$ref":%q}}}}}}}}}`
	files := map[string]string{
		"b.json": `{"B":{"type":"string"}}`, "c.yaml": "C: {type: string}\n", "sub/d.json": `{"$ref":"../b.json#/B"}`, "sub/e.json": `{"$ref":"f.json"}`, "f.json": `{"type":"string"}`,
		"big.json": `[` + strings.Repeat(`"x",`, 10) + `1]`, "bad.json": `{`,
	}
	open := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, errors.New("no such file")
	}
	for _, row := range []struct{ ref, want string }{
		{"b.json#/B", ""},
		{"./b.json#/B", ""},
		{"c.yaml#/C", ""},
		{"sub/d.json", ""},
		{"sub/e.json", ""}, // sub/f.json is not there, f.json is
		{"b%2ejson#/%42", ""},
		{"b.json#/missing", "points to nothing"},
		{"none.json", "there is no file none.json beside the document"},
		{"bad.json", "bad.json: line 1, column 2: this is not JSON"},
		{"big.json#/0", "found a string where a schema stands"},
		{"../b.json", "leads out of the document's folder"},
		{"/etc/passwd", "leads out of the document's folder"},
		{`..\b.json`, "leads out of the document's folder"},
		{"http://x.example/b.json", "nothing is fetched"},
		{"file:///etc/passwd", "nothing is fetched"},
		{"//x.example/b.json", "nothing is fetched"},
		{"b.json#anchor", "names an anchor that b.json does not have"},
	} {
		t.Run(row.ref, func(t *testing.T) {
			d, err := Read("doc.json", []byte(fmt.Sprintf(doc, row.ref)), Options{Open: open})
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Write([]string{"a"}, Hooks{})
			if row.want == "" && err != nil {
				t.Errorf("%v: %v", err, r.LeftOut)
			}
			if row.want != "" && (err == nil || !strings.Contains(said(r.LeftOut), row.want)) {
				t.Errorf("left out %v, want %q", r.LeftOut, row.want)
			}
		})
	}
}

// FuzzRead: whatever the bytes are, reading and writing ends, and what is written is read again.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"swagger.yaml", "discovery.json", "openapi31.yaml"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"openapi":"3.0.3","paths":{"/a":{"get":{"responses":{"default":{"$ref":"#/paths/~1a/get/responses/default"}}}}}}`))
	f.Add([]byte(`{"openapi":"3.1.0","paths":{"/a/{b}":{"$ref":"#/paths/~1a~1{b}"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		defer time.AfterFunc(10*time.Second, func() { panic("an input takes over ten seconds") }).Stop()
		d, err := Read("doc", data, Options{Open: func(string) ([]byte, error) { return data, nil }})
		if err != nil {
			return
		}
		var ids []string
		for _, o := range d.Operations {
			ids = append(ids, o.ID)
		}
		r, err := d.Write(ids, Hooks{Mark: func(f Field) Mark { return Mark{Data: "personal", Why: f.Name} }})
		if errors.Is(err, errNothing) {
			return
		}
		if err != nil {
			t.Fatalf("write: %v", err)
		}
		again, err := Read("again", r.Contract, Options{})
		if err != nil {
			t.Fatalf("read again: %v\n%s", err, r.Contract)
		}
		if len(again.Operations) != len(r.Operations) {
			t.Fatalf("%d operations came back of %d\n%s", len(again.Operations), len(r.Operations), r.Contract)
		}
	})
}

// TestHostileShapesTakeBoundedTime: documents that are made so that a look at each of their parts
// would be a look at all of them.
func TestHostileShapesTakeBoundedTime(t *testing.T) {
	const n = 10_000
	many := func(format string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.ReplaceAll(format, "@", fmt.Sprint(i)))
		}
		return b.String()
	}
	doc := func(schema, schemas string) string {
		return `{"openapi":"3.0.3","paths":{"/a":{"get":{"operationId":"a","responses":{"200":{"description":"d","content":{"application/json":{"schema":` + schema + `}}}}}}},"components":{"schemas":{` + schemas + `}}}`
	}
	for name, text := range map[string]string{
		"required and properties": doc(`{"required":[`+many(`"p@"`)+`],"properties":{`+many(`"p@":{}`)+`}}`, ``),
		"references":              doc(`{"anyOf":[`+many(`{"$ref":"#/components/schemas/S@"}`)+`]}`, many(`"S@":{}`)),
		"findings":                doc(`{"properties":{`+many(`"p@":{"colour":1}`)+`}}`, ``),
		"faults":                  doc(`{"properties":{`+many(`"p@":{"type":"colour"}`)+`}}`, ``),
		"one name":                doc(`{"properties":{`+many(`"p@":{"properties":{"x":{"$ref":"#/components/schemas/H@/properties/x"}}}`)+`}}`, many(`"H@":{"properties":{"x":{}}}`)),
		"operations":              `{"openapi":"3.0.3","paths":{` + many(`"/a@":{"servers":[{"url":"https://h@.example"}],"get":{"operationId":"same","responses":{"204":{"description":"d"}}}}`) + `}}`,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			d, err := Read("doc", []byte(text), Options{})
			if err == nil {
				_, err = d.Write(idsOf(d)[:min(len(d.Operations), 1000)], Hooks{})
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%v (%v)", took, err)
			} else {
				t.Log(took, err)
			}
		})
	}
}

func idsOf(d *Document) []string {
	var ids []string
	for _, o := range d.Operations {
		ids = append(ids, o.ID)
	}
	return ids
}
