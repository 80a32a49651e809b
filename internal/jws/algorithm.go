package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of RFC 7518
	_ "crypto/sha512"
	"errors"
	"fmt"
	"math/big"
)

// The algorithms of RFC 7518 §3.1 and RFC 8037 that are read. There is no "none".
const (
	RS256 = "RS256"
	RS384 = "RS384"
	RS512 = "RS512"
	PS256 = "PS256"
	PS384 = "PS384"
	PS512 = "PS512"
	ES256 = "ES256"
	ES384 = "ES384"
	ES512 = "ES512"
	EdDSA = "EdDSA"
	HS256 = "HS256"
	HS384 = "HS384"
	HS512 = "HS512"
)

// The bounds of keys.
const (
	minRSABits  = 2048
	maxRSABits  = 8192
	maxHMACSize = 1024 // bytes
)

// Key verifies statements with exactly one algorithm, whatever a statement's header says.
// The zero Key verifies nothing. It is safe for concurrent use.
type Key struct {
	id, algorithm string
	public        any // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	secret        []byte
}

// ID is the key's kid; it may be empty.
func (k Key) ID() string { return k.id }

// Algorithm is the one algorithm of the key; empty for the zero Key.
func (k Key) Algorithm() string { return k.algorithm }

// String names the key without what it is made of.
func (k Key) String() string { return "key " + k.id + " (" + k.algorithm + ")" }

// GoString is String: %#v shows no secret.
func (k Key) GoString() string { return k.String() }

// NewKey pins a key to one algorithm: *rsa.PublicKey, *ecdsa.PublicKey and
// ed25519.PublicKey for RS, PS, ES and EdDSA, []byte for HS. A key that is too weak, too
// long to be worked with, or of another kind than the algorithm's is an error.
func NewKey(algorithm, id string, key any) (Key, error) {
	k := Key{id: id, algorithm: algorithm, public: key}
	var err error
	switch algorithm {
	case RS256, RS384, RS512, PS256, PS384, PS512:
		err = checkRSA(key)
	case ES256, ES384, ES512:
		err = checkEC(key, algorithm)
	case EdDSA:
		if p, ok := key.(ed25519.PublicKey); !ok || len(p) != ed25519.PublicKeySize {
			err = errors.New("it is no Ed25519 public key")
		}
	case HS256, HS384, HS512:
		secret, ok := key.([]byte)
		if size := hashOf(algorithm).Size(); !ok || len(secret) < size || len(secret) > maxHMACSize {
			err = fmt.Errorf("it is no secret of %d to %d bytes (RFC 7518 §3.2)", size, maxHMACSize)
		}
		k.public, k.secret = nil, append([]byte(nil), secret...)
	default:
		err = errors.New("the algorithm is not one that is read here")
	}
	if err != nil {
		return Key{}, fmt.Errorf("use a key for %.16q: %w", algorithm, err)
	}
	return k, nil
}

func checkRSA(key any) error {
	p, ok := key.(*rsa.PublicKey)
	if !ok || p == nil || p.N == nil {
		return errors.New("it is no RSA public key")
	}
	switch bits := p.N.BitLen(); {
	case bits < minRSABits || bits > maxRSABits:
		return fmt.Errorf("it has %d bits, not %d to %d", bits, minRSABits, maxRSABits)
	case p.N.Bit(0) == 0:
		return errors.New("its modulus is even")
	case p.E < 3 || p.E%2 == 0 || p.E > 1<<31-1:
		return errors.New("its exponent is not an odd number from 3 to 2^31-1")
	case fingerprintOfROCA(p.N):
		return errors.New("its modulus is of the kind that CVE-2017-15361 (ROCA) factors")
	}
	return nil
}

func checkEC(key any, algorithm string) error {
	p, ok := key.(*ecdsa.PublicKey)
	if !ok || p == nil || p.Curve != curveOf(algorithm) {
		return errors.New("it is no public key of the algorithm's curve")
	}
	if _, err := p.ECDH(); err != nil { // refuses what is no point of the curve
		return errors.New("it is no point of its curve")
	}
	return nil
}

func curveOf(algorithm string) elliptic.Curve {
	switch algorithm {
	case ES256:
		return elliptic.P256()
	case ES384:
		return elliptic.P384()
	}
	return elliptic.P521()
}

// hashOf is the hash of an algorithm but EdDSA.
func hashOf(algorithm string) crypto.Hash {
	switch algorithm[2:] {
	case "256":
		return crypto.SHA256
	case "384":
		return crypto.SHA384
	}
	return crypto.SHA512
}

// verify reports whether the signature is the key's, in the form that the algorithm has
// in JOSE.
func (k Key) verify(signed, signature []byte) bool {
	switch {
	case k.algorithm == "":
		return false
	case k.algorithm == EdDSA:
		p, ok := k.public.(ed25519.PublicKey)
		return ok && len(p) == ed25519.PublicKeySize && len(signature) == ed25519.SignatureSize && ed25519.Verify(p, signed, signature)
	}
	hash := hashOf(k.algorithm)
	if k.secret != nil {
		mac := hmac.New(hash.New, k.secret)
		mac.Write(signed)
		return hmac.Equal(mac.Sum(nil), signature)
	}
	h := hash.New()
	h.Write(signed)
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		return k.verifyRSA(p, hash, h.Sum(nil), signature)
	case *ecdsa.PublicKey:
		return verifyEC(p, h.Sum(nil), signature)
	}
	return false
}

func (k Key) verifyRSA(p *rsa.PublicKey, hash crypto.Hash, sum, signature []byte) bool {
	if len(signature) != p.Size() {
		return false
	}
	if k.algorithm[0] == 'R' {
		return rsa.VerifyPKCS1v15(p, hash, sum, signature) == nil
	}
	// RFC 7518 §3.5: the salt is as long as the hash; another length is another scheme.
	return rsa.VerifyPSS(p, hash, sum, signature, &rsa.PSSOptions{SaltLength: hash.Size(), Hash: hash}) == nil
}

// verifyEC takes r and s as two numbers of the curve's length (RFC 7518 §3.4), not DER.
func verifyEC(p *ecdsa.PublicKey, sum, signature []byte) bool {
	size := (p.Curve.Params().BitSize + 7) / 8
	if len(signature) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	return ecdsa.Verify(p, sum, r, s)
}

// fingerprintOfROCA finds moduli as the faulty library of CVE-2017-15361 made them: modulo
// each of many small primes they are powers of 65537 (Nemec et al., CCS 2017, §3.2). A
// modulus that is not of that kind passes with a chance of 2^-27 only.
func fingerprintOfROCA(n *big.Int) bool {
	rest := new(big.Int)
	for _, p := range [...]int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157} {
		want, power, of := rest.Mod(n, big.NewInt(p)).Int64(), int64(1), false
		for range p {
			of = of || power == want
			power = power * 65537 % p
		}
		if !of {
			return false
		}
	}
	return true
}
