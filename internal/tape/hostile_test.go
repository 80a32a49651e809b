package tape

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// colliding gives n names whose hashes meet in one place of a table of that many slots.
func colliding(n, slots int) []string {
	names := make([]string, 0, n)
	for i := 0; len(names) < n; i++ {
		if name := "k" + strconv.Itoa(i); Hash(name)&uint32(slots-1) == 0 {
			names = append(names, name)
		}
	}
	return names
}

func objectOf(names []string) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:0", name)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// Names made to collide in our own hash cost a few steps each, not one for every other name.
func TestFloodedNames(t *testing.T) {
	all := colliding(2000, 4096)
	for _, n := range []int{5, 20, 60, 100, 1000, 2000} {
		names := all[:n]
		v := new(Tape)
		if err := v.Parse(objectOf(names), Limits{}); err != nil {
			t.Fatal(err)
		}
		if most := 8*n + 100; v.names.steps > most {
			t.Errorf("%d colliding names took %d steps, want at most %d", n, v.names.steps, most)
		}
		twice := append(names[:len(names):len(names)], names[n/2])
		if err := v.Parse(objectOf(twice), Limits{}); err == nil || !strings.Contains(err.Error(), "stands twice") {
			t.Errorf("%d colliding names, one twice: %v", n, err)
		}
	}
	// The control: without the second hash the same names take a step for every pair.
	v := new(Tape)
	if err := v.Parse(objectOf(all[:1000]), Limits{}); err != nil {
		t.Fatal(err)
	}
	v.names.steps = 0
	slots, round := v.names.start(1000)
	for i := range 1000 {
		at := v.Nodes[i+1].Hash & uint32(len(slots)-1)
		for ; slots[at].round == round; at = (at + 1) & uint32(len(slots)-1) {
			v.names.steps++
		}
		slots[at].round = round
	}
	if v.names.steps < 100_000 {
		t.Errorf("the control took %d steps only: these names do not collide", v.names.steps)
	}
}

// Many names that do not collide are looked up in a few steps each too.
func TestManyNames(t *testing.T) {
	names := make([]string, 10_000)
	for i := range names {
		names[i] = "name_" + strconv.Itoa(i)
	}
	v := new(Tape)
	if err := v.Parse(objectOf(names), Limits{}); err != nil {
		t.Fatal(err)
	}
	if v.names.steps > 3*len(names) {
		t.Errorf("%d names took %d steps", len(names), v.names.steps)
	}
	names[9_000] = names[17]
	if err := v.Parse(objectOf(names), Limits{}); err == nil || !strings.Contains(err.Error(), `"name_17" stands twice`) {
		t.Errorf("a name twice in 10,000: %v", err)
	}
}

func TestLimits(t *testing.T) {
	lim := Limits{Bytes: 200, Depth: 3, Elements: 4, Nodes: 12, Digits: 5, Exponent: 10}
	tests := []struct {
		name, src, what string
		tooBig          bool
	}{
		{"bytes at", `"` + strings.Repeat("a", 198) + `"`, "", false},
		{"bytes beyond", `"` + strings.Repeat("a", 199) + `"`, "at most 200", false},
		{"depth at", `[{"a":[1]}]`, "", false},
		{"depth beyond", `[{"a":[[]]}]`, "deeper than 3", false},
		{"elements at", `[1,2,3,4]`, "", false},
		{"elements beyond", `[1,2,3,4,5]`, "more than 4 elements", false},
		{"names beyond", `{"a":1,"b":2,"c":3,"d":4,"e":5}`, "more than 4 names", false},
		{"elements after a nested array", `[1,2,[1,2,3,4],4]`, "", false},
		{"nodes at", `[[1,2,3,4],[1,2,3,4],1]`, "", false},
		{"nodes beyond", `[[1,2,3,4],[1,2,3,4],1,2]`, "more than 12 values", false},
		{"digits at", `[12345,-1234,1.234]`, "", false},
		{"digits beyond", `123456`, "more than 5 characters", true},
		{"digits beyond, negative", `-12345`, "more than 5 characters", true},
		{"exponent at", `1e10`, "", false},
		{"exponent at with zeros", `1e010`, "", false},
		{"exponent beyond", `1e11`, "exponent beyond 10", true},
		{"negative exponent beyond", `1e-11`, "exponent beyond 10", true},
	}
	v := new(Tape)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := v.Parse([]byte(tt.src), lim)
			var syntax *SyntaxError
			switch {
			case tt.what == "" && err != nil:
				t.Errorf("%s: %v", tt.src, err)
			case tt.what != "" && (!errors.As(err, &syntax) || !strings.Contains(syntax.What, tt.what) || syntax.TooBig != tt.tooBig):
				t.Errorf("%s: %v, want …%s…", tt.src, err, tt.what)
			}
		})
	}
}

func TestDefaultLimits(t *testing.T) {
	v := new(Tape)
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	many := func(n int) string { return "[" + strings.Repeat("1,", n-1) + "1]" }
	for _, tt := range []struct {
		name, good, bad string
	}{
		{"depth", deep(64), deep(65)},
		{"elements", many(10_000), many(10_001)},
		{"digits", strings.Repeat("1", 128), strings.Repeat("1", 129)},
		{"exponent", "1e308", "1e309"},
	} {
		if err := v.Parse([]byte(tt.good), Limits{}); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err := v.Parse([]byte(tt.bad), Limits{}); err == nil {
			t.Errorf("%s: one more was accepted", tt.name)
		}
	}
}

// What a hostile body leaves behind is let go of.
func TestResetLetsGo(t *testing.T) {
	v := new(Tape)
	row := "[" + strings.Repeat("1,", 9_999) + "1]"
	if err := v.Parse([]byte("["+strings.Repeat(row+",", 49)+row+"]"), Limits{}); err != nil {
		t.Fatal(err)
	}
	if held := cap(v.Nodes) * nodeBytes; held < 16<<20 {
		t.Fatalf("half a million values hold %d bytes only", held)
	}
	v.Reset(1 << 20)
	if cap(v.Nodes) != 0 || !v.Empty() || v.Src != nil {
		t.Error("kept")
	}
	small := parse(t, `{"a":[1,2,3]}`)
	small.Reset(1 << 20)
	if cap(small.Nodes) == 0 || !small.Empty() || small.Src != nil {
		t.Error("a small tape keeps its memory, and not the text")
	}
}

func TestReuseAllocatesNothing(t *testing.T) {
	src := []byte(`{"id":"pi_1","amount":1900,"text":"with \"escapes\" \u00e9","m":{"a\u0062c":[1,2,{"x":null}],"e":1.5e3},"b":2,"c":3,"d":4,"f":5,"g":6}`)
	v, into := new(Tape), new(Tape)
	var b Builder
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		if err := v.Parse(src, Limits{}); err != nil {
			t.Fatal(err)
		}
		b.Start(into, Limits{})
		b.Copy(v, 0)
		if err := b.Done(); err != nil {
			t.Fatal(err)
		}
		dst = into.AppendJSON(dst[:0], 0)
		if _, ok := v.Find(0, "text"); !ok {
			t.Fatal("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
