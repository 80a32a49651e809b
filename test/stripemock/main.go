// Command stripemock serves stripe-mock, Stripe's own mock, over https with a certificate
// that clients can verify: stripe-mock's own names no host (it has no subject alternative
// name), so a client that checks certificates refuses it.
//
//	go run ./test/stripemock -addr 127.0.0.1:12112 -ca ./mock-ca.pem
//
// The certificate is made at start, for localhost and 127.0.0.1, and written to the file
// that -ca names. It listens on loopback only.
package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"sallyport/test/stand"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:12112", "loopback `ADDRESS:PORT` to listen on")
	ca := flag.String("ca", "./mock-ca.pem", "`FILE` that the certificate is written to")
	flag.Parse()
	if err := serve(*addr, *ca); err != nil {
		fmt.Fprintln(os.Stderr, "stripemock:", err)
		os.Exit(1)
	}
}

func serve(addr, ca string) error {
	if at, err := netip.ParseAddrPort(addr); err != nil || !at.Addr().IsLoopback() {
		return fmt.Errorf("%q is not a loopback address and port such as 127.0.0.1:12112", addr)
	}
	cert, text, err := stand.Certificate(time.Now().Add(-time.Hour), time.Now().AddDate(0, 1, 0), "localhost", "127.0.0.1", "::1")
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		return err
	}
	mock, err := stand.StripeMock()
	if err != nil {
		return fmt.Errorf("read stripe-mock's specification: %w", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: mock, ReadHeaderTimeout: 5 * time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}}
	fmt.Printf("stripe-mock at https://%s, certificate in %s\n", l.Addr(), ca)
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
