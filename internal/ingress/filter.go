package ingress

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"sallyport/internal/problem"
)

// filterConn stands between a connection and http.Server. It gives out the bytes of one
// message at a time, each only after it was found right, and the next message only when
// the reply to the last one has been written. When a head is refused it writes the
// reply itself and ends the connection; when a body is refused it ends the stream with
// the problem, which the handler finds in refusal.
//
// Read is called by one goroutine at a time, as net/http does; the deadlines and Close
// may come from others.
type filterConn struct {
	net.Conn
	info   *connInfo
	server *Server

	in    []byte // received and not yet given out
	ready int    // how much of in may be given out
	state filterState
	seen  int   // how much of an unfinished head was scanned
	left  int64 // of a body with Content-Length
	chunk chunks
	total time.Time // when the whole request must have come

	mu     sync.Mutex
	own    time.Time // our read deadline
	theirs time.Time // http.Server's
	idle   bool      // the last reply was written
	closed bool
	fault  *problem.Error
	wake   chan struct{}
}

type filterState int

const (
	readingHead filterState = iota
	readingLength
	readingChunks
	messageDone
)

// readSize is how much is asked of the connection at once.
const readSize = 4096

func newFilterConn(c net.Conn, info *connInfo, s *Server) *filterConn {
	f := &filterConn{Conn: c, info: info, server: s, wake: make(chan struct{}, 1)}
	f.setOwn(time.Now().Add(s.limits.HeaderTime))
	return f
}

// refusal is why the stream was ended, if we ended it.
func (f *filterConn) refusal() *problem.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault
}

func (f *filterConn) refuse(p *problem.Error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = p
	return p
}

// next allows the next message: http.Server is idle.
func (f *filterConn) next() {
	f.mu.Lock()
	f.idle = true
	f.mu.Unlock()
	f.nudge()
}

// Read implements net.Conn.
func (f *filterConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if fault := f.refusal(); fault != nil {
			if f.state == readingHead {
				return 0, io.EOF
			}
			return 0, fault
		}
		if f.ready > 0 {
			n := copy(p, f.in[:f.ready])
			f.in, f.ready = f.in[n:], f.ready-n
			return n, nil
		}
		if err := f.advance(); err != nil {
			return 0, err
		}
	}
}

// advance makes bytes ready or the state change.
func (f *filterConn) advance() error {
	switch f.state {
	case readingHead:
		return f.readHead()
	case readingLength:
		return f.readLength()
	case readingChunks:
		return f.readChunks()
	}
	return f.awaitIdle()
}

// readHead collects one whole head before it gives out its first byte.
func (f *filterConn) readHead() error {
	if len(f.in) == 0 || f.seen == len(f.in) {
		if err := f.fill(); err != nil {
			return f.headCut(err)
		}
	}
	if f.total.IsZero() {
		now := time.Now()
		f.total = now.Add(f.server.limits.ReadTotal)
		f.setOwn(now.Add(f.server.limits.HeaderTime))
	}
	n, p := scanHead(f.in, f.seen)
	f.seen = len(f.in)
	if p != nil {
		return f.answer(&head{}, p)
	}
	if n == 0 {
		return nil
	}
	h, p := parseHead(string(f.in[:n]))
	if p == nil && h.length > f.server.limits.Body {
		p = tooLarge(f.server.limits.Body)
	}
	if p != nil {
		return f.answer(h, p)
	}
	f.begin(h)
	f.ready = n
	return nil
}

// begin follows the body that h announces.
func (f *filterConn) begin(h *head) {
	f.seen = 0
	f.mu.Lock()
	f.idle = false
	f.mu.Unlock()
	f.setOwn(f.total)
	switch {
	case h.chunked:
		f.state, f.chunk = readingChunks, chunks{}
	case h.length > 0:
		f.state, f.left = readingLength, h.length
	default:
		f.done()
	}
}

func (f *filterConn) done() {
	f.state, f.total = messageDone, time.Time{}
	f.setOwn(time.Time{})
}

// headCut is a head that did not arrive: in silence when nothing came, with 408 when it
// stopped half way.
func (f *filterConn) headCut(err error) error {
	if len(f.in) == 0 {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return f.answer(&head{}, problem.New(problem.RequestTimeout, "the head did not arrive in time"))
	}
	f.refuse(badFraming("the connection ended inside a head")) //nolint:errcheck // told as io.EOF
	return io.EOF
}

func (f *filterConn) readLength() error {
	if f.left == 0 {
		f.done()
		return nil
	}
	if len(f.in) == 0 {
		if err := f.fillBody(); err != nil {
			return err
		}
	}
	f.ready = int(min(f.left, int64(len(f.in))))
	f.left -= int64(f.ready)
	return nil
}

