package tape

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func TestBuilder(t *testing.T) {
	var b Builder
	v := parse(t, `["what was","there before"]`)
	b.Start(v, Limits{})
	b.BeginObject()
	b.KeyString("a")
	b.BeginArray()
	b.Number([]byte("-12"))
	b.Number([]byte("1.50"))
	b.Bool(true)
	b.Bool(false)
	b.Null()
	b.End()
	b.Key([]byte("b\n"))
	b.Bytes([]byte("é\"\\\x7f"))
	b.KeyString("")
	b.BeginObject()
	b.End()
	b.KeyString("v")
	b.Value(map[string]any{"z": json.Number("1e3"), "y": []string{"s"}, "x": int64(math.MinInt64), "w": 1.25, "u": map[string]string{"k": "v"}, "t": struct {
		A int `json:"a"`
	}{7}, "s": nil})
	b.End()
	if err := b.Done(); err != nil {
		t.Fatal(err)
	}
	checkShape(t, v)
	want := `{"a":[-12,1.50,true,false,null],"b\u000a":"é\"\\\u007f","":{},"v":{"s":null,"t":{"a":7},"u":{"k":"v"},"w":1.25,"x":-9223372036854775808,"y":["s"],"z":1e3}}`
	if got := string(v.AppendJSON(nil, 0)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if i, ok := v.At(Step{Name: "a"}, Step{Index: 0}); !ok || v.Nodes[i].Flags&Whole == 0 || v.Raw {
		t.Error("-12 is whole, and a built tape is not Raw")
	}
	if i, _ := v.At(Step{Name: "a"}, Step{Index: 1}); v.Nodes[i].Flags&Whole != 0 {
		t.Error("1.50 is not written whole")
	}
}

func TestBuilderFaults(t *testing.T) {
	type build = func(*Builder)
	deep := func(b *Builder) {
		for range 65 {
			b.BeginArray()
		}
	}
	tests := []struct {
		name   string
		build  build
		what   string
		ours   bool // a mistake of the program, not of what it was given
		tooBig bool
	}{
		{"nothing", func(b *Builder) {}, "not complete", true, false},
		{"open", func(b *Builder) { b.BeginArray() }, "not complete", true, false},
		{"two values", func(b *Builder) { b.Null(); b.Null() }, "second value", true, false},
		{"two containers", func(b *Builder) { b.BeginArray(); b.End(); b.BeginObject(); b.End() }, "second value", true, false},
		{"end of nothing", func(b *Builder) { b.End() }, "nothing to end", true, false},
		{"a name without a value", func(b *Builder) { b.BeginObject(); b.KeyString("a"); b.End() }, "nothing to end", true, false},
		{"two names", func(b *Builder) { b.BeginObject(); b.KeyString("a"); b.KeyString("b") }, "no member begins", true, false},
		{"a name in an array", func(b *Builder) { b.BeginArray(); b.KeyString("a") }, "no member begins", true, false},
		{"a member without a name", func(b *Builder) { b.BeginObject(); b.Null() }, "without a name", true, false},
		{"a name twice", func(b *Builder) {
			b.BeginObject()
			b.KeyString("a")
			b.Null()
			b.KeyString("a")
			b.Null()
			b.End()
		}, `"a" stands twice`, false, false},
		{"a name that is not UTF-8", func(b *Builder) { b.BeginObject(); b.KeyString("\xff"); b.Null(); b.End() }, "UTF-8", false, false},
		{"text that is not UTF-8", func(b *Builder) { b.Bytes([]byte("\xed\xa0\x80")) }, "UTF-8", false, false},
		{"no number", func(b *Builder) { b.Number(nil) }, "JSON does not allow", false, false},
		{"a hexadecimal number", func(b *Builder) { b.Number([]byte("0x10")) }, "JSON does not allow", false, false},
		{"a number and more", func(b *Builder) { b.Number([]byte("1 ")) }, "JSON does not allow", false, false},
		{"infinity", func(b *Builder) { b.Value(json.Number("Inf")) }, "JSON does not allow", false, false},
		{"a huge number", func(b *Builder) { b.Value(json.Number("1e999")) }, "exponent beyond", false, true},
		{"a channel", func(b *Builder) { b.Value(make(chan int)) }, "JSON does not have", true, false},
		{"too deep", deep, "deeper than 64", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b Builder
			v := new(Tape)
			b.Start(v, Limits{})
			tt.build(&b)
			err := b.Done()
			if err == nil || !strings.Contains(err.Error(), tt.what) {
				t.Fatalf("got %v, want …%s…", err, tt.what)
			}
			var syntax *SyntaxError
			if is := errors.As(err, &syntax); is == tt.ours || is && syntax.TooBig != tt.tooBig {
				t.Errorf("%v: a SyntaxError: %v", err, is)
			}
			if !v.Empty() {
				t.Error("a value was left")
			}
		})
	}
}

