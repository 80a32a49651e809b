package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificates is where the listener's certificates come from.
type certificates interface {
	// Get picks the certificate of a handshake.
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Protocols are ALPN names beside those of HTTP.
	Protocols() []string
	// SetHosts names the hosts to have certificates for. It does not block.
	SetHosts(hosts []string) error
	// HTTPChallenge answers a request of ACME's http-01.
	HTTPChallenge(method, host, path string) ([]byte, bool)
	// Run begins the work in the background, until Close.
	Run(ctx context.Context)
	Close()
}

func newCertificates(c Config, hosts []string) (certificates, error) {
	set := 0
	for _, is := range []bool{c.TLS.Off, c.TLS.CertFile != "" || c.TLS.KeyFile != "", c.TLS.Auto != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return nil, errors.New("open listener: tls needs exactly one of auto, cert with key, or off")
	}
	switch {
	case c.TLS.Off:
		return noCertificates{}, nil
	case c.TLS.Auto != nil:
		return newAuto(c, hosts)
	}
	return newFileCertificates(c)
}

// noCertificates is TLS off.
type noCertificates struct{}

func (noCertificates) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return nil, errors.New("TLS is off")
}
func (noCertificates) Protocols() []string                                 { return nil }
func (noCertificates) SetHosts([]string) error                             { return nil }
func (noCertificates) HTTPChallenge(string, string, string) ([]byte, bool) { return nil, false }
func (noCertificates) Run(context.Context)                                 {}
func (noCertificates) Close()                                              {}

// fileCertificates serves one pair of PEM files and looks every few seconds whether they
// changed. A pair that cannot be read leaves the old one in place and is logged: a
// renewal that is half written must not take the gate down.
type fileCertificates struct {
	config Config
	mu     sync.RWMutex
	pair   *tls.Certificate
	stamp  [2]time.Time
	cancel context.CancelFunc
	done   chan struct{}
}

// certCheck is how often the files are looked at.
const certCheck = 5 * time.Second

func newFileCertificates(c Config) (*fileCertificates, error) {
	f := &fileCertificates{config: c}
	if err := f.load(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *fileCertificates) stamps() (out [2]time.Time, err error) {
	for i, name := range []string{f.config.TLS.CertFile, f.config.TLS.KeyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return out, fmt.Errorf("look at certificate: %w", err)
		}
		out[i] = info.ModTime()
	}
	return out, nil
}

// load reads the pair when it is new.
func (f *fileCertificates) load() error {
	stamp, err := f.stamps()
	if err != nil {
		return err
	}
	f.mu.RLock()
	same := f.pair != nil && stamp == f.stamp
	f.mu.RUnlock()
	if same {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(f.config.TLS.CertFile, f.config.TLS.KeyFile)
	if err != nil {
		return fmt.Errorf("load certificate: %w", err)
	}
	f.mu.Lock()
	f.pair, f.stamp = &pair, stamp
	f.mu.Unlock()
	return nil
}

// Get implements certificates.
func (f *fileCertificates) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.pair, nil
}

// Protocols implements certificates.
func (f *fileCertificates) Protocols() []string { return nil }

// SetHosts implements certificates: the files are what they are.
func (f *fileCertificates) SetHosts([]string) error { return nil }

// HTTPChallenge implements certificates.
func (f *fileCertificates) HTTPChallenge(string, string, string) ([]byte, bool) { return nil, false }

// Run implements certificates.
func (f *fileCertificates) Run(ctx context.Context) {
	ctx, f.cancel = context.WithCancel(ctx)
	f.done = make(chan struct{})
	go func() {
		defer close(f.done)
		tick := time.NewTicker(certCheck)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := f.load(); err != nil {
					f.config.Log.Error("certificate not reloaded; the old one stays", "error", err)
				}
			}
		}
	}()
}

// Close implements certificates.
func (f *fileCertificates) Close() {
	if f.cancel != nil {
		f.cancel()
		<-f.done
	}
}
