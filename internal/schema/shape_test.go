package schema

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/tape"
)

func shapeFor(t testing.TB, text string) Shape {
	t.Helper()
	var doc tape.Tape
	if err := doc.Parse([]byte(text), tape.Limits{}); err != nil {
		t.Fatal(err)
	}
	c := NewCompiler(&doc, "", Config{Dialect: OpenAPI31})
	id, err := c.Compile(0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return p.Shape(id)
}

// typeWords writes a set of types for comparisons.
func typeWords(types Types) string {
	var words []string
	for i, name := range []string{"null", "boolean", "integer", "fraction", "string", "array", "object"} {
		if types&(1<<i) != 0 {
			words = append(words, name)
		}
	}
	return strings.Join(words, " ")
}

const shapes1 = `{"type":"object","required":["unlisted"],"properties":{
	"n":{"type":"integer"},"both":{"anyOf":[{"type":"string","maxLength":2},{"type":"number"}]},"now":{"oneOf":[{"enum":["now"]},{"type":"integer"}]},
	"list":{"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"boolean"}},"pets":{"type":"array","items":{"$ref":"#/$defs/pet"}},
	"map":{"type":"object","additionalProperties":{"type":"integer"}},"names":{"type":"object","patternProperties":{"^a":{"type":"integer"}},"additionalProperties":false},
	"any":{},"nothing":false},
	"allOf":[{"properties":{"n":{"type":"number"},"more":{"type":"string"}}}],
	"$defs":{"pet":{"type":"object","properties":{"friends":{"type":"array","items":{"$ref":"#/$defs/pet"}},"name":{"type":["string","null"]}},"xml":{"name":"pet","namespace":"u"}}}}`

func TestShape(t *testing.T) {
	root := shapeFor(t, shapes1)
	tests := []struct {
		path, types string
		listed      bool
	}{
		{"n", "integer fraction", true}, {"both", "integer fraction string", true}, {"now", "integer string", true}, {"more", "string", true},
		{"list", "array", true}, {"list.0", "string", false}, {"list.1", "boolean", false}, {"list.7", "boolean", false},
		{"pets.3.friends.0.friends.9.name", "null string", true}, {"map.x", "integer", false}, {"names.abc", "integer", false}, {"names.b", "", false},
		{"any", "null boolean integer fraction string array object", true}, {"any.x.3.y", "null boolean integer fraction string array object", false},
		{"unlisted", "", false}, {"role", "", false}, {"role.x.0", "", false}, {"n.x", "", false}, {"nothing", "", true},
	}
	for _, tt := range tests {
		s, listed := root, false
		for _, step := range strings.Split(tt.path, ".") {
			var index int
			if n, _ := fmt.Sscanf(step, "%d", &index); n == 1 && s.Types()&Array != 0 {
				s, listed = s.Item(index), false
				continue
			}
			s, listed = s.Member([]byte(step))
		}
		if got := typeWords(s.Types()); got != tt.types || listed != tt.listed {
			t.Errorf("%s: %s, listed %v; want %s, %v", tt.path, got, listed, tt.types, tt.listed)
		}
	}
	if got := strings.Join(root.Names(), " "); got != "n both now list pets map names any nothing more" {
		t.Errorf("names %s", got)
	}
	for i, name := range root.Names() {
		if root.Rank([]byte(name)) != i {
			t.Errorf("%s has rank %d; want %d", name, root.Rank([]byte(name)), i)
		}
	}
	if root.Rank([]byte("unlisted")) != -1 || (Shape{}).Rank(nil) != -1 {
		t.Error("a name that is not listed has a rank")
	}
	both, _ := root.Member([]byte("both"))
	if !both.Text([]byte("5")) || both.Text([]byte("567")) || root.Text([]byte("x")) || (Shape{}).Text(nil) {
		t.Error("a text is taken that is no string there, or the reverse")
	}
	pets, _ := root.Member([]byte("pets"))
	if x := pets.Item(5).XML(); x != (XML{Name: "pet", Namespace: "u"}) {
		t.Errorf("XML %+v", x)
	}
	if again := pets.Item(0); again != pets.Item(1) {
		t.Error("the same place has two shapes")
	}
}

// TestShapeNavigationAllocatesNothing once the places have been seen.
func TestShapeNavigationAllocatesNothing(t *testing.T) {
	root := shapeFor(t, shapes1)
	steps := [][]byte{[]byte("pets"), []byte("friends"), []byte("name")}
	walk := func() {
		pets, _ := root.Member(steps[0])
		friends, _ := pets.Item(1).Member(steps[1])
		name, _ := friends.Item(0).Member(steps[2])
		if name.Types() != String|Null {
			t.Fatal(typeWords(name.Types()))
		}
	}
	if n := testing.AllocsPerRun(100, walk); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestShapesAtOnce: eight goroutines that ask for the same shapes get the same ones.
func TestShapesAtOnce(t *testing.T) {
	root := shapeFor(t, shapes1)
	var wg sync.WaitGroup
	var got [8]Shape
	for g := range got {
		wg.Go(func() {
			for range 20 {
				pets, _ := root.Member([]byte("pets"))
				friends, _ := pets.Item(0).Member([]byte("friends"))
				got[g], _ = friends.Item(2).Member([]byte("name"))
				names, _ := root.Member([]byte("names"))
				names.Member([]byte("abc"))
				list, _ := root.Member([]byte("list"))
				list.Item(g)
			}
		})
	}
	wg.Wait()
	for _, s := range got[1:] {
		if s != got[0] {
			t.Fatal("one place has two shapes")
		}
	}
}

// TestXMLObjects: faults of an xml object are told; those of another dialect are not looked at.
func TestXMLObjects(t *testing.T) {
	compile := func(text string, d Dialect) error {
		var doc tape.Tape
		if err := doc.Parse([]byte(text), tape.Limits{}); err != nil {
			t.Fatal(err)
		}
		c := NewCompiler(&doc, "x.json", Config{Dialect: d})
		if _, err := c.Compile(0); err != nil {
			t.Fatal(err)
		}
		_, err := c.Finish()
		return err
	}
	for text, want := range map[string]string{
		`{"xml":{"name":5}}`: "x.json#/xml/name", `{"xml":{"wrapped":"yes"}}`: "x.json#/xml/wrapped", `{"xml":[]}`: "x.json#/xml",
	} {
		if err := compile(text, OpenAPI30); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
		if err := compile(text, Draft202012); err != nil {
			t.Errorf("%s in JSON Schema: %v", text, err)
		}
	}
	s := shapeFor(t, `{"type":"object","properties":{"a":{"type":"string","xml":{"attribute":true,"prefix":"p","x-more":1}},"b":{"allOf":[{"$ref":"#/$defs/b"}]},"c":{"type":"string","xml":{"nodeType":"text"}},"d":{"type":"string","xml":{"nodeType":"attribute"}}},
		"$defs":{"b":{"type":"array","items":{},"xml":{"wrapped":true,"name":"bs"}}}}`)
	for name, want := range map[string]XML{"a": {Prefix: "p", Attribute: true}, "b": {Name: "bs", Wrapped: true}, "c": {Text: true}, "d": {Attribute: true}, "e": {}} {
		if kid, _ := s.Member([]byte(name)); kid.XML() != want {
			t.Errorf("%s: %+v", name, kid.XML())
		}
	}
}