func TestWhole(t *testing.T) {
	for src, want := range map[string]bool{
		"0": true, "-0": false, "5": true, "-5": true, "10": true, "-10": true, "123456789012345678901234567890": true,
		"1.0": false, "1e3": false, "1E0": false, "0.0": false, "-0.0": false, "0e1": false, "1.5": false,
	} {
		for _, src := range []string{src, "[" + src + "]", "[" + src + " ]", src + " "} {
			v := parse(t, src)
			if got := v.Nodes[len(v.Nodes)-1].Flags&Whole != 0; got != want {
				t.Errorf("%s: whole %v, want %v", src, got, want)
			}
		}
	}
}

func TestPlaces(t *testing.T) {
	v := parse(t, `{"a":[1,{"b/c":{"~":2}},3],"":{"":0},"0":[[],[[5]]]}`)
	for i := range v.Nodes {
		p := v.Pointer(i)
		if got, ok := v.Resolve(p); !ok || got != i {
			t.Errorf("node %d: pointer %q leads to %d, %v", i, p, got, ok)
		}
	}
	if p := v.Pointer(5); p != "/a/1/b~1c/~0" {
		t.Errorf("got %q", p)
	}
	for _, p := range []string{"a", "/b", "/a/3", "/a/01", "/a/-1", "/a/-", "/a/+1", "/a/0/x", "/a/", "//x", "/\xff", "/a/1/b/c"} {
		if i, ok := v.Resolve(p); ok {
			t.Errorf("%q leads to %d", p, i)
		}
	}
	if _, ok := new(Tape).Resolve(""); ok {
		t.Error("an empty tape has no root")
	}
	if got := v.Parents(nil, 5); !reflect.DeepEqual(got, []int{0, 1, 3, 4, 5}) {
		t.Errorf("parents %v", got)
	}
}

func TestSpans(t *testing.T) {
	src := `{"a" : "x\n", "\u0062":[1, "y"], "c":{"d":null}}`
	v := parse(t, src)
	for i, want := range []string{src, `"x\n"`, `[1, "y"]`, `1`, `"y"`, `{"d":null}`, `null`} {
		if off, end := v.Span(i); src[off:end] != want {
			t.Errorf("node %d: span %q, want %q", i, src[off:end], want)
		}
	}
	for i, want := range map[int]string{0: `{`, 1: `"a"`, 3: `1`, 4: `"y"`, 5: `"c"`, 6: `"d"`} {
		if off, ok := v.Member(i); !ok || !strings.HasPrefix(src[off:], want) {
			t.Errorf("node %d: member at %q, %v, want %q", i, src[off:], ok, want)
		}
	}
	if _, ok := v.Member(2); ok {
		t.Error("an escaped name has no known beginning")
	}
}

// Many readers of one tape, with escapes, under the race detector.
func TestConcurrentReading(t *testing.T) {
	v := parse(t, `{"a\u0062":"x\ny","list":["\u00e9",{"k":"v"}]}`)
	want := string(v.AppendJSON(nil, 0))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if i, ok := v.Find(0, "ab"); !ok || string(v.Text(i)) != "x\ny" {
					t.Error("not found")
				}
				if got := string(v.AppendJSON(nil, 0)); got != want {
					t.Error(got)
				}
			}
		})
	}
	all.Wait()
}

// TestHashIn: a name's hash does not depend on what stands behind it.
func TestHashIn(t *testing.T) {
	text := []byte(strings.Repeat("The quick brown fox, 12 lazy dogs. ", 4))
	for from := range len(text) {
		for to := from; to <= len(text); to++ {
			if got, want := HashIn(text, uint32(from), uint32(to)), Hash(text[from:to]); got != want {
				t.Fatalf("[%d:%d]: %#x, want %#x", from, to, got, want)
			}
		}
	}
}
