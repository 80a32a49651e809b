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

// readStops fills t.stops for Src, a word for 64 bytes. Behind the end of the text every bit is
// set, and there is a word more, so that 64 bits from anywhere can be read from two words.
func (t *Tape) readStops() {
	whole := len(t.Src) / 64
	if cap(t.stops) < whole+2 {
		t.stops = make([]uint64, whole+2, whole+whole/4+8)
	} else {
		t.stops = t.stops[:whole+2]
	}
	stopsIn(t.stops, t.Src[:64*whole])
	var last [64]byte // zeros are control characters, which stop
	copy(last[:], t.Src[64*whole:])
	stopsIn(t.stops[whole:], last[:])
	t.stops[whole+1] = ^uint64(0)
}

// stopsFrom gives 64 stops from i on.
func stopsFrom(stops []uint64, i int) uint64 {
	at := uint(i) >> 6
	if at+1 >= uint(len(stops)) {
		return 1 // behind the text
	}
	return stops[at]>>(i&63) | stops[at+1]<<1<<(^i&63)
}

// stop is the first stop from i on, at most the length of the text.
func (t *Tape) stop(i int) int {
	for i < len(t.Src) {
		if w := stopsFrom(t.stops, i); w != 0 {
			i += bits.TrailingZeros64(w)
			break
		}
		i += 64
	}
	return min(i, len(t.Src))
}

// portableStops is stopsIn where there is nothing quicker.
func portableStops(dst []uint64, src []byte) {
	for ; len(src) >= 64; src, dst = src[64:], dst[1:] {
		var out uint64
		for k := 0; k < 64; k += 8 {
			w := binary.LittleEndian.Uint64(src[k:])
			out |= gather(w|zeros(w^'"'*ones)|zeros(w^'\\'*ones)|zeros(w&(0xe0*ones))) << k
		}
		dst[0] = out
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
