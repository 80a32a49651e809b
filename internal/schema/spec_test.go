package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"sallyport/internal/schema/schematest"
	"sallyport/internal/tape"
)

// specFolder has the providers' official descriptions.
func specFolder(t testing.TB) string {
	t.Helper()
	folder := os.Getenv("SALLYPORT_SPECS")
	if folder == "" {
		folder = "../../../shared/specs"
	}
	if _, err := os.Stat(folder); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the providers' descriptions are not at %s; set SALLYPORT_SPECS", folder)
		}
		t.Skipf("the providers' descriptions are not at %s; set SALLYPORT_SPECS", folder)
	}
	return folder
}

// spec is one description: for us as it stands, for the independent judge in plain JSON Schema.
type spec struct {
	name    string
	folder  string
	text    *tape.Tape
	tree    map[string]any // schemas in 2020-12
	parts   []specPart
	program *Program
	ids     []ID
	open    *schematest.Oracle // answers
	closed  *schematest.Oracle // requests
	met     map[string]int     // how often a schema was met, by its text
	refused []string           // patterns that cannot be matched here
}

// specPart is a body or parameter of one operation.
type specPart struct {
	operation string
	what      string // request, parameter, or an answer's status
	pointer   string
	request   bool
	unclear   bool // how closed it is depends on the value: no schema can say that
}

// readSpec reads a description in OpenAPI 3.0, from JSON or YAML; nil where the file is none.
func readSpec(t testing.TB, file string) *spec {
	t.Helper()
	tree, err := readTree(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, ok := tree.(map[string]any)
	if !ok || !strings.HasPrefix(fmt.Sprint(doc["openapi"]), "3.0") {
		return nil
	}
	s := &spec{name: filepath.Base(filepath.Dir(file)) + "/" + filepath.Base(file), folder: filepath.Dir(file), text: new(tape.Tape)}
	s.dropPatterns(tree)
	if err := s.text.Parse(schematest.Text(tree), tape.Limits{Bytes: 64 << 20, Depth: 200, Elements: 1 << 20, Nodes: 1 << 24}); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	s.tree = schematest.Modern(tree).(map[string]any)
	s.adopt(t)
	s.find()
	return s
}

// dropPatterns takes out, for both judges, the patterns that the engine refuses by name.
func (s *spec) dropPatterns(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			s.dropPatterns(e)
		}
	case map[string]any:
		if p, ok := v["pattern"].(string); ok {
			if _, err := compilePattern(p); err != nil {
				delete(v, "pattern")
				s.refused = append(s.refused, p)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			s.dropPatterns(v[k])
		}
	}
}

// find lists the bodies and parameters of all operations.
func (s *spec) find() {
	paths, _ := s.tree["paths"].(map[string]any)
	for _, url := range slices.Sorted(maps.Keys(paths)) {
		item, _ := paths[url].(map[string]any)
		for _, method := range []string{"get", "put", "post", "delete", "patch"} {
			op, ok := item[method].(map[string]any)
			if !ok {
				continue
			}
			name := strings.ToUpper(method) + " " + url
			at := schematest.Pointer("paths", url, method)
			if body, where, ok := s.deref(op["requestBody"], at+"/requestBody"); ok {
				s.content(name, "request", body, where, true)
			}
			responses, _ := op["responses"].(map[string]any)
			for _, status := range slices.Sorted(maps.Keys(responses)) {
				if r, where, ok := s.deref(responses[status], at+schematest.Pointer("responses", status)); ok {
					s.content(name, status, r, where, false)
				}
			}
			params, _ := op["parameters"].([]any)
			for i, p := range params {
				if p, where, ok := s.deref(p, at+fmt.Sprintf("/parameters/%d", i)); ok && p["schema"] != nil {
					s.parts = append(s.parts, specPart{name, "parameter", where + "/schema", true, false})
				}
			}
		}
	}
}

func (s *spec) deref(v any, at string) (map[string]any, string, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, "", false
	}
	if ref, ok := m["$ref"].(string); ok {
		target, found := schematest.Resolve(s.tree, ref)
		if !found {
			return nil, "", false
		}
		return s.deref(target, strings.TrimPrefix(ref, "#"))
	}
	return m, at, true
}

func (s *spec) content(operation, what string, body map[string]any, at string, request bool) {
	content, _ := body["content"].(map[string]any)
	for _, media := range slices.Sorted(maps.Keys(content)) {
		if entry, ok := content[media].(map[string]any); ok && entry["schema"] != nil {
			s.parts = append(s.parts, specPart{operation, what, at + schematest.Pointer("content", media, "schema"), request, false})
		}
	}
}

