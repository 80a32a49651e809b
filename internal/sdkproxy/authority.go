package sdkproxy

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Sealer seals the authority's key for the disk; *seal.Sealer is one. What is sealed for one
// purpose opens for no other.
type Sealer interface {
	Seal(plaintext []byte, purpose string) ([]byte, error)
	Open(sealed []byte, purpose string) ([]byte, error)
}

// Options are what an Authority needs; all of them.
type Options struct {
	// Dir holds the authority: ca.pem, and ca.key, which is sealed.
	Dir    string
	Sealer Sealer
	Now    func() time.Time
}

// Authority is the local certificate authority. It is safe for concurrent use.
type Authority struct {
	o Options

	mu     sync.Mutex
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	names  []string
	leaves map[string]*tls.Certificate // by name, of names only
}

// Info is what may be told of an authority: nothing of it is secret.
type Info struct {
	Subject     string    `json:"subject"`
	Fingerprint string    `json:"sha256"` // of the certificate, hex
	Names       []string  `json:"names"`
	Begins      time.Time `json:"begins"`
	Ends        time.Time `json:"ends"`
	PEM         string    `json:"pem"`
}

// Open reads the authority of o.Dir, or makes one, for exactly names. It reports whether a
// certificate was issued. A key that does not open with the sealer is an error and is never
// replaced.
func Open(o Options, names []string) (a *Authority, issued bool, err error) {
	if o.Dir == "" || o.Sealer == nil || o.Now == nil {
		return nil, false, errors.New("open SDK authority: folder, sealer and clock are required")
	}
	a = &Authority{o: o}
	if a.key, err = loadKey(o); err != nil {
		return nil, false, err
	}
	if a.cert, err = loadCertificate(o.Dir); err != nil {
		return nil, false, err
	}
	issued, err = a.SetNames(names)
	if err != nil {
		return nil, false, err
	}
	return a, issued, nil
}

// SetNames makes the authority good for exactly names from now on. It issues its certificate
// anew, with the same key, where the names are others or the certificate's end is near, and
// reports whether it did. On an error nothing has changed.
func (a *Authority) SetNames(names []string) (issued bool, err error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) == 0 {
		return false, errors.New("issue SDK authority: there is no name that it could be good for, and without one it would be good for all")
	}
	for _, n := range names {
		if !hostName(n) {
			return false, fmt.Errorf("issue SDK authority: %q is not a host name", n)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Now()
	cert := a.cert
	if cert == nil || !fits(cert, a.key, names, now) {
		if cert, err = issueAuthority(a.key, names, now); err != nil {
			return false, err
		}
		if err = saveCertificate(a.o.Dir, cert); err != nil {
			return false, err
		}
		issued = true
	}
	if issued || a.leaves == nil {
		a.leaves = map[string]*tls.Certificate{}
	}
	a.cert, a.names = cert, names
	return issued, nil
}

// Renew issues the certificate anew where its end is near, and reports whether it did.
func (a *Authority) Renew() (bool, error) {
	a.mu.Lock()
	names := a.names
	a.mu.Unlock()
	return a.SetNames(names)
}

// Names are what the authority is good for, sorted. The result is the caller's.
func (a *Authority) Names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.names)
}

// Certificate gives a leaf for exactly name. A name that is not one of the list is an error.
func (a *Authority) Certificate(name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := slices.BinarySearch(a.names, name); !ok {
		return nil, errors.New("issue certificate: the SDK authority is not good for that name")
	}
	now := a.o.Now()
	if leaf, ok := a.leaves[name]; ok && leaf.Leaf.NotAfter.Sub(now) > leafLife/2 && !now.Before(leaf.Leaf.NotBefore) {
		return leaf, nil
	}
	leaf, err := issueLeaf(a.cert, a.key, name, now)
	if err != nil {
		return nil, err
	}
	a.leaves[name] = leaf
	return leaf, nil
}

// Info tells of the authority.
func (a *Authority) Info() Info {
	a.mu.Lock()
	defer a.mu.Unlock()
	return infoOf(a.cert)
}

func infoOf(c *x509.Certificate) Info {
	sum := sha256.Sum256(c.Raw)
	return Info{Subject: c.Subject.String(), Fingerprint: strings.ToUpper(hex.EncodeToString(sum[:])), Names: slices.Clone(c.PermittedDNSDomains),
		Begins: c.NotBefore.UTC(), Ends: c.NotAfter.UTC(), PEM: string(encodeCertificate(c))}
}
