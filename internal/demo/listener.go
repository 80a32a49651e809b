package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"
)

// drainTime is how long open requests may take when the tour ends.
const drainTime = 2 * time.Second

// listener is one server of the tour, on loopback.
type listener struct {
	net     net.Listener
	handler http.Handler
}

// listen takes a port of 127.0.0.1; with a certificate it speaks TLS.
func listen(port int, cert *tls.Certificate) (*listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	switch {
	case err != nil && port != 0:
		return nil, fmt.Errorf("listen on port %d (another one: --port 0): %w", port, err)
	case err != nil:
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	if cert != nil {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12})
	}
	return &listener{net: l}, nil
}

func (l *listener) addr() string { return l.net.Addr().String() }

// close gives the port back; after serve it does nothing.
func (l *listener) close() error {
	if err := l.net.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// serve answers until ctx ends.
func (l *listener) serve(ctx context.Context) error {
	s := &http.Server{Handler: l.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 16, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l.net) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if s.Shutdown(drain) != nil {
		_ = s.Close()
	}
	<-ended
	return nil
}
