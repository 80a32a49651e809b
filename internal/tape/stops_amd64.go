package tape

// stopsIn64 is stopsIn for whole blocks of 64 bytes, eight bytes of dst for each.
//
//go:noescape
func stopsIn64(dst, src *byte, blocks int)

// stopsIn writes the bits of blocks of 64 bytes.
func stopsIn(dst, src []byte) {
	if n := len(src) / 64; n > 0 {
		_ = dst[8*n-1]
		stopsIn64(&dst[0], &src[0], n)
	}
}
