package ingress

//lint:file-ignore SA1019 the client that belongs to the server under test

import (
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"sallyport/internal/egress"
)

// TestHTTP2Floods is security reference §5.5, frames: each ends the connection, and the
// pipeline sees no more than the streams that were allowed.
func TestHTTP2Floods(t *testing.T) {
	t.Parallel()
	var ping [8]byte
	for _, row := range []struct {
		name  string
		flood func(c *h2Client, i int) error
		want  []string
	}{
		{"rapid reset", func(c *h2Client, _ int) error {
			id := c.headers(true, block(pseudo()...))
			return c.WriteRSTStream(id, http2.ErrCodeCancel)
		}, []string{"GOAWAY ENHANCE_YOUR_CALM"}},
		{"reset by our own hand", func(c *h2Client, _ int) error { // CVE-2025-8671: the stream's error is the peer's doing, the RST_STREAM ours
			id := c.headers(true, block(pseudo()...))
			return c.WriteRawFrame(http2.FrameWindowUpdate, 0, id, make([]byte, 4))
		}, []string{"GOAWAY ENHANCE_YOUR_CALM", "GOAWAY PROTOCOL_ERROR", "closed"}}, // closed: x/net's server found 10,000 resets of its own unsent (its maxQueuedControlFrames) and says no more
		{"PING", func(c *h2Client, _ int) error { return c.WritePing(false, ping) }, []string{"GOAWAY ENHANCE_YOUR_CALM"}},
		{"SETTINGS", func(c *h2Client, _ int) error { return c.WriteSettings() }, []string{"GOAWAY ENHANCE_YOUR_CALM"}},
		{"CONTINUATION", func(c *h2Client, i int) error {
			if i == 0 {
				return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(pseudo()...), EndStream: true})
			}
			return c.WriteContinuation(1, false, block("x-a", "b"))
		}, []string{"GOAWAY ENHANCE_YOUR_CALM", "GOAWAY PROTOCOL_ERROR"}},
		{"empty CONTINUATION", func(c *h2Client, i int) error {
			if i == 0 {
				return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(pseudo()...), EndStream: true})
			}
			return c.WriteContinuation(1, false, nil)
		}, []string{"GOAWAY ENHANCE_YOUR_CALM", "GOAWAY PROTOCOL_ERROR"}},
		{"empty DATA", func(c *h2Client, i int) error {
			if i == 0 {
				c.headers(false, block(":method", "POST", ":scheme", "https", ":authority", "gw.test", ":path", "/api/payments/x"))
			}
			return c.WriteData(1, false, nil)
		}, []string{"GOAWAY ENHANCE_YOUR_CALM"}},
		{"PRIORITY", func(c *h2Client, _ int) error { return c.WritePriority(3, http2.PriorityParam{Weight: 3}) }, []string{"GOAWAY ENHANCE_YOUR_CALM"}},
		{"unknown frames", func(c *h2Client, _ int) error { return c.WriteRawFrame(0x77, 0, 0, nil) }, []string{"GOAWAY ENHANCE_YOUR_CALM"}},
		{"WINDOW_UPDATE", func(c *h2Client, _ int) error { return c.WriteWindowUpdate(0, 1) }, []string{"GOAWAY ENHANCE_YOUR_CALM"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			g, pool := startTLSGate(t)
			hold := make(chan struct{})
			g.caller.answer = func(*egress.Call) *egress.Answer {
				<-hold
				return &egress.Answer{Status: 200, Header: http.Header{}}
			}
			defer close(hold)
			c := newH2(t, g, pool)
			ended := make(chan string, 1)
			go func() { ended <- c.drain() }()
			for i := range 25000 {
				if row.flood(c, i) != nil {
					break
				}
			}
			got := <-ended
			ok := false
			for _, want := range row.want {
				ok = ok || got == want
			}
			if !ok {
				t.Errorf("%s, want one of %v", got, row.want)
			}
			if n := g.caller.count(); n > maxStreams {
				t.Errorf("%d calls", n)
			}
		})
	}
}

// TestHeaderBlockBound: of one header block no more than 64 KiB and 16 CONTINUATION
// frames are let in, whatever their sizes, and the next block begins anew.
func TestHeaderBlockBound(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 100, 16 << 10} {
		f := &frameLimiter{now: time.Now}
		for range 3 { // blocks that are within the bounds
			if !f.admit(frameHeader{length: 16 << 10, kind: http2.FrameHeaders}) || !f.admit(frameHeader{length: 16 << 10, kind: http2.FrameContinuation}) {
				t.Fatal("an honest block was refused")
			}
		}
		admitted, frames := 0, 0
		f.admit(frameHeader{length: size, kind: http2.FrameHeaders})
		for f.admit(frameHeader{length: size, kind: http2.FrameContinuation}) && frames < 5000 {
			admitted, frames = admitted+size, frames+1
		}
		if admitted+size > 64<<10 || frames > 16 || frames == 0 {
			t.Errorf("frames of %d bytes: %d bytes in %d frames", size, admitted, frames)
		}
	}
}

// drain reads until the connection ends and reports the GOAWAY, if one came.
func (c *h2Client) drain() string {
	got := "closed"
	for {
		c.c.SetReadDeadline(time.Now().Add(10 * time.Second))
		f, err := c.ReadFrame()
		if err != nil {
			return got
		}
		if f, ok := f.(*http2.GoAwayFrame); ok {
			got = "GOAWAY " + f.ErrCode.String()
		}
	}
}