// compile prepares both judges for the chosen parts. Schemas with patterns that cannot be
// matched are left out, and told.
func (s *spec) compile(t testing.TB, parts []specPart) []specPart {
	t.Helper()
	var requests, answers []string
	for _, p := range parts {
		if p.request {
			requests = append(requests, p.pointer)
		} else {
			answers = append(answers, p.pointer)
		}
	}
	closed, unclear := schematest.CloseAt(s.tree, requests)
	conf := schematest.OracleConfig{Formats: true, Translate: translatePattern, Named: ourFormats()}
	var err error
	if s.closed, err = schematest.NewOracle(closed, conf); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	conf.Formats = false
	if s.open, err = schematest.NewOracle(schematest.OpenAt(s.tree, answers), conf); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	for i := range parts {
		parts[i].unclear = unclear[parts[i].pointer]
	}
	c := NewCompiler(s.text, "https://test.example/"+s.name, Config{Dialect: OpenAPI30, Documents: s.document})
	s.ids = nil
	for _, p := range parts {
		node, err := follow(s.text, 0, p.pointer)
		if err != nil {
			t.Fatalf("%s: %s: %v", s.name, p.pointer, err)
		}
		id, err := c.Compile(node)
		if err != nil {
			t.Fatalf("%s: %s: %v", s.name, p.pointer, err)
		}
		s.ids = append(s.ids, id)
	}
	if s.program, err = c.Finish(); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return parts
}

// readTree reads JSON or YAML.
func readTree(file string) (any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if ext := filepath.Ext(file); ext == ".yml" || ext == ".yaml" {
		var doc any
		if err := yaml.Unmarshal(text, &doc); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if text, err = json.Marshal(doc); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return schematest.Parse(text)
}

// document gives a description that another one refers to.
func (s *spec) document(uri string) (*tape.Tape, error) {
	tree, err := readTree(filepath.Join(s.folder, path.Base(uri)))
	if err != nil {
		return nil, err
	}
	doc := new(tape.Tape)
	return doc, doc.Parse(schematest.Text(tree), tape.Limits{})
}

// adopt takes the schemas of other files, for the independent judge, into this document.
func (s *spec) adopt(t testing.TB) {
	components, _ := s.tree["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	var foreign func(v any, rename func(ref string) string)
	foreign = func(v any, rename func(ref string) string) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				foreign(e, rename)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				v["$ref"] = rename(ref)
			}
			for _, k := range slices.Sorted(maps.Keys(v)) {
				foreign(v[k], rename)
			}
		}
	}
	const local = "#/components/schemas/"
	taken := map[string]bool{}
	foreign(s.tree, func(ref string) string {
		file, name, ok := strings.Cut(ref, local)
		if !ok || file == "" {
			return ref
		}
		file = path.Base(file)
		if !taken[file] {
			taken[file] = true
			tree, err := readTree(filepath.Join(s.folder, file))
			if err != nil {
				t.Fatal(err)
			}
			other := schematest.Modern(tree)
			foreign(other, func(ref string) string { return strings.Replace(ref, local, local+file+":", 1) })
			theirs, _ := schematest.Resolve(other, "#/components/schemas")
			for name, v := range theirs.(map[string]any) {
				schemas[file+":"+name] = v
			}
		}
		return local + file + ":" + name
	})
}

// judge gives both verdicts about a value.
func (s *spec) judge(t testing.TB, part specPart, id ID, value any) (ours Verdict, theirs error) {
	v := new(tape.Tape)
	if err := v.Parse(schematest.Text(value), tape.Limits{}); err != nil {
		t.Fatalf("%s: %s: %v", s.name, part.operation, err)
	}
	m := s.program.Get()
	defer m.Put()
	if part.request {
		return m.Check(v, 0, id, Request), s.closed.Why(schematest.Root(part.pointer), value)
	}
	sameRead(t, s.program, id, v.Src, tape.Limits{})
	return m.Check(v, 0, id, Response), s.open.Why(schematest.Root(part.pointer), value)
}

// specTally counts what was seen of one provider.
type specTally struct {
	operations               map[string]bool
	parts, bodies, mutations int
	unclear, barren, dropped int
	refused                  map[string]bool
}

// unmatched are the providers' patterns that are refused by name, and why.
func unmatched() map[string]string {
	return map[string]string{
		`^(?!\d+$)\w+\S+`:   "a negative lookahead",
		`^[0-9A-Za-z_-.]+$`: "a range from _ down to the full stop: no pattern of ECMA-262 either",
	}
}

// TestEveryOperationOfTheProviders makes, for each body and parameter of each operation of the
// providers' official descriptions, a value that fits and one with each single rule broken, and
// compares verdicts with the independent judge. The short form takes a sample.
func TestEveryOperationOfTheProviders(t *testing.T) {
	folder := specFolder(t)
	for _, provider := range []string{"stripe", "paypal", "twilio", "google", "vonage"} {
		t.Run(provider, func(t *testing.T) {
			files, _ := filepath.Glob(filepath.Join(folder, provider, "*.*"))
			tally := specTally{operations: map[string]bool{}, refused: map[string]bool{}}
			for _, file := range files {
				if ext := filepath.Ext(file); ext != ".json" && ext != ".yml" {
					continue
				}
				s := readSpec(t, file)
				if s == nil {
					continue
				}
				for _, p := range s.refused {
					tally.refused[p] = true
					if unmatched()[p] == "" {
						t.Errorf("%s: the pattern %s is refused and not in the list", s.name, p)
					}
				}
				s.run(t, &tally)
			}
			t.Logf("%s: %d operations, %d bodies and parameters: %d values that fit, %d with one rule broken; %d unknown members dropped and the rest checked again; %d parts whose closedness no schema says, %d without a valid value",
				provider, len(tally.operations), tally.parts, tally.bodies, tally.mutations, tally.dropped, tally.unclear, tally.barren)
			if tally.bodies == 0 || tally.mutations == 0 {
				t.Error("nothing was compared")
			}
		})
	}
}

