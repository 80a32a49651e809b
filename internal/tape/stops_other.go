//go:build !amd64

package tape

func stopsIn(dst []uint64, src []byte) { portableStops(dst, src) }
