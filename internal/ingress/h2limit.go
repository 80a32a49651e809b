package ingress

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// errFlood ends an HTTP/2 connection whose peer sends more control frames than any
// honest client.
var errFlood = errors.New("HTTP/2 frame flood")

// h2Window is how long frames are counted.
const h2Window = 10 * time.Second

// h2Allowed is how many frames of a kind a peer may send in one window. Honest browsers
// stay under a tenth of each.
func h2Allowed(k frameKind) int {
	switch k {
	case kindReset:
		return 100
	case kindPing, kindSettings, kindEmpty:
		return 50
	case kindPriority, kindOther:
		return 500
	case kindWindow:
		return 20000
	}
	return 0
}

type frameKind int

const (
	kindFree frameKind = iota
	kindReset
	kindPing
	kindSettings
	kindEmpty // DATA or CONTINUATION without a byte
	kindPriority
	kindWindow
	kindOther
	kinds
)

// The bounds of one header block over all its CONTINUATION frames.
const (
	maxBlock         = 64 << 10
	maxContinuations = 16
)

// frameLimiter reads the frame headers that pass through a connection to http2.Server
// and ends the connection with GOAWAY ENHANCE_YOUR_CALM when a peer floods: rapid reset
// (CVE-2023-44487), CONTINUATION (CVE-2023-45288), PING, SETTINGS, empty frames
// (CVE-2019-9512 and its kin). It changes no byte.
type frameLimiter struct {
	*tls.Conn
	now   func() time.Time
	flood func()
	in    frameReader
	since time.Time
	count [kinds]int
	block int // bytes of the header block that is open
	parts int // its CONTINUATION frames

	mu     sync.Mutex // the write side
	out    frameReader
	ending bool
}

func newFrameLimiter(c *tls.Conn, now func() time.Time, flood func()) *frameLimiter {
	return &frameLimiter{Conn: c, now: now, flood: flood, in: frameReader{skip: len(http2.ClientPreface)}}
}

// Read implements net.Conn.
func (f *frameLimiter) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	calm := true
	f.in.feed(p[:n], func(h frameHeader) {
		if calm && !f.admit(h) {
			calm = false
		}
	})
	if !calm {
		f.flood()
		f.end()
		return 0, errFlood
	}
	return n, err
}

// admit counts one frame.
func (f *frameLimiter) admit(h frameHeader) bool {
	if now := f.now(); now.Sub(f.since) > h2Window || now.Before(f.since) {
		f.since, f.count = now, [kinds]int{}
	}
	switch h.kind {
	case http2.FrameHeaders, http2.FramePushPromise:
		f.block, f.parts = h.length, 0
	case http2.FrameContinuation:
		f.block += h.length
		f.parts++
		if f.block > maxBlock || f.parts > maxContinuations {
			return false
		}
	}
	k := kindOf(h)
	f.count[k]++
	return k == kindFree || f.count[k] <= h2Allowed(k)
}

func kindOf(h frameHeader) frameKind {
	switch h.kind {
	case http2.FrameData:
		if h.length == 0 && !h.flags.Has(http2.FlagDataEndStream) {
			return kindEmpty
		}
		return kindFree
	case http2.FrameHeaders:
		return kindFree
	case http2.FrameContinuation:
		if h.length == 0 {
			return kindEmpty
		}
		return kindFree
	case http2.FrameRSTStream:
		return kindReset
	case http2.FramePing:
		return kindPing
	case http2.FrameSettings:
		return kindSettings
	case http2.FramePriority, http2.FramePriorityUpdate:
		return kindPriority
	case http2.FrameWindowUpdate:
		return kindWindow
	}
	return kindOther
}

// Write implements net.Conn. It follows our own frames, so that GOAWAY can be put
// between two of them.
func (f *frameLimiter) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ending && f.out.between() {
		return 0, errFlood
	}
	n, err := f.Conn.Write(p)
	f.out.feed(p[:n], func(frameHeader) {})
	if f.ending && f.out.between() {
		f.goAwayLocked()
	}
	return n, err
}

// end sends GOAWAY as soon as no frame of ours is half written, and closes.
func (f *frameLimiter) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ending = true
	if f.out.between() {
		f.goAwayLocked()
	}
}

func (f *frameLimiter) goAwayLocked() {
	frame := make([]byte, 0, 17)
	frame = append(frame, 0, 0, 8, byte(http2.FrameGoAway), 0, 0, 0, 0, 0)
	frame = binary.BigEndian.AppendUint32(frame, 0x7fffffff)
	frame = binary.BigEndian.AppendUint32(frame, uint32(http2.ErrCodeEnhanceYourCalm))
	f.Conn.SetWriteDeadline(time.Now().Add(time.Second)) //nolint:errcheck // a best effort on a connection that ends
	f.Conn.Write(frame)                                  //nolint:errcheck // as above
}

// frameHeader is the part of a frame header that counts here.
type frameHeader struct {
	length int
	kind   http2.FrameType
	flags  http2.Flags
}

// frameReader finds frame headers in a stream (RFC 9113 §4.1).
type frameReader struct {
	skip int // bytes until the next header
	head [9]byte
	have int
}

// between reports whether the stream stands at a frame's border.
func (r *frameReader) between() bool { return r.skip == 0 && r.have == 0 }

func (r *frameReader) feed(b []byte, each func(frameHeader)) {
	for len(b) > 0 {
		if r.skip > 0 {
			n := min(r.skip, len(b))
			r.skip -= n
			b = b[n:]
			continue
		}
		n := copy(r.head[r.have:], b)
		r.have += n
		b = b[n:]
		if r.have < len(r.head) {
			return
		}
		h := frameHeader{
			length: int(r.head[0])<<16 | int(r.head[1])<<8 | int(r.head[2]),
			kind:   http2.FrameType(r.head[3]), flags: http2.Flags(r.head[4]),
		}
		r.have, r.skip = 0, h.length
		each(h)
	}
}

// Close implements net.Conn. After a flood it reads on for a moment, because closing on
// unread bytes would reset the GOAWAY away.
func (f *frameLimiter) Close() error {
	f.mu.Lock()
	ending := f.ending
	f.mu.Unlock()
	if raw := f.Conn.NetConn(); ending && f.Conn.CloseWrite() == nil && raw.SetReadDeadline(time.Now().Add(time.Second)) == nil {
		io.Copy(io.Discard, io.LimitReader(raw, 4<<20)) //nolint:errcheck // only to empty the queue
	}
	return f.Conn.Close()
}
