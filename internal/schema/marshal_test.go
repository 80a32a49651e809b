package schema

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

// twoSchemas has an object with two members that share little.
const twoSchemas = `{"properties":{
 "a":{"type":"object","required":["k"],"properties":{"k":{"enum":["x",{"deep":[1]},2]},"s":{"type":"string","pattern":"^[a-z]+$","format":"email"}},"patternProperties":{"^x":{"type":"integer","minimum":3}},"dependentRequired":{"s":["k"]}},
 "b":{"anyOf":[{"properties":{"tag":{"const":"one"}},"required":["tag"]},{"properties":{"tag":{"const":"two"},"n":{"$ref":"#"}}},{"type":"array","prefixItems":[{"const":[7]}],"items":{"type":"number","multipleOf":0.5}}],
  "discriminator":{"propertyName":"tag"},"if":{"type":"array"},"then":{"minItems":1},"x-mark":"secret"}}}`

func TestMarshal(t *testing.T) {
	p, id := api(t, twoSchemas)
	data, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	p2, roots, err := UnmarshalSubset(data)
	if err != nil || len(roots) != 0 {
		t.Fatal(roots, err)
	}
	again, err := p2.MarshalBinary()
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("reading and writing changes %d bytes to %d, %v", len(data), len(again), err)
	}
	shape := p.Shape(id)
	kid, _ := shape.Member([]byte("b"))
	p3, roots, err := UnmarshalSubset(data, id, kid.ids[0], Anything)
	if err != nil || len(roots) != 3 || roots[2] != Anything {
		t.Fatal(roots, err)
	}
	onlyB, rootB, err := UnmarshalSubset(data, kid.ids[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{`{"a":{"k":"x"}}`, `{"a":{"k":{"deep":[1.0]}}}`, `{"a":{"k":{"deep":[2]}}}`, `{"a":{"k":2,"s":"a"}}`, `{"a":{"k":2,"x1":2}}`, `{"a":{"k":2,"x1":3}}`, `{"a":{}}`,
		`{"b":{"tag":"one"}}`, `{"b":{"tag":"two","n":{"a":{"k":2}}}}`, `{"b":{"tag":"two","n":{"a":{"k":3}}}}`, `{"b":{"tag":"three"}}`, `{"b":[[7],1.5]}`, `{"b":[[7],1.2]}`, `{"b":[]}`} {
		for _, mode := range []Mode{Strict, Request, Response} {
			want, wantFaults, wantMark := outcome(t, p, id, value, mode)
			for _, q := range []struct {
				p  *Program
				id ID
			}{{p2, id}, {p3, roots[0]}} {
				if got, faults, mark := outcome(t, q.p, q.id, value, mode); got != want || faults != wantFaults || mark != wantMark {
					t.Errorf("%s: %v %b, want %v %b\n%s\nwant\n%s", value, got, mark, want, wantMark, faults, wantFaults)
				}
			}
			if inner, ok := strings.CutPrefix(value, `{"b":`); ok {
				inner = strings.TrimSuffix(inner, "}")
				if got, _, _ := outcome(t, onlyB, rootB[0], inner, mode); got != want {
					t.Errorf("alone, %s: %v, want %v", inner, got, want)
				}
			}
		}
	}
}

func outcome(t *testing.T, p *Program, id ID, value string, mode Mode) (Verdict, string, Mark) {
	m := p.Get()
	defer m.Put()
	v := m.Check(parse(t, value), 0, id, mode)
	return v, faultText(m.Explain(Everything(), 20)), m.Sensitive()
}

func TestSubsetIsSmall(t *testing.T) {
	p, _ := api(t, `{"properties":{"a":{"type":"string","pattern":"^a"},"b":{"type":"object","properties":{"c":{"const":"only this"}}}}}`)
	data, _ := p.MarshalBinary()
	shape := p.Shape(p.roots[0])
	kid, _ := shape.Member([]byte("b"))
	small, _, err := UnmarshalSubset(data, kid.ids[0])
	if err != nil || len(small.nodes) != 4 || len(small.patterns) != 0 || bytes.Contains(small.text, []byte("^a")) {
		t.Errorf("%d schemas, %d patterns, %q, %v", len(small.nodes), len(small.patterns), small.text, err)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	p, id := api(t, twoSchemas)
	data, _ := p.MarshalBinary()
	for name, bad := range map[string][]byte{
		"empty": nil, "another file": []byte("PK\x03\x04"), "another version": bytes.Replace(data, []byte("schema 2"), []byte("schema 1"), 1),
		"truncated": data[:len(data)-1], "longer": append(bytes.Clone(data), 0), "a bit": flipped(data, len(data)/2),
	} {
		if _, _, err := UnmarshalSubset(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, _, err := UnmarshalSubset(data, id, 1<<20); err == nil {
		t.Error("a root that is not there is accepted")
	}
}

func flipped(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 1
	return data
}

// signed makes the checksum of a changed program right again.
func signed(data []byte) []byte {
	data = bytes.Clone(data)
	head := len(programMagic)
	if len(data) < head+sha256.Size {
		return data
	}
	sum := sha256.Sum256(data[head+sha256.Size:])
	copy(data[head:], sum[:])
	return data
}

// TestForeignProgramsCannotHarm changes every byte, with a right checksum: what is accepted
// runs to an end.
func TestForeignProgramsCannotHarm(t *testing.T) {
	p, id := api(t, twoSchemas)
	data, _ := p.MarshalBinary()
	accepted := 0
	for at := len(programMagic) + sha256.Size; at < len(data); at++ {
		for _, bit := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(data)
			bad[at] ^= bit
			if tryForeign(t, signed(bad), id) {
				accepted++
			}
		}
	}
	t.Logf("%d of %d accepted", accepted, 3*len(data))
}

func tryForeign(t *testing.T, data []byte, id ID) bool {
	p, roots, err := UnmarshalSubset(data, id)
	if err != nil {
		return false
	}
	m := p.Get()
	defer m.Put()
	for _, value := range []string{`{"a":{"k":"x","x1":4,"s":"a"},"b":{"tag":"two","n":{"a":{}}},"c":[1,{"d":2}]}`, `{"b":[[7],1.5]}`} {
		for _, mode := range []Mode{Strict, Request, Response} {
			m.Check(parse(t, value), 0, roots[0], mode)
			m.Explain(Everything(), 20)
			m.AppendReduced(nil, Everything())
			m.AppendRedacted(nil)
		}
	}
	return true
}

func FuzzUnmarshal(f *testing.F) {
	c := NewCompiler(parse(f, twoSchemas), "x", Config{Dialect: OpenAPI31})
	id, _ := c.Compile(0)
	p, err := c.Finish()
	if err != nil {
		f.Fatal(err)
	}
	data, _ := p.MarshalBinary()
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) { tryForeign(t, signed(data), id) })
}
