package scheme

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// paypal is PayPal's: RSA with SHA-256 (PKCS #1 v1.5) over "ID|TIME|WEBHOOK-ID|CRC32", the last
// in unsigned decimal over the raw body. The webhook id is ours, never the request's, and stands
// where others have a secret. The certificate's address comes with the request, so it is fetched
// from named hosts over https only, must chain to a root and be PayPal's own by name. Source:
// PayPal-Java-SDK at 2a34212 (SSLUtil.java). PayPal documents no window of time and repeats for
// days with the first time: seven days are ours.
type paypal struct {
	hosts     []string
	suffix    string
	prefix    string
	tolerance time.Duration
	fetch     func(ctx context.Context, url string) ([]byte, error)
	roots     *x509.CertPool

	mu      sync.Mutex
	cache   map[string]cached
	minute  time.Time // in which fetched were asked for
	fetched int
}

type cached struct {
	key   *rsa.PublicKey
	until time.Time // then it is fetched anew
	ends  time.Time // then it is good for nothing
}

const (
	// certificateFor is how long a certificate is used before it is fetched anew.
	certificateFor = time.Hour
	// maxCertificates bounds the memory: PayPal uses one or two at a time.
	maxCertificates = 16
	// maxFetches bounds how often certificates are asked for in a minute: anybody can send an
	// address that has not been seen.
	maxFetches = 10
)

func newPayPal(p *params, c Config) kind {
	p.ignore("id_header", "time_header", "signature_header", "certificate_header", "algorithm_header")
	p.fixed("algorithm", "SHA256withRSA")
	return &paypal{hosts: p.list("certificate_hosts", "api.paypal.com,api.sandbox.paypal.com"), suffix: p.text("certificate_name_suffix", ".paypal.com"),
		prefix: p.text("certificate_name_prefix", "messageverificationcerts"), tolerance: p.duration("tolerance", 7*24*time.Hour), fetch: c.Fetch, roots: c.Roots, cache: map[string]cached{}}
}

func (k *paypal) verify(ctx context.Context, r Request, keys [][]byte) (Verified, error) {
	var h [5]string
	for i, name := range []string{"Paypal-Transmission-Id", "Paypal-Transmission-Time", "Paypal-Transmission-Sig", "Paypal-Cert-Url", "Paypal-Auth-Algo"} {
		var err error
		if h[i], err = one(r.Header, name); err != nil {
			return Verified{}, err
		}
	}
	id, at, text, address, algorithm := h[0], h[1], h[2], h[3], h[4]
	if algorithm != "SHA256withRSA" || strings.Contains(id, "|") {
		return Verified{}, refuse("the algorithm or the id")
	}
	signed, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return Verified{}, refuse("the time")
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return Verified{}, refuse("the form of the signature")
	}
	if err := window(signed, r.Now, k.tolerance); err != nil { // before anything is fetched
		return Verified{}, err
	}
	public, err := k.certificate(ctx, address, r.Now)
	if err != nil {
		return Verified{}, err
	}
	for _, webhook := range keys {
		sum := sha256.Sum256([]byte(paypalText(id, at, string(webhook), r.Body)))
		if rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig) == nil {
			return Verified{Signed: signed}, nil
		}
	}
	return Verified{}, refuse("no signature fits")
}

func paypalText(id, at, webhook string, body []byte) string {
	return id + "|" + at + "|" + webhook + "|" + strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10)
}

// certificate is the key at an address: from memory, or fetched and proved.
func (k *paypal) certificate(ctx context.Context, address string, now time.Time) (*rsa.PublicKey, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.RawQuery != "" || u.Fragment != "" || !slices.Contains(k.hosts, u.Host) ||
		!strings.HasPrefix(u.Path, "/v1/notifications/certs/") || strings.Contains(u.EscapedPath(), "%") || strings.Contains(u.Path, "..") || len(address) > 300 {
		return nil, refuse("the certificate's address")
	}
	k.mu.Lock()
	c, ok := k.cache[address]
	k.mu.Unlock()
	if ok && now.Before(c.until) {
		return c.key, nil
	}
	if !k.mayFetch(now) {
		if ok && now.Before(c.ends) {
			return c.key, nil
		}
		return nil, fmt.Errorf("%w: too many certificates were asked for", ErrUnavailable)
	}
	if k.fetch == nil {
		return nil, fmt.Errorf("%w: certificates cannot be fetched", ErrUnavailable)
	}
	file, err := k.fetch(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("%w: the certificate: %w", ErrUnavailable, err)
	}
	key, until, err := k.prove(file, now)
	if err != nil {
		return nil, fmt.Errorf("%w: the certificate: %w", ErrRefused, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.cache) >= maxCertificates {
		clear(k.cache)
	}
	k.cache[address] = cached{key, earliest(until, now.Add(certificateFor)), until}
	return key, nil
}

// mayFetch counts a fetch, if one is left in this minute.
func (k *paypal) mayFetch(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m := now.Truncate(time.Minute); !m.Equal(k.minute) {
		k.minute, k.fetched = m, 0
	}
	k.fetched++
	return k.fetched <= maxFetches
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// prove reads a chain of PEM certificates and wants the first to be PayPal's.
func (k *paypal) prove(file []byte, now time.Time) (*rsa.PublicKey, time.Time, error) {
	var leaf *x509.Certificate
	between := x509.NewCertPool()
	for n := 0; n < 8; n++ {
		var block *pem.Block
		if block, file = pem.Decode(file); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, time.Time{}, err
		}
		if leaf == nil {
			leaf = c
		} else {
			between.AddCert(c)
		}
	}
	if leaf == nil {
		return nil, time.Time{}, errors.New("it is no PEM certificate")
	}
	name := leaf.Subject.CommonName
	if !strings.HasPrefix(name, k.prefix) || !strings.HasSuffix(name, k.suffix) {
		return nil, time.Time{}, errors.New("it is for another name")
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: k.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return nil, time.Time{}, err
	}
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < 2048 {
		return nil, time.Time{}, errors.New("its key is no RSA key of 2048 bits or more")
	}
	return key, leaf.NotAfter, nil
}

func (k *paypal) sign(r Request, _ []byte) (Request, error) {
	return r, errors.New("only PayPal can sign so: its private key is its own; use sign_as: standard")
}