func (f *filterConn) readChunks() error {
	if f.chunk.state == chunkDone {
		f.done()
		return nil
	}
	if len(f.in) == 0 {
		if err := f.fillBody(); err != nil {
			return err
		}
	}
	n, p := f.chunk.next(f.in)
	f.ready = n
	if p != nil {
		// Nothing more is given out: half a chunk is worth nothing to anybody.
		f.ready = 0
		return f.refuse(p)
	}
	return nil
}

// fillBody waits for more of a body, at most BodyIdle and never past the total.
func (f *filterConn) fillBody() error {
	until := time.Now().Add(f.server.limits.BodyIdle)
	if f.total.Before(until) {
		until = f.total
	}
	f.setOwn(until)
	err := f.fill()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return f.refuse(problem.New(problem.RequestTimeout, "the body did not arrive in time"))
	default:
		return f.refuse(problem.Wrap(err, problem.BadFraming, "the body ended before its announced length"))
	}
}

// awaitIdle holds the next message back until the reply to this one was written. It
// still reads, so that a peer that goes away is noticed, and obeys http.Server's
// deadline, by which it calls its reader back.
func (f *filterConn) awaitIdle() error {
	f.mu.Lock()
	idle, closed, past := f.idle, f.closed, !f.theirs.IsZero() && !f.theirs.After(time.Now())
	f.mu.Unlock()
	switch {
	case idle:
		f.state = readingHead
		return nil
	case closed:
		return net.ErrClosed
	case past:
		return os.ErrDeadlineExceeded
	case len(f.in) > 0:
		<-f.wake
		return nil
	}
	return f.fill()
}

// fill reads once. Bytes that come with an error are kept; the error comes again.
func (f *filterConn) fill() error {
	if cap(f.in)-len(f.in) < readSize {
		grown := make([]byte, len(f.in), len(f.in)+2*readSize)
		copy(grown, f.in)
		f.in = grown
	}
	n, err := f.Conn.Read(f.in[len(f.in) : len(f.in)+readSize])
	f.in = f.in[:len(f.in)+n]
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// answer writes a reply of our own in place of a message that http.Server will not see.
// To http.Server the connection then ends: on any other error it would reply as well.
func (f *filterConn) answer(h *head, p *problem.Error) error {
	f.server.counts.count(p.Code)
	reply := f.server.refusalOf(f.info, h, p)
	if _, err := f.Write(reply); err != nil {
		return err
	}
	f.refuse(p) //nolint:errcheck // told as io.EOF
	return io.EOF
}

// Write implements net.Conn. A peer that takes too long for 64 KiB is given up.
func (f *filterConn) Write(p []byte) (int, error) {
	sent := 0
	for {
		piece := p[sent:min(len(p), sent+64<<10)]
		if err := f.Conn.SetWriteDeadline(time.Now().Add(f.server.limits.WriteIdle)); err != nil {
			return sent, err
		}
		n, err := f.Conn.Write(piece)
		sent += n
		if err != nil || sent == len(p) {
			return sent, err
		}
	}
}

// SetReadDeadline implements net.Conn: the nearer of http.Server's and our own counts.
func (f *filterConn) SetReadDeadline(t time.Time) error {
	f.mu.Lock()
	f.theirs = t
	err := f.applyLocked()
	f.mu.Unlock()
	f.nudge()
	return err
}

func (f *filterConn) setOwn(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.own = t
	f.applyLocked() //nolint:errcheck // a closed connection tells at the next Read
}

func (f *filterConn) applyLocked() error {
	t := f.own
	if t.IsZero() || !f.theirs.IsZero() && f.theirs.Before(t) {
		t = f.theirs
	}
	return f.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn; Write sets its own.
func (f *filterConn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.Conn.
func (f *filterConn) SetDeadline(t time.Time) error { return f.SetReadDeadline(t) }

func (f *filterConn) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Close implements net.Conn. After a refusal the peer may still be sending: it gets half
// a second to read our reply, because closing on unread bytes would reset it away.
func (f *filterConn) Close() error {
	f.mu.Lock()
	linger := f.fault != nil && !f.closed
	f.closed = true
	f.mu.Unlock()
	f.nudge()
	if linger {
		f.linger()
	}
	return f.Conn.Close()
}

// lingerBytes is what is still read, and thrown away, of a refused message: a body just
// over the bound must not cost its sender the answer that says so.
const lingerBytes = 4 << 20

func (f *filterConn) linger() {
	c, ok := f.Conn.(interface{ CloseWrite() error })
	if !ok || c.CloseWrite() != nil {
		return
	}
	if f.Conn.SetReadDeadline(time.Now().Add(500*time.Millisecond)) != nil {
		return
	}
	io.Copy(io.Discard, io.LimitReader(f.Conn, lingerBytes)) //nolint:errcheck // only to empty the queue
}

// CloseWrite lets http.Server end its half and wait before it closes.
func (f *filterConn) CloseWrite() error {
	if c, ok := f.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
