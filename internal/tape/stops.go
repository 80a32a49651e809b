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

// readStops fills t.stops for Src, eight bytes for 64. Behind the end of the text every bit is
// set, and there are eight bytes more, so that eight can be read from anywhere.
func (t *Tape) readStops() {
	whole := len(t.Src) / 64
	if size := 8*whole + 16; cap(t.stops) < size {
		t.stops = make([]byte, size, size+size/4+48)
	} else {
		t.stops = t.stops[:size]
	}
	stopsIn(t.stops, t.Src[:64*whole])
	var last [64]byte // zeros are control characters, which stop
	copy(last[:], t.Src[64*whole:])
	stopsIn(t.stops[8*whole:], last[:])
	binary.LittleEndian.PutUint64(t.stops[8*whole+8:], ^uint64(0))
}

// stopsFrom gives the stops from i on, at least stopsAtOnce of them; above those there are
// zeros.
func stopsFrom(stops []byte, i int) uint64 {
	at := uint(i) >> 3
	if at+8 > uint(len(stops)) {
		return 1 // behind the text
	}
	return binary.LittleEndian.Uint64(stops[at:at+8]) >> (i & 7)
}

const stopsAtOnce = 57

// stop is the first stop from i on, at most the length of the text.
func (t *Tape) stop(i int) int {
	for i < len(t.Src) {
		if w := stopsFrom(t.stops, i); w != 0 {
			i += bits.TrailingZeros64(w)
			break
		}
		i += stopsAtOnce
	}
	return min(i, len(t.Src))
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
