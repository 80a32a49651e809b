package sdkproxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	certificateFile = "ca.pem"
	keyFile         = "ca.key"
	keyPurpose      = "sdk-authority-key"
	maxFile         = 64 << 10
)

// ErrNone is wrapped where a folder holds no authority.
var ErrNone = errors.New("there is no SDK authority")

// Show reads what may be told of the authority in dir, beside a gate that may be running. It
// needs no key, and wraps ErrNone where there is no authority yet.
func Show(dir string) (Info, error) {
	cert, err := loadCertificate(dir)
	if err != nil {
		return Info{}, err
	}
	if cert == nil {
		return Info{}, fmt.Errorf("read %s: %w", filepath.Join(dir, certificateFile), ErrNone)
	}
	return infoOf(cert), nil
}

// loadKey opens the key in the folder, or makes one there.
func loadKey(o Options) (*ecdsa.PrivateKey, error) {
	path := filepath.Join(o.Dir, keyFile)
	sealed, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(o, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read SDK authority's key: %w", err)
	}
	der, err := o.Sealer.Open(sealed, keyPurpose)
	if err != nil {
		return nil, fmt.Errorf("read SDK authority's key %s; to have a new authority, which every SDK has to be told of, remove the folder %s: %w", path, o.Dir, err)
	}
	defer clear(der)
	any, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := any.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("read SDK authority's key %s: it is not a P-256 key", path)
	}
	return key, nil
}

// readPrivate reads a small file that only its owner can use.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s can be used by others (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s has %d bytes; at most %d are read", path, info.Size(), maxFile)
	}
	return os.ReadFile(path)
}

func makeKey(o Options, path string) (*ecdsa.PrivateKey, error) {
	key, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make SDK authority's key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make SDK authority's key: %w", err)
	}
	defer clear(der)
	sealed, err := o.Sealer.Seal(der, keyPurpose)
	if err != nil {
		return nil, fmt.Errorf("make SDK authority's key: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the SDK authority's folder: %w", err)
	}
	return key, replace(path, sealed, 0o600)
}

// loadCertificate reads the certificate in the folder; nil: there is none.
func loadCertificate(dir string) (*x509.Certificate, error) {
	path := filepath.Join(dir, certificateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read SDK authority: %w", err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		return nil, fmt.Errorf("read SDK authority %s: it is not one certificate in PEM; remove the file to have it issued anew", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read SDK authority %s; remove the file to have it issued anew: %w", path, err)
	}
	return cert, nil
}

func encodeCertificate(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func saveCertificate(dir string, c *x509.Certificate) error {
	return replace(filepath.Join(dir, certificateFile), encodeCertificate(c), 0o644)
}

// replace writes a file so that it is there whole or not at all.
func replace(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
