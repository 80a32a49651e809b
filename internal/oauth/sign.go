package oauth

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"sallyport/internal/secret"
)

// least and most bits of an RSA key: below is forgeable, above costs a second for a signature.
const (
	leastRSA = 2048
	mostRSA  = 8192
)

// KeyFile is a private key with what may stand beside it.
type KeyFile struct {
	key *rsa.PrivateKey
	// ID names the key to whoever checks a signature; Issuer is whose key it is. Both are
	// empty where the file is only a key.
	ID, Issuer string
}

// ParseKey reads an RSA private key: PEM (PKCS #1 or PKCS #8), also with its line breaks written
// as \n, as it stands in many environment variables; or the JSON key file of a service account
// (private_key, private_key_id, client_email). The error repeats nothing of it.
func ParseKey(v secret.Value) (KeyFile, error) {
	raw := bytes.TrimSpace(v.Expose())
	if len(raw) > 0 && raw[0] == '{' {
		return parseKeyFile(raw)
	}
	key, err := parsePEM(raw)
	return KeyFile{key: key}, err
}

func parseKeyFile(raw []byte) (KeyFile, error) {
	m, err := readObject(raw)
	if err != nil {
		return KeyFile{}, fmt.Errorf("read key file: %w", err)
	}
	text, _ := m["private_key"].(string)
	if text == "" {
		return KeyFile{}, errors.New("read key file: it has no private_key; download a JSON key of the service account")
	}
	k := KeyFile{}
	k.ID, _ = m["private_key_id"].(string)
	k.Issuer, _ = m["client_email"].(string)
	k.key, err = parsePEM([]byte(text))
	return k, err
}

func parsePEM(raw []byte) (*rsa.PrivateKey, error) {
	if !bytes.ContainsRune(raw, '\n') {
		raw = bytes.ReplaceAll(raw, []byte(`\n`), []byte("\n"))
	}
	block, rest := pem.Decode(raw)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("read private key: it is not one key in PEM form (-----BEGIN PRIVATE KEY-----)")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, errors.New("read private key: the PEM block is no private key; it begins -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----, and has no password")
	}
	if err != nil {
		return nil, errors.New("read private key: the bytes in the PEM block are not a private key")
	}
	k, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("read private key: it is not an RSA key")
	}
	if bits := k.N.BitLen(); bits < leastRSA || bits > mostRSA {
		return nil, fmt.Errorf("read private key: it has %d bits; %d to %d are used", bits, leastRSA, mostRSA)
	}
	return k, nil
}

// sign writes a compact JWT (RFC 7519) with RS256.
func (k KeyFile) sign(claims map[string]any) ([]byte, error) {
	header := map[string]string{"alg": "RS256", "typ": "JWT"}
	if k.ID != "" {
		header["kid"] = k.ID
	}
	head, err := json.Marshal(header)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	out := base64.RawURLEncoding.AppendEncode(nil, head)
	out = base64.RawURLEncoding.AppendEncode(append(out, '.'), body)
	sum := sha256.Sum256(out)
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return base64.RawURLEncoding.AppendEncode(append(out, '.'), signature), nil
}
