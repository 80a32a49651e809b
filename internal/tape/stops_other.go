//go:build !amd64

package tape

func stopsIn(dst, src []byte) { portableStops(dst, src) }
