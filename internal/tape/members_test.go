package tape

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// someGuide lists names of many lengths, more than 64 of them, one of 40 bytes, one that is
// required, one with a mark, and one that counts as required only.
func someGuide() *Guide {
	g := NewGuide(6)
	g.Rules[1].Set(Object, false, Enter)
	for k := Null; k <= Object; k++ {
		g.Rules[2].Set(k, false, Wrong)
		g.Rules[3].Set(k, false, Later)
	}
	g.Rules[2].Set(Number, true, Wrong)
	g.Rules[2].Short = 3
	g.Rules[3].Short = 9
	g.Rules[4].Mark = 7
	names, members := [][]byte{}, []Member{}
	add := func(name string, m Member) { names, members = append(names, []byte(name)), append(members, m) }
	for n := range 72 {
		add(strings.Repeat("n", n%36)+fmt.Sprint(n), Member{Rule: uint32(n % 5)})
	}
	add("a name of forty bytes, which is more ...", Member{Rule: 2})
	add("must", Member{Rule: 0, Required: 1})
	add("only", Member{Rule: Stray, Required: 1})
	if !g.AddNames(&g.Rules[1], names, members) {
		panic("too many")
	}
	g.Rules[5].Other = Stray
	g.Done()
	return g
}

// someText is an object, mostly well-formed, with names of the guide and others.
func someText(r *rand.Rand, g *Guide) []byte {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	space := func() string { return pick("", "", "", "", " ", "\n  ", "\t", "\r\n    ", "\x01") }
	out := []byte("{")
	for k := range r.IntN(12) {
		if k > 0 {
			out = append(out, space()+","+space()...)
		}
		name := pick(strings.Repeat("n", r.IntN(36))+fmt.Sprint(r.IntN(80)), "must", "only", strings.Repeat("x", r.IntN(70)), "é", `a\u0062`, "a name of forty bytes, which is more ...")
		value := pick("null", "true", "false", "nul", "falsy", "0", "-1", "1.5", "2e3", fmt.Sprint(r.IntN(1e9)), strings.Repeat("7", r.IntN(20)), "12+", "12]", "12 ",
			`"`+strings.Repeat("v", r.IntN(80))+`"`, `"é"`, `"\n"`, `""`, "{}", "[]", `{"n0":null}`, "[1,2]", `"open`, "")
		out = append(out, `"`+name+`"`+pick(":", ":", ": ", ":  ", " :")+value...)
	}
	return append(out, pick("}", "}", "} ", ",}", "")...)
}

// both runs the two ways from the same place and compares all they say.
func both(t *testing.T, g *Guide, rule *Rule, text []byte, at, left, room int) {
	t.Helper()
	tp := &Tape{Src: text}
	tp.readStops()
	var ends [2]way
	var cursors [2]cursor
	for k, run := range []func(*cursor) way{portableMembers, readMembers} {
		c := &cursors[k]
		lim := Limits{Digits: 12}.orDefault()
		c.start(text, tp.stops, &lim)
		s := scan{t: &Tape{met: make([]uint64, 2)}, g: g, nodes: make([]Node, room)}
		s.aim(c, &frame{left: left}, rule)
		c.at = uint64(at)
		ends[k] = run(c)
		if ends[k] == atName && c.used < uint64(room) {
			c.nodes[c.used] = Node{} // not said
		}
		c.src, c.stops = nil, nil
	}
	if ends[0] != ends[1] || !reflect.DeepEqual(cursors[0], cursors[1]) {
		t.Fatalf("from byte %d of %q with room for %d: portably %d\n%+v\nelse %d\n%+v", at, text, room, ends[0], cursors[0], ends[1], cursors[1])
	}
}

// The quick way over members does in every place of a text, also where no name begins, what its
// portable twin does.
func TestMembersAgree(t *testing.T) {
	g, r := someGuide(), rand.New(rand.NewPCG(1, 2))
	for range 1500 {
		text := someText(r, g)
		for at := range text {
			both(t, g, &g.Rules[[]int{0, 1, 1, 5}[r.IntN(4)]], text, at, r.IntN(9), 1+r.IntN(9))
		}
	}
}

func FuzzMembersAgree(f *testing.F) {
	g := someGuide()
	f.Add([]byte(`{"n1":"abc","must": 12,"x":null}`), 2)
	f.Fuzz(func(t *testing.T, text []byte, at int) {
		if at < 0 || at >= len(text) {
			return
		}
		for _, rule := range []int{0, 1, 5} {
			both(t, g, &g.Rules[rule], text, at, 5, 5)
		}
	})
}

// A text means the same alone and with anything behind it in memory: the end of the slice is
// where reading ends.
func TestNothingBehindTheText(t *testing.T) {
	g, r := someGuide(), rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		text := someText(r, g)
		alone := bytes.Clone(text)
		beside := append(bytes.Clone(text), `":null,"n1":12,"n2":"abcdefgh"}      ,"n3":true}`...)[:len(text)]
		var a, b Tape
		var fa, fb Finds
		ea, eb := a.ParseGuided(alone, Limits{}, g, 1, &fa), b.ParseGuided(beside, Limits{}, g, 1, &fb)
		if !reflect.DeepEqual(ea, eb) || !reflect.DeepEqual(a.Nodes, b.Nodes) || !reflect.DeepEqual(fa, fb) {
			t.Fatalf("%q: %v %v, %v %v", text, ea, fa, eb, fb)
		}
		var plain Tape
		if err := plain.Parse(text, Limits{}); !reflect.DeepEqual(err, ea) && (err == nil) != (ea == nil) || !reflect.DeepEqual(plain.Nodes, a.Nodes) {
			t.Fatalf("%q: guided %v, plainly %v", text, ea, err)
		}
	}
}

// The assembly reckons with these sizes.
func TestSizes(t *testing.T) {
	for v, want := range map[any]uintptr{Node{}: 32, Member{}: 64, start{}: 64, todo{}: 16, frame{}: frameBytes} {
		if got := reflect.TypeOf(v).Size(); got != want {
			t.Errorf("%T has %d bytes, want %d", v, got, want)
		}
	}
}
