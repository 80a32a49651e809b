package outbound

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// piped is an idle connection whose other end tells whether it was closed.
func piped() (*conn, func() bool) {
	near, far := net.Pipe()
	return &conn{raw: &countingConn{Conn: near}}, func() bool {
		_ = far.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := far.Read(make([]byte, 1))
		return err == io.EOF
	}
}

func TestPoolClosesWhatIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pool
		first, firstClosed := piped()
		p.put(first)
		time.Sleep(idleTime - 5*time.Second)
		second, secondClosed := piped()
		p.put(second)
		time.Sleep(6 * time.Second)
		if p.pop(onceIdle) != nil {
			t.Error("a connection idle for 6 s is given to a call that cannot be repeated")
		}
		if !firstClosed() || secondClosed() {
			t.Error("after 30 s of the first: want it closed and the second open")
		}
		time.Sleep(idleTime * 2)
		if !secondClosed() {
			t.Error("the second was never closed")
		}
		if p.pop(time.Hour) != nil {
			t.Error("a closed connection is still in the pool")
		}
		third, thirdClosed := piped()
		p.put(third)
		time.Sleep(2 * idleTime)
		if !thirdClosed() {
			t.Error("after the pool was empty once, nothing is closed any more")
		}
	})
}

func TestPoolIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pool
		open := 0
		var closed []func() bool
		for range maxIdle + 10 {
			c, isClosed := piped()
			p.put(c)
			closed = append(closed, isClosed)
		}
		for _, isClosed := range closed {
			if !isClosed() {
				open++
			}
		}
		if open != maxIdle {
			t.Errorf("%d idle connections are open, want %d", open, maxIdle)
		}
		p.close()
		late, lateClosed := piped()
		p.put(late)
		if !closed[0]() || !lateClosed() {
			t.Error("a closed pool keeps connections")
		}
	})
}
