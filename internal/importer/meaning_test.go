package importer

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"sallyport/internal/openapi"
	"sallyport/internal/schema"
	"sallyport/internal/schema/schematest"
	"sallyport/internal/tape"
)

// TestImportKeepsTheMeaning holds the schemas of an imported contract against those of the
// description it was made from: for the bodies of each operation, values that fit and values with
// one rule broken get the same verdict from both. That the verdicts about the description itself
// are an independent validator's too is tested beside the engine (internal/schema). The short form
// takes a sample.
//
// The import reads three things into a description: what is readOnly is no part of a request and
// what is writeOnly none of an answer, nullable beside $ref counts, and an object of which nothing
// is said is free. They are done here to the description, by code of the test's own.
func TestImportKeepsTheMeaning(t *testing.T) {
	root := specs(t)
	for _, provider := range []string{"stripe", "paypal", "twilio", "google", "vonage"} {
		t.Run(provider, func(t *testing.T) {
			files, _ := filepath.Glob(filepath.Join(root, provider, "*.*"))
			var all tally
			for _, file := range files {
				if s := readSides(t, file); s != nil {
					s.compare(t, &all)
				}
			}
			t.Logf("%s: %d bodies, %d values that fit, %d with one rule broken", provider, all.bodies, all.fit, all.broken)
			if all.fit == 0 || all.broken == 0 {
				t.Error("nothing was compared")
			}
		})
	}
}

type tally struct{ bodies, fit, broken int }

// sides are a description and the contract that the import made of it.
type sides struct {
	name     string
	request  *program
	answer   *program
	imported *program
	parts    []part
}

// part is a body that both sides have.
type part struct {
	name     string
	pointer  string // in the description
	contract string // in the contract
	mode     schema.Mode
}

// program is one side, compiled.
type program struct {
	tree map[string]any // in 2020-12, to make values of; of the description only
	text *tape.Tape
	conf schema.Config
	run  *schema.Program
	ids  map[string]schema.ID // by pointer
}

func readSides(t *testing.T, file string) *sides {
	t.Helper()
	if ext := filepath.Ext(file); ext != ".json" && ext != ".yml" {
		return nil
	}
	tree, ok := readTree(t, file).(map[string]any)
	if !ok || !strings.HasPrefix(fmt.Sprint(tree["openapi"]), "3.0") {
		return nil
	}
	adopt(t, tree, filepath.Dir(file))
	dropPatterns(tree)
	text := schematest.Text(tree)
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)) + ".json"
	d, err := openapi.Read(name, text, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	made, err := Import(d, Options{File: name, Data: text, ID: "imported", Operations: []string{"all"}, On: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	s := &sides{name: filepath.Base(file), request: oneSided(t, tree, "readOnly"), answer: oneSided(t, tree, "writeOnly"),
		imported: &program{text: read(t, made.Contract), conf: schema.Config{Dialect: schema.OpenAPI31}}}
	contract, err := schematest.Parse(made.Contract)
	if err != nil {
		t.Fatal(err)
	}
	s.pair(contract.(map[string]any))
	return s
}

// oneSided is the description without the members of the other direction.
func oneSided(t *testing.T, tree map[string]any, other string) *program {
	t.Helper()
	own := schematest.Copy(tree).(map[string]any)
	hidden := map[string]bool{} // components that are of the other direction
	components, _ := own["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	for name, v := range schemas {
		if m, ok := v.(map[string]any); ok && m[other] == true {
			hidden[local+name] = true
		}
	}
	oneWay(own, other, hidden)
	return &program{tree: schematest.Modern(own).(map[string]any), text: read(t, schematest.Text(own)), conf: schema.Config{Dialect: schema.OpenAPI30}}
}

// oneWay takes out the members of the other direction and lets null in where nullable stands
// beside a reference.
func oneWay(v any, other string, hidden map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			oneWay(e, other, hidden)
		}
	case map[string]any:
		if ref, ok := v["$ref"]; ok && v["nullable"] == true {
			v["allOf"] = []any{map[string]any{"$ref": ref}}
			delete(v, "$ref")
		}
		properties, _ := v["properties"].(map[string]any)
		required, _ := v["required"].([]any)
		for name, p := range properties {
			m, _ := p.(map[string]any)
			if ref, _ := m["$ref"].(string); m[other] == true || hidden[ref] {
				delete(properties, name)
				required = slices.DeleteFunc(required, func(r any) bool { return r == name })
			}
		}
		if v["required"] != nil && properties != nil {
			v["required"] = required
		}
		if v["type"] == "object" && !saysMore(v) {
			v["additionalProperties"] = true
		}
		for _, e := range v {
			oneWay(e, other, hidden)
		}
	}
}

