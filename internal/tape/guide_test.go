package tape

import (
	"bytes"
	"strings"
	"testing"
)

// The scan hashes names of every length as Hash does, wherever they stand in the text.
func TestScanHashesAsHash(t *testing.T) {
	v := new(Tape)
	for n := range 80 {
		for _, name := range []string{strings.Repeat("n", n), strings.Repeat("é", n), strings.Repeat("n", n) + `é`} {
			for _, after := range []string{"", strings.Repeat(" ", 40), strings.Repeat(" ", n)} {
				if err := v.Parse([]byte(`{"`+name+`":1`+after+`}`), Limits{}); err != nil {
					t.Fatal(err)
				}
				if got := v.Nodes[1].Hash; got != Hash(name) || got != Hash([]byte(name)) || string(v.Key(1)) != name {
					t.Errorf("%d bytes, %d behind: %q hashed %x, want %x", n, len(after), v.Key(1), got, Hash(name))
				}
			}
		}
	}
}

// Both ways to find the stops of a text agree with the definition, at every length.
func TestStops(t *testing.T) {
	v := new(Tape)
	for n := range 300 {
		src := make([]byte, n)
		for i := range src {
			src[i] = byte(i*7 + n)
		}
		v.Src = src
		v.readStops()
		for i, c := range src {
			want := c == '"' || c == '\\' || c < 0x20 || c >= 0x80
			if got := v.stops[i>>3]>>(i&7)&1 != 0; got != want {
				t.Fatalf("byte %d of %d, %#x: %v", i, n, c, got)
			}
			if stop := v.stop(i); want && stop != i || !want && stop <= i {
				t.Fatalf("the stop from %d on is %d", i, stop)
			}
		}
		for i := n; i < 8*len(v.stops); i++ {
			if v.stops[i>>3]>>(i&7)&1 == 0 {
				t.Fatalf("no stop %d bytes behind the end of %d", i-n, n)
			}
		}
		portable := make([]byte, n/64*8)
		portableStops(portable, src)
		if !bytes.Equal(portable, v.stops[:len(portable)]) {
			t.Fatalf("%d bytes: %x, portably %x", n, v.stops, portable)
		}
	}
}
