package tape

// stopsIn64 is stopsIn for whole blocks of 64 bytes, a word of dst for each.
//
//go:noescape
func stopsIn64(dst *uint64, src *byte, blocks int)

// stopsIn writes the bits of blocks of 64 bytes.
func stopsIn(dst []uint64, src []byte) {
	if n := len(src) / 64; n > 0 {
		_ = dst[n-1]
		stopsIn64(&dst[0], &src[0], n)
	}
}