func saysMore(v map[string]any) bool {
	for _, rule := range []string{"properties", "required", "additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "not", "$ref"} {
		if v[rule] != nil {
			return true
		}
	}
	return false
}

func read(t *testing.T, text []byte) *tape.Tape {
	t.Helper()
	out := new(tape.Tape)
	if err := out.Parse(text, tape.Limits{Bytes: 64 << 20, Depth: 200, Elements: 1 << 20, Nodes: 1 << 24}); err != nil {
		t.Fatal(err)
	}
	return out
}

func readTree(t *testing.T, file string) any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(file) != ".json" {
		var doc any
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		if text, err = json.Marshal(doc); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := schematest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

const local = "#/components/schemas/"

// adopt brings the schemas of other files, which some descriptions refer to, into the description:
// values are made of one document.
func adopt(t *testing.T, tree map[string]any, folder string) {
	t.Helper()
	components, _ := tree["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	taken := map[string]bool{}
	rename(tree, func(ref string) string {
		file, name, _ := strings.Cut(ref, local)
		if file == "" || name == "" {
			return ref
		}
		file = path.Base(file)
		if !taken[file] {
			taken[file] = true
			other := readTree(t, filepath.Join(folder, file))
			rename(other, func(ref string) string { return strings.Replace(ref, local, local+file+":", 1) })
			theirs, _ := schematest.Resolve(other, strings.TrimSuffix(local, "/"))
			for name, v := range theirs.(map[string]any) {
				schemas[file+":"+name] = v
			}
		}
		return local + file + ":" + name
	})
}

// rename gives every reference another target.
func rename(v any, to func(ref string) string) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			rename(e, to)
		}
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			v["$ref"] = to(ref)
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			rename(v[k], to)
		}
	}
}

// dropPatterns takes out the patterns that the engine refuses by name: the import gives up the
// operations that have them.
func dropPatterns(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			dropPatterns(e)
		}
	case map[string]any:
		if p, ok := v["pattern"].(string); ok && schema.CheckPattern(p) != nil {
			delete(v, "pattern")
		}
		for _, e := range v {
			dropPatterns(e)
		}
	}
}

// pair finds the bodies that both sides have: the contract's paths may have the server's path
// before those of the description.
func (s *sides) pair(contract map[string]any) {
	theirs, _ := s.answer.tree["paths"].(map[string]any)
	paths, _ := contract["paths"].(map[string]any)
	for _, url := range slices.Sorted(maps.Keys(paths)) {
		was := url
		for theirs[was] == nil && was != "" {
			_, rest, _ := strings.Cut(was[1:], "/")
			if was = "/" + rest; rest == "" {
				was = ""
			}
		}
		item, _ := paths[url].(map[string]any)
		old, _ := theirs[was].(map[string]any)
		for _, method := range slices.Sorted(maps.Keys(item)) {
			op, _ := item[method].(map[string]any)
			before, _ := old[method].(map[string]any)
			at, now := schematest.Pointer("paths", was, method), schematest.Pointer("paths", url, method)
			s.body(method+" "+url+" request", schema.Request, s.side(s.request.tree, before["requestBody"], at+"/requestBody"), s.side(contract, op["requestBody"], now+"/requestBody"))
			responses, _ := op["responses"].(map[string]any)
			had, _ := before["responses"].(map[string]any)
			for _, status := range slices.Sorted(maps.Keys(responses)) {
				s.body(method+" "+url+" "+status, schema.Response, s.side(s.answer.tree, had[status], at+schematest.Pointer("responses", status)), s.side(contract, responses[status], now+schematest.Pointer("responses", status)))
			}
		}
	}
}

// holder is an object with content, and its pointer.
type holder struct {
	content map[string]any
	at      string
}

func (s *sides) side(root map[string]any, v any, at string) holder {
	m, _ := v.(map[string]any)
	for ref, ok := m["$ref"].(string); ok; ref, ok = m["$ref"].(string) {
		target, _ := schematest.Resolve(root, ref)
		m, _ = target.(map[string]any)
		at = strings.TrimPrefix(ref, "#")
	}
	content, _ := m["content"].(map[string]any)
	return holder{content, at}
}

