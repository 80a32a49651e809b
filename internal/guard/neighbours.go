package guard

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"time"
)

// eight are the numbers that got a message within the hour, of eight that follow each other. A
// number is always asked for with its neighbours, and most of them stand beside it here.
type eight struct {
	at      [8]uint32 // of the message, in seconds since 1970; 0: none
	run     [8]uint16 // the length of the run that the number stands in
	counted [8]bool   // its block has counted it
}

// near are the remembered numbers of a site at a time. Book.recent is locked while it is used.
type near struct {
	book *Book
	site uint64
	now  time.Time
}

func (b *Book) near(site string, now time.Time) near {
	return near{book: b, site: maphash.String(b.seed, site), now: now}
}

func (a near) key(n uint64) uint64 {
	var raw [16]byte
	binary.LittleEndian.PutUint64(raw[:8], a.site)
	binary.LittleEndian.PutUint64(raw[8:], n/8)
	return maphash.Bytes(a.book.seed, raw[:])
}

func (a near) live(e *eight, n uint64) bool {
	return e.at[n%8] != 0 && a.now.Unix()-int64(e.at[n%8]) < int64(remembered/time.Second)
}

func (a near) find(n uint64) (run int, counted, known bool) {
	e := a.book.recent.see(a.key(n), a.now, remembered)
	if e == nil || !a.live(e, n) {
		return 0, false, false
	}
	return int(e.run[n%8]), e.counted[n%8], true
}

// besides is the run of the nearest number within reach on one side, or 0.
func (a near) besides(n uint64, side int) int {
	var e *eight
	of := n/8 + 2 // none: two further is no neighbour's
	for step := 1; step <= reach; step++ {
		at := n + uint64(side*step)
		if at/8 != of {
			of, e = at/8, a.book.recent.see(a.key(at), a.now, remembered)
		}
		if e != nil && a.live(e, at) {
			return int(e.run[at%8])
		}
	}
	return 0
}

// count remembers that a number's block has counted it.
func (a near) count(n uint64) {
	e := a.book.recent.make(a.key(n), a.now)
	if !a.live(e, n) {
		e.run[n%8] = 0
	}
	e.at[n%8], e.run[n%8], e.counted[n%8] = uint32(max(a.now.Unix(), 1)), max(e.run[n%8], 1), true
}

func (a near) put(n uint64, run int, counted bool) {
	e := a.book.recent.make(a.key(n), a.now)
	e.at[n%8], e.run[n%8], e.counted[n%8] = uint32(max(a.now.Unix(), 1)), uint16(min(run, math.MaxUint16)), counted
}
