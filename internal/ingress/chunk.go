package ingress

import "sallyport/internal/problem"

// chunks follows a chunked body (RFC 9112 §7.1) byte by byte. It takes no extensions and
// no trailers: no client of ours sends them, and servers disagree about them.
type chunks struct {
	state  chunkState
	size   int64 // of the chunk that is being read
	digits int
}

type chunkState int

const (
	chunkSize    chunkState = iota // hex digits
	chunkSizeEnd                   // LF after the size
	chunkData
	chunkDataCR
	chunkDataLF
	chunkLastCR // of the empty line that ends the body
	chunkLastLF
	chunkDone
)

// next follows b and returns how many of its bytes belong to the body and are right.
func (c *chunks) next(b []byte) (int, *problem.Error) {
	for i := 0; i < len(b); i++ {
		if c.state == chunkDone {
			return i, nil
		}
		if c.state == chunkData {
			n := min(c.size, int64(len(b)-i))
			c.size -= n
			i += int(n) - 1
			if c.size == 0 {
				c.state = chunkDataCR
			}
			continue
		}
		if p := c.step(b[i]); p != nil {
			return i, p
		}
	}
	return len(b), nil
}

func (c *chunks) step(b byte) *problem.Error {
	want := byte('\n')
	switch c.state {
	case chunkSize:
		return c.stepSize(b)
	case chunkDataCR, chunkLastCR:
		want = '\r'
	}
	if b != want {
		if c.state == chunkLastCR {
			return badFraming("trailers are not accepted")
		}
		return badFraming("a chunk does not end where its size says")
	}
	switch c.state {
	case chunkSizeEnd:
		c.state = chunkData
		if c.size == 0 {
			c.state = chunkLastCR
		}
	case chunkDataCR:
		c.state = chunkDataLF
	case chunkDataLF:
		c.state, c.digits = chunkSize, 0
	case chunkLastCR:
		c.state = chunkLastLF
	case chunkLastLF:
		c.state = chunkDone
	}
	return nil
}

func (c *chunks) stepSize(b byte) *problem.Error {
	if b == '\r' && c.digits > 0 {
		c.state = chunkSizeEnd
		return nil
	}
	v, ok := hexDigit(b)
	if !ok || c.digits >= 8 {
		return badFraming("a chunk size is not 1 to 8 hex digits and CR LF")
	}
	if c.digits == 0 {
		c.size = 0
	}
	c.size = c.size<<4 | int64(v)
	c.digits++
	return nil
}
