package outbound

import (
	"sync"
	"time"
)

// The idle connections of one host.
const (
	maxIdle  = 32
	idleTime = 30 * time.Second
	// onceIdle is how long a connection may have been idle for a call that cannot
	// be repeated: the longer, the likelier the provider is just closing it.
	onceIdle = 5 * time.Second
)

// pool keeps idle connections, the most recently used on top.
type pool struct {
	mu     sync.Mutex
	idle   []*conn
	timer  *time.Timer
	closed bool
}

// get finds an idle connection that is still open and silent, and has not been
// idle for longer than atMost.
func (p *pool) get(atMost time.Duration) *conn {
	for c := p.pop(atMost); c != nil; c = p.pop(atMost) {
		if c.silent() {
			return c
		}
		c.close()
	}
	return nil
}

// pop takes the most recently used; if that one is too old, all are.
func (p *pool) pop(atMost time.Duration) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 || time.Since(p.idle[n-1].free) > atMost {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// silent: nothing is buffered above TLS, within TLS or below it. Bytes after the
// end of an answer are an answer to the next question (response-queue poisoning).
func (c *conn) silent() bool {
	if c.br.Buffered() > 0 || !quiet(c.raw.Conn) {
		return false
	}
	c.idle = 0
	if c.raw.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	_, err := c.br.Peek(1)
	return isTimeout(err)
}

func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdle {
		c.close()
		return
	}
	c.used, c.free = true, time.Now()
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(idleTime, p.sweep)
	} else if len(p.idle) == 1 {
		p.timer.Reset(idleTime)
	}
}

// sweep closes what has been idle for too long; it runs only while there is something idle.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var keep []*conn
	for _, c := range p.idle {
		if time.Since(c.free) >= idleTime {
			c.close()
		} else {
			keep = append(keep, c)
		}
	}
	p.idle = keep
	if len(keep) > 0 {
		p.timer.Reset(idleTime / 2)
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		c.close()
	}
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
	}
}