func (s *sides) body(name string, mode schema.Mode, before, now holder) {
	for _, media := range slices.Sorted(maps.Keys(now.content)) {
		had, _ := before.content[media].(map[string]any)
		has, _ := now.content[media].(map[string]any)
		if had["schema"] == nil || has["schema"] == nil {
			continue
		}
		tail := schematest.Pointer("content", media, "schema")
		s.parts = append(s.parts, part{name, before.at + tail, now.at + tail, mode})
	}
}

func (s *sides) compare(t *testing.T, all *tally) {
	parts := s.parts
	if most := torture(12, 1<<30); len(parts) > most {
		var some []part
		for i := 0; i < len(parts); i += (len(parts) + most - 1) / most {
			some = append(some, parts[i])
		}
		parts = some
	}
	if len(parts) == 0 {
		return
	}
	pointers := map[*program][]string{}
	for _, p := range parts {
		of := s.of(p)
		pointers[of] = append(pointers[of], p.pointer)
		pointers[s.imported] = append(pointers[s.imported], p.contract)
	}
	for of, list := range pointers {
		of.compile(t, s.name, list)
	}
	for i, p := range parts {
		all.bodies++
		s.run(t, i, p, all)
	}
}

// of is the description as a part reads it.
func (s *sides) of(p part) *program {
	if p.mode == schema.Request {
		return s.request
	}
	return s.answer
}

func (p *program) compile(t *testing.T, name string, pointers []string) {
	t.Helper()
	c := schema.NewCompiler(p.text, "https://test.example/"+name, p.conf)
	p.ids = map[string]schema.ID{}
	for _, pointer := range pointers {
		id, err := c.Compile(at(t, p.text, pointer))
		if err != nil {
			t.Fatalf("%s: %s: %v", name, pointer, err)
		}
		p.ids[pointer] = id
	}
	var err error
	if p.run, err = c.Finish(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// at follows a pointer.
func at(t *testing.T, text *tape.Tape, pointer string) int {
	t.Helper()
	node := 0
	for step := range strings.SplitSeq(pointer[1:], "/") {
		next, ok := text.Find(node, strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~"))
		if !ok {
			t.Fatalf("nothing stands at %s", pointer)
		}
		node = next
	}
	return node
}

func (s *sides) run(t *testing.T, i int, p part, all *tally) {
	tree := s.of(p).tree
	from, _ := schematest.Resolve(tree, "#"+p.pointer)
	g := schematest.New(uint64(i))
	g.Root, g.Whole, g.Deeper = tree, p.mode == schema.Request, 8
	g.Translate = func(pattern string) (string, error) {
		_, err := regexp.Compile(pattern)
		return pattern, err
	}
	for try, fits := 0, 0; try < 12 && fits < torture(1, 2); try++ {
		value := g.Value([]int{2, 3, 1, 2, 0, 3}[try%6], from)
		if !s.same(t, p, "made to fit", value) {
			continue
		}
		fits++
		all.fit++
		mutations := g.Mutations(value, p.mode == schema.Request, from)
		step := max(1, len(mutations)/torture(40, 200))
		for j := 0; j < len(mutations); j += step {
			all.broken++
			s.same(t, p, mutations[j].Rule+" broken at "+mutations[j].Path, mutations[j].Value)
		}
	}
}

// same tells a difference between the two verdicts, and whether the value fits.
func (s *sides) same(t *testing.T, p part, what string, value any) bool {
	t.Helper()
	v := read(t, schematest.Text(value))
	was, is := s.of(p).check(v, p.pointer, p.mode), s.imported.check(v, p.contract, p.mode)
	if was != is {
		t.Errorf("%s: %s (%s), %s: the description says %v, the contract %v\nvalue %.1500s", s.name, p.name, p.pointer, what, was, is, schematest.Text(value))
	}
	return was == schema.Valid
}

func (p *program) check(v *tape.Tape, pointer string, mode schema.Mode) schema.Verdict {
	m := p.run.Get()
	defer m.Put()
	return m.Check(v, 0, p.ids[pointer], mode)
}

func torture(short, long int) int {
	if os.Getenv("SALLYPORT_TORTURE") != "" {
		return long
	}
	return short
}
