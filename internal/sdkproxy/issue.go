package sdkproxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"
)

const (
	// authorityLife is how long a certificate of the authority holds. It is issued anew, with
	// the same key, when a third is left, so that who trusts the one before has months to read
	// the new one.
	authorityLife = 365 * 24 * time.Hour
	authorityLeft = authorityLife / 3
	// leafLife is how long a leaf holds: it is kept in memory only, and made anew at half of it.
	leafLife = 24 * time.Hour
	// backdated covers clocks that go a little behind.
	backdated = 5 * time.Minute
)

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// serial is 127 random bits, never zero.
func serial() (*big.Int, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	raw[0] = raw[0]&0x7f | 0x40
	return new(big.Int).SetBytes(raw), nil
}

// authorityTemplate says what the authority may vouch for: exactly names. A dNSName constraint
// matches the name and everything below it (RFC 5280 §4.2.1.10); what stands below is taken
// out again by a constraint with a leading dot, which crypto/x509, OpenSSL, NSS and webpki
// read as "with at least one label more", and which others leave without effect. Addresses of
// both families are excluded altogether, because a constraint on names says nothing of them.
func authorityTemplate(key *ecdsa.PrivateKey, names []string, now time.Time) (*x509.Certificate, error) {
	number, err := serial()
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(spki)
	return &x509.Certificate{
		SerialNumber: number,
		Subject:      pkix.Name{Organization: []string{"Sallyport"}, CommonName: "Sallyport SDK proxy " + hex.EncodeToString(id[:4])},
		NotBefore:    now.Add(-backdated), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 0, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		SubjectKeyId:                id[:20],
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: names, ExcludedDNSDomains: below(names),
		ExcludedIPRanges: everyAddress(),
	}, nil
}

// below excludes what stands below each name, but for names with another one of the list
// below them.
func below(names []string) []string {
	var out []string
	for _, n := range names {
		if !slices.ContainsFunc(names, func(other string) bool { return strings.HasSuffix(other, "."+n) }) {
			out = append(out, "."+n)
		}
	}
	return out
}

func everyAddress() []*net.IPNet {
	return []*net.IPNet{
		{IP: net.IPv4zero.To4(), Mask: make(net.IPMask, net.IPv4len)},
		{IP: net.IPv6zero, Mask: make(net.IPMask, net.IPv6len)},
	}
}

// issueAuthority makes a certificate of the authority for exactly names, which are sorted.
func issueAuthority(key *ecdsa.PrivateKey, names []string, now time.Time) (*x509.Certificate, error) {
	template, err := authorityTemplate(key, names, now)
	if err != nil {
		return nil, fmt.Errorf("issue SDK authority: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("issue SDK authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue SDK authority: %w", err)
	}
	return cert, nil
}

// issueLeaf makes a certificate for one exact name, with a key of its own.
func issueLeaf(ca *x509.Certificate, caKey *ecdsa.PrivateKey, name string, now time.Time) (*tls.Certificate, error) {
	key, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make key for %s: %w", name, err)
	}
	number, err := serial()
	if err != nil {
		return nil, fmt.Errorf("make serial for %s: %w", name, err)
	}
	end := now.Add(leafLife)
	if ca.NotAfter.Before(end) {
		end = ca.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{Organization: []string{"Sallyport"}},
		NotBefore: now.Add(-backdated), NotAfter: end, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{name},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", name, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", name, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// fits reports whether cert is the authority of key for exactly names, and has long to go.
func fits(cert *x509.Certificate, key *ecdsa.PrivateKey, names []string, now time.Time) bool {
	want, err := authorityTemplate(key, names, now)
	return err == nil && key.PublicKey.Equal(cert.PublicKey) && bytes.Equal(cert.RawIssuer, cert.RawSubject) &&
		cert.IsCA && cert.MaxPathLen == 0 && cert.MaxPathLenZero && cert.PermittedDNSDomainsCritical &&
		cert.KeyUsage == want.KeyUsage && slices.Equal(cert.ExtKeyUsage, want.ExtKeyUsage) &&
		slices.Equal(cert.PermittedDNSDomains, want.PermittedDNSDomains) && slices.Equal(cert.ExcludedDNSDomains, want.ExcludedDNSDomains) &&
		len(cert.ExcludedIPRanges) == len(want.ExcludedIPRanges) &&
		!now.Before(cert.NotBefore) && cert.NotAfter.Sub(now) > authorityLeft
}
