package tape

import (
	"encoding/binary"
	"math/bits"
)

// The stops of a text are a bit for each byte that ends a plain piece of a string: a quote, a
// backslash, a control character or a byte beyond ASCII. They are found for the whole text
// before it is scanned, many bytes at once, so that the scan finds the end of a name or a
// string of any usual length without a branch for each of its pieces: what costs most in such
// texts is guessing wrongly how long they are.

// readStops fills t.stops for Src. Behind the end of the text every bit is set, and there are
// eight bytes more, so that a window of 64 bits can be read everywhere.
func (t *Tape) readStops() {
	blocks := len(t.Src)/64 + 1
	if need := 8*blocks + 8; cap(t.stops) < need {
		t.stops = make([]byte, need, need+need/4)
	} else {
		t.stops = t.stops[:need]
	}
	whole := t.Src[:64*(blocks-1)]
	stopsIn(t.stops, whole)
	var last [64]byte // zeros are control characters, which stop
	copy(last[:], t.Src[len(whole):])
	stopsIn(t.stops[8*(blocks-1):], last[:])
	binary.LittleEndian.PutUint64(t.stops[8*blocks:], ^uint64(0))
}

// stop is the first stop from i on, at most the length of the text.
func (t *Tape) stop(i int) int {
	at := i >> 6
	w := binary.LittleEndian.Uint64(t.stops[8*at:]) &^ (1<<(i&63) - 1)
	for w == 0 {
		at++
		w = binary.LittleEndian.Uint64(t.stops[8*at:])
	}
	return min(at<<6+bits.TrailingZeros64(w), len(t.Src))
}

// portableStops is stopsIn where there is nothing quicker.
func portableStops(dst, src []byte) {
	for ; len(src) >= 64; src, dst = src[64:], dst[8:] {
		var out uint64
		for k := 0; k < 64; k += 8 {
			w := binary.LittleEndian.Uint64(src[k:])
			out |= gather(w|zeros(w^'"'*ones)|zeros(w^'\\'*ones)|zeros(w&(0xe0*ones))) << k
		}
		binary.LittleEndian.PutUint64(dst, out)
	}
}

// zeros has the highest bit set of each byte of w that is zero, and of no other.
func zeros(w uint64) uint64 { return ^((w&^highs + ^uint64(highs)) | w) & highs }

// gather moves the highest bits of eight bytes together.
func gather(w uint64) uint64 { return (w & highs >> 7) * 0x0102040810204080 >> 56 }

// firsts[n] is the mask of a name's first n bytes, as four words.
var firsts = func() (m [33][4]uint64) {
	for n := range m {
		for k := range m[n] {
			m[n][k] = 1<<(8*min(8, max(0, n-8*k))) - 1
		}
	}
	return m
}()
