package tape

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// parse reads src or ends the test.
func parse(t testing.TB, src string) *Tape {
	t.Helper()
	v := new(Tape)
	if err := v.Parse([]byte(src), Limits{}); err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return v
}

// decoded is encoding/json's reading of src, numbers as written.
func decoded(t testing.TB, src []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("encoding/json: %s: %v", src, err)
	}
	return v
}

func TestParse(t *testing.T) {
	for _, src := range []string{
		`null`, ` true `, `false`, `0`, `-0`, `12`, `-1.5e+10`, `1E400`[:3], `""`, `"a"`, `"eight by"`, `"nine byte"`,
		`"\"\\\/\b\f\n\r\t\u0041\ud83d\ude00"`, `"é漢😀"`, `"é漢😀\n"`, `[]`, `{}`, `[ ]`, "{\n}", `[1,[2,[3]],{}]`, `{"a":{"b":[]},"c":"d"}`,
		`{"\u0061":1,"b\n":2}`, `{"":0}`, `{"a long name of a member":{"another long name":"and a long value of it"}}`,
		"\t{ \"a\" :\r\n [ 1 , 2 ] , \"b\" : null }\n",
	} {
		v := parse(t, src)
		want := decoded(t, []byte(src))
		if got := v.Value(0); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", src, got, want)
		}
		if again := v.AppendJSON(nil, 0); !reflect.DeepEqual(decoded(t, again), want) {
			t.Errorf("%s: written as %s", src, again)
		}
		checkShape(t, v)
	}
}

// checkShape holds the links, counts, spans and hashes of a tape against each other.
func checkShape(t testing.TB, v *Tape) {
	t.Helper()
	var walk func(i int)
	walk = func(i int) {
		n := v.Nodes[i]
		if n.Kind < Array {
			if int(n.Next) != i+1 {
				t.Fatalf("node %d: next %d", i, n.Next)
			}
			return
		}
		count := 0
		c := i + 1
		for ; c < int(n.Next); c = int(v.Nodes[c].Next) {
			if named := v.Nodes[c].Hash != 0 || v.Nodes[c].KeyEnd != 0; n.Kind == Array && named {
				t.Fatalf("node %d: an element with a name", c)
			}
			if n.Kind == Object && v.Nodes[c].Hash != Hash(v.Key(c)) {
				t.Fatalf("node %d: hash of %q", c, v.Key(c))
			}
			walk(c)
			count++
		}
		if c != int(n.Next) || count != int(n.Count) {
			t.Fatalf("node %d: ends at %d, next %d; %d children, count %d", i, c, n.Next, count, n.Count)
		}
		if v.Raw && (v.Src[n.Off] != "[{"[n.Kind-Array] || v.Src[n.End-1] != "]}"[n.Kind-Array]) {
			t.Fatalf("node %d: span %q", i, v.Src[n.Off:n.End])
		}
	}
	walk(0)
	if int(v.Nodes[0].Next) != len(v.Nodes) {
		t.Fatalf("the root ends at %d of %d", v.Nodes[0].Next, len(v.Nodes))
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name, src string
		at        int
		what      string
	}{
		{"nothing", "", 0, "ends where a value"},
		{"space", " \n", 2, "ends where a value"},
		{"byte order mark", "\xef\xbb\xbf1", 0, "byte order mark"},
		{"UTF-16", "\xff\xfe1\x00", 0, "byte order mark"},
		{"two values", "1 2", 2, "after the end"},
		{"a word", "nul", 0, "expected null"},
		{"a capital", "True", 0, "expected a value"},
		{"leading zero", "01", 0, "JSON does not allow"},
		{"minus", "-", 0, "JSON does not allow"},
		{"plus", "+1", 0, "expected a value"},
		{"half a fraction", "1.", 0, "JSON does not allow"},
		{"half an exponent", "1e+", 0, "JSON does not allow"},
		{"two points", "1.2.3", 0, "JSON does not allow"},
		{"open string", `"abc`, 4, "closing quote"},
		{"open string at a word's end", `"abcdefg`, 8, "closing quote"},
		{"open escape", `"abc\`, 4, "closing quote"},
		{"control character", "\"a\nb\"", 2, "control character"},
		{"NUL", "\"a\x00\"", 2, "control character"},
		{"control character late", "\"\\n123456789\x1f\"", 12, "control character"},
		{"unknown escape", `"\x41"`, 1, "unknown escape"},
		{"short escape", `"\u12"`, 1, "four hexadecimal"},
		{"bad escape", `"\u12g4"`, 1, "four hexadecimal"},
		{"signed escape", `"\u+123"`, 1, "four hexadecimal"},
		{"high half", `"\ud83d"`, 1, "surrogate"},
		{"low half", `"\ude00"`, 1, "surrogate"},
		{"two high halves", `"\ud83d\ud83d"`, 1, "surrogate"},
		{"half and a letter", `"\ud83dA"`, 1, "surrogate"},
		{"bad UTF-8", "\"ab\xffc\"", 3, "UTF-8"},
		{"overlong", "\"\xc0\xaf\"", 1, "UTF-8"},
		{"surrogate as UTF-8", "\"\xed\xa0\x80\"", 1, "UTF-8"},
		{"cut UTF-8", "\"\xe6\xbc\"", 1, "UTF-8"},
		{"bad UTF-8 beside an escape", "\"\\n\xff\"", 3, "UTF-8"},
		{"bad UTF-8 in a name", "{\"\xff\":1}", 2, "UTF-8"},
		{"bad UTF-8 outside", "[\xff]", 1, "expected a value"},
		{"no name", `{1:2}`, 1, "name in quotes"},
		{"no colon", `{"a" 1}`, 5, "expected :"},
		{"no value", `{"a":}`, 5, "expected a value"},
		{"trailing comma", `{"a":1,}`, 7, "name in quotes"},
		{"trailing comma in an array", `[1,]`, 3, "expected a value"},
		{"wrong bracket", `[1}`, 2, "expected , or ]"},
		{"wrong brace", `{"a":1]`, 6, "expected , or }"},
		{"unclosed", `[1`, 2, "expected , or ]"},
		{"unclosed empty", `{`, 1, "name in quotes"},
		{"twice", `{"a":1,"b":2,"a":3}`, 13, `"a" stands twice`},
		{"twice, written otherwise", `{"a":1,"\u0061":3}`, 16, `"a" stands twice`},
		{"twice, deep", `[{"b":{"c":[],"c":0}}]`, 14, `"c" stands twice`},
		{"twice in many", `{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"c":7}`, 37, `"c" stands twice`},
	}
	v := new(Tape)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := v.Parse([]byte(tt.src), Limits{})
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("%s was accepted", tt.src)
			}
			if syntax.Offset != tt.at || !strings.Contains(syntax.What, tt.what) || syntax.TooBig {
				t.Errorf("got byte %d: %s (too big: %v), want byte %d: …%s…", syntax.Offset, syntax.What, syntax.TooBig, tt.at, tt.what)
			}
			if !v.Empty() {
				t.Error("a value was left")
			}
		})
	}
}
