package wire

import (
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"sallyport/internal/problem"
)

// TestSplitBesideURL: pairs are what net/url reads, and where the two differ a rule of ours
// says why.
func TestSplitBesideURL(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "b", "Y", "_", "order", "[", "]", "[0]", "=", "=", "&", "&", "+", "%41", "%5B", "%5d", "%C3%A9", "é", "€", "%20", "description", strings.Repeat("x", 61)}
	odd := []string{"%", "%4", "%zz", "%00", "%ff", "\xff", ";", "\n", "\x7f", "\x00"}
	accepted := 0
	for range 40_000 {
		var text strings.Builder
		for range rng.IntN(24) {
			if rng.IntN(60) == 0 {
				text.WriteString(odd[rng.IntN(len(odd))])
			} else {
				text.WriteString(pieces[rng.IntN(len(pieces))])
			}
		}
		src := text.String()
		r := new(Reader)
		r.start(problem.BadBody, Brackets)
		err := r.split([]byte(src))
		want, ok := splitPlainly(src)
		if ok != (err == nil) {
			t.Fatalf("%q: %v, the plain reading says %v", src, err, ok)
		}
		if !ok {
			continue
		}
		accepted++
		if !utf8.Valid(r.text) {
			t.Fatalf("%q: what is left of it is not UTF-8: %q", src, r.text)
		}
		if len(want) != len(r.pairs) {
			t.Fatalf("%q: %d pairs, want %d", src, len(r.pairs), len(want))
		}
		for k, p := range r.pairs {
			key, value := string(r.text[p.key.off:p.key.end]), string(r.text[p.value.off:p.value.end])
			if key != want[k][0] || value != want[k][1] {
				t.Fatalf("%q: pair %d is %q=%q, want %q", src, k, key, value, want[k])
			}
			cuts := r.cuts[p.cut:p.cutEnd]
			if n := strings.Count(key, "[") + strings.Count(key, "]"); n != len(cuts) {
				t.Fatalf("%q: %d brackets in %q, found %d", src, n, key, len(cuts))
			}
			for _, at := range cuts {
				if c := r.text[at]; at < p.key.off || at >= p.key.end || c != '[' && c != ']' {
					t.Fatalf("%q: a bracket of %q at %d is %q", src, key, at, c)
				}
			}
			if len(cuts) > 0 {
				if _, _, ok := r.cutKey(p.key); ok != r.paired(p.key, cuts) {
					t.Fatalf("%q: the brackets of %q: %v", src, key, ok)
				}
			}
		}
	}
	if accepted < 10_000 {
		t.Errorf("only %d texts were read", accepted)
	}
}

// splitPlainly reads pairs by net/url's unescaping and our rules for what is refused.
func splitPlainly(src string) (pairs [][2]string, ok bool) {
	for _, c := range []byte(src) {
		if c < 0x20 || c == 0x7f || c == ';' {
			return nil, false
		}
	}
	for part := range strings.SplitSeq(src, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		key, err := url.QueryUnescape(name)
		text, err2 := url.QueryUnescape(value)
		if err != nil || err2 != nil || key == "" || !utf8.ValidString(key+text) || strings.Contains(key+text, "\x00") {
			return nil, false
		}
		pairs = append(pairs, [2]string{key, text})
	}
	return pairs, true
}

// TestStops: every byte at every place of a block is a stop just if it is not plain.
func TestStops(t *testing.T) {
	for c := range 256 {
		for at := range block {
			var text [block]byte
			for i := range text {
				text[i] = 'a'
			}
			text[at] = byte(c)
			want := uint64(0)
			if byteKind[c] != plainByte {
				want = 1 << at
			}
			if got := stopsIn(&text); got != want {
				t.Fatalf("byte %#x at %d: %#x, want %#x", c, at, got, want)
			}
		}
	}
}