func (s *spec) run(t *testing.T, tally *specTally) {
	parts := s.parts
	if short := torture(4, 1<<30); len(parts) > short {
		every := len(parts) / short
		var some []specPart
		for i := 0; i < len(parts); i += every {
			some = append(some, parts[i])
		}
		parts = some
	}
	if len(parts) == 0 {
		return
	}
	for i, p := range s.compile(t, parts) {
		tally.operations[s.name+" "+p.operation] = true
		tally.parts++
		s.runPart(t, p, s.ids[i], uint64(i), tally)
	}
}

func (s *spec) runPart(t *testing.T, p specPart, id ID, seed uint64, tally *specTally) {
	schema, _ := schematest.Resolve(s.tree, "#"+p.pointer)
	g := schematest.New(seed)
	g.Root, g.Translate, g.Whole, g.Deeper = s.tree, translatePattern, p.request, 8
	fits := 0
	for try := 0; try < 12 && fits < torture(1, 2); try++ {
		value := g.Value(pickDepth(try), schema)
		ours, theirs := s.judge(t, p, id, value)
		s.compare(t, p, "made to fit", value, ours, theirs)
		if theirs != nil {
			continue
		}
		fits++
		tally.bodies++
		if !p.request && !schematest.NamesUndescribed(s.tree, p.pointer) {
			for _, v := range []any{value, schematest.Sprinkle(value)} {
				_, n := reduceTwice(t, s.program, id, schematest.Text(v))
				tally.dropped += n
			}
		}
		mutations := g.Mutations(value, p.request, schema)
		step := max(1, len(mutations)/s.share(p, schema))
		for i := 0; i < len(mutations); i += step {
			m := mutations[i]
			tally.mutations++
			ours, theirs := s.judge(t, p, id, m.Value)
			s.compare(t, p, m.Rule+" broken at "+m.Path, m.Value, ours, theirs)
			dropped := m.Rule == "additionalProperties" && !p.request // an answer's unknown member is no fault
			if m.Certain && !dropped && theirs == nil && ours == Valid {
				t.Errorf("%s: %s %s: %s broken at %s passes both: %.600s", s.name, p.operation, p.what, m.Rule, m.Path, schematest.Text(m.Value))
			}
		}
	}
	if fits == 0 {
		tally.barren++
		if !unfit(p) {
			t.Errorf("%s: %s %s (%s): no value was found that fits", s.name, p.operation, p.what, p.pointer)
		}
	}
	if p.unclear {
		tally.unclear++
	}
}

// ourFormats lend the independent judge our formats, which other tests hold against published cases: here the
// rest is compared.
func ourFormats() map[string]func(v any) bool {
	named := map[string]func(v any) bool{}
	for _, r := range formatRules() {
		named[r.name] = func(v any) bool {
			switch v := v.(type) {
			case string:
				return !r.strings || r.format.fitsString([]byte(v))
			case json.Number:
				return !r.numbers || r.format.fitsNumber([]byte(v))
			}
			return true
		}
	}
	return named
}

// unfits are the parts that no value fits, by the provider's own mistake.
func unfits() []struct{ where, suffix, reason string } {
	return []struct{ where, suffix, reason string }{
		{"Google Maps, parameter `maxprice`", "/places_maxprice/schema", "type string with an enum of numbers"},
		{"Google Maps, parameter `minprice`", "/places_minprice/schema", "type string with an enum of numbers"},
		{"Vonage, `POST /v2/reports`", "/paths/~1v2~1reports/post/requestBody/content/application~1json/schema", "`oneOf` of eight alternatives that all fit whenever one does"},
	}
}

func unfit(part specPart) bool {
	for _, u := range unfits() {
		if strings.HasSuffix(part.pointer, u.suffix) {
			return true
		}
	}
	return false
}

// share is how many of a value's mutations are tried: many operations have the same schema, and
// after the first of them a few are enough.
func (s *spec) share(p specPart, schema any) int {
	key := fmt.Sprint(p.request, " ", string(schematest.Text(schema)))
	if s.met == nil {
		s.met = map[string]int{}
	}
	if s.met[key]++; s.met[key] > 2 {
		return torture(5, 20)
	}
	return torture(25, 500)
}

func pickDepth(try int) int { return []int{2, 3, 1, 2, 0, 3}[try%6] }

// compare tells a disagreement, unless the part has no words in JSON Schema.
func (s *spec) compare(t *testing.T, p specPart, what string, value any, ours Verdict, theirs error) {
	if (ours == Valid) == (theirs == nil) && ours != TooComplex || p.unclear {
		return
	}
	t.Errorf("%s: %s %s (%s), %s: ours %v, theirs: %v\nvalue %.1500s", s.name, p.operation, p.what, p.pointer, what, ours, theirs, schematest.Text(value))
}
