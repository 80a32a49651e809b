package contract

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// largeDocument has many operations that share schemas with long descriptions, as official
// descriptions have.
func largeDocument(operations int) []byte {
	var b strings.Builder
	b.WriteString(`{"openapi":"3.1.0","info":{"title":"large","version":"1"},"paths":{`)
	for i := range operations {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"/v1/things%d/{thing}":{"post":{"operationId":"change-thing-%d","summary":"s","x-sallyport":{"server":"api","auth":"key","retry":"safe","effects":[]},
			"parameters":[{"name":"thing","in":"path","required":true,"schema":{"type":"string","maxLength":20}}],
			"requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{"name":{"type":"string","maxLength":%d},"child":{"$ref":"#/components/schemas/s%d"}}}}}},
			"responses":{"200":{"description":"d","content":{"application/json":{"schema":{"$ref":"#/components/schemas/s%d"}}}}}}}`, i, i, i+1, i, i)
	}
	b.WriteString(`},"components":{"schemas":{`)
	for i := range operations {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"s%d":{"type":"object","required":["id"],"properties":{"id":{"type":"string","description":"%s"},"secret":{"type":"string","x-sallyport":{"data":"secret"}}`, i, strings.Repeat("The description of a field. ", 40))
		for k := range 20 {
			fmt.Fprintf(&b, `,"field_%d_%d":{"type":["string","null"],"maxLength":%d,"description":"%s"}`, i, k, 10+k, strings.Repeat("more words ", 10))
		}
		b.WriteString(`}}`)
	}
	b.WriteString(`}}}`)
	return []byte(b.String())
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestLoadOnly: a document that is loaded for some operations routes all of them, calls only
// these, describes their answers like the whole one, and holds a small part of the memory.
func TestLoadOnly(t *testing.T) {
	data := largeDocument(400)
	if len(data) < smallDocument {
		t.Fatalf("%d bytes are not large", len(data))
	}
	before := heapInUse()
	all, err := Load("large", data)
	if err != nil {
		t.Fatal(err)
	}
	whole := heapInUse() - before
	before = heapInUse()
	some, err := LoadOnly("large", data, "change-thing-7", "change-thing-8", "no-such-thing")
	if err != nil {
		t.Fatal(err)
	}
	part := heapInUse() - before
	if part*3 > whole || part > 3<<20 {
		t.Errorf("two of 400 operations hold %d bytes, all of them %d", part, whole)
	}
	for _, id := range []string{"change-thing-7", "change-thing-9"} {
		o, _ := some.Find(id)
		routed, _ := some.Route("POST", strings.Replace(o.PathTemplate, "{thing}", "x", 1))
		if routed != o || o.Loaded() != (id == "change-thing-7") || o.Server != "api" {
			t.Errorf("%s: routed to %v, loaded %v", id, routed, o.Loaded())
		}
	}
	other, _ := some.Find("change-thing-9")
	if _, _, err := other.Parse(Input{Path: "/v1/things9/x"}); err == nil || len(other.Check(NewArgs(nil))) != 1 {
		t.Errorf("an operation that was not loaded is called: %v", err)
	}
	if _, err := other.Encode(NewArgs(nil), nil); err == nil {
		t.Error("an operation that was not loaded is written")
	}
	sameCalls(t, all, some, "change-thing-7")
	cache := memory{}
	for range 2 { // compiled and stored, then taken from there
		d, err := LoadWith("large", data, Options{Cache: cache})
		if err != nil || len(cache) != 1 {
			t.Fatal(len(cache), err)
		}
		sameCalls(t, all, d, "change-thing-7")
	}
	taken, err := LoadWith("large", data, Options{Only: []string{"change-thing-7"}, Cache: cache})
	if err != nil || len(cache) != 1 || taken.prog.Len() > 100 {
		t.Fatal(len(cache), err)
	}
	sameCalls(t, all, taken, "change-thing-7")
	runtime.KeepAlive(all)
}

// sameCalls holds what two documents say about one operation against each other.
func sameCalls(t *testing.T, a, b *Document, id string) {
	t.Helper()
	answer := []byte(`{"id":"x","secret":"s","field_7_3":"` + strings.Repeat("y", 12) + `","more":1}`)
	var texts [2]string
	for i, d := range []*Document{a, b} {
		o, ok := d.Find(id)
		if !ok {
			t.Fatalf("no operation %s", id)
		}
		view, err := o.View(paths(t, "id", "secret"))
		if err != nil {
			t.Fatal(err)
		}
		_, unknown := o.View(paths(t, "field_7_33"))
		r, faults, err := o.CheckResponse(200, JSONType, answer, view)
		if err != nil {
			t.Fatal(err)
		}
		full, _, _ := o.CheckResponse(200, JSONType, answer, nil)
		s := o.Schema(200)
		args := NewArgs(map[string]any{"thing": "x", "name": "much too long", "child": map[string]any{"id": 5}})
		texts[i] = fmt.Sprint(string(r.Body), faults, string(full.Body), full.Unknown, full.Sensitive, s.Order, s.Properties["id"].Description, s == o.Schema(200), unknown, o.Check(args))
	}
	if texts[0] != texts[1] || !strings.Contains(texts[0], `{"id":"x","secret":"s"}`) {
		t.Errorf("%s\nis, loaded in part or from a cache,\n%s", texts[0], texts[1])
	}
}

// memory is a Cache.
type memory map[string][]byte

func (m memory) Load(key string) ([]byte, bool) { data, ok := m[key]; return data, ok }
func (m memory) Store(key string, data []byte)  { m[key] = bytes.Clone(data) }

// TestCache: a program from the cache decides as a compiled one, also where the cache has
// that of the whole document; what is damaged, cut or foreign is compiled anew.
func TestCache(t *testing.T) {
	data := largeDocument(20)
	plain, err := Load("x", data)
	if err != nil {
		t.Fatal(err)
	}
	load := func(m memory, only ...string) *Document {
		t.Helper()
		d, err := LoadWith("x", data, Options{Only: only, Cache: m})
		if err != nil {
			t.Fatal(err)
		}
		sameCalls(t, plain, d, "change-thing-7")
		return d
	}
	m := memory{}
	load(m)
	if len(m) != 1 {
		t.Fatalf("%d programs were stored", len(m))
	}
	whole := load(m)
	part := load(m, "change-thing-7", "change-thing-8")
	if len(m) != 1 || part.prog.Len() >= whole.prog.Len() {
		t.Errorf("%d programs, of %d schemas and %d in part", len(m), whole.prog.Len(), part.prog.Len())
	}
	own := memory{}
	load(own, "change-thing-7")
	load(own, "change-thing-7")
	if len(own) != 1 {
		t.Errorf("%d programs were stored for one operation", len(own))
	}
	for key, blob := range m {
		for name, bad := range map[string][]byte{"empty": {}, "cut": blob[:len(blob)-9], "cut in the head": blob[:40], "foreign": []byte("something else"),
			"of other operations": own[cacheKey(data, []string{"change-thing-7"})][:60], "damaged": flipped(blob)} {
			load(memory{key: bad})
			if t.Failed() {
				t.Fatal(name)
			}
		}
	}
	if _, err := LoadWith("x", bytes.Replace(data, []byte(`"maxLength":10`), []byte(`"maxLength":-1`), 1), Options{Cache: m}); err == nil || len(m) != 1 {
		t.Errorf("a document with faults: %v, %d programs", err, len(m))
	}
}

func flipped(blob []byte) []byte {
	out := bytes.Clone(blob)
	out[len(out)/2] ^= 1
	return out
}
