package hashivault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"sallyport/internal/secret"
)

// Method is a way to get a token.
type Method string

// The methods.
const (
	Token      Method = "token"      // a token that somebody else made
	AppRole    Method = "approle"    // role id and secret id
	Kubernetes Method = "kubernetes" // the service account's token
	JWT        Method = "jwt"        // a signed statement of somebody whom Vault trusts
)

// ServiceAccountToken is where Kubernetes puts a pod's token.
const ServiceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// maxToken bounds a token in a file, in bytes.
const maxToken = 64 << 10

// Auth says how the gate gets a token. What refs and files hold is read anew for each
// login, so that it may be rotated at any time.
type Auth struct {
	Method Method
	Mount  string     // of the auth method; empty: its name
	Role   string     // kubernetes, jwt
	Token  secret.Ref // token; jwt, where TokenFile is empty
	// TokenFile is a file that may be readable by others, as Kubernetes makes it: kubernetes, jwt.
	TokenFile string
	RoleID    secret.Ref // approle
	SecretID  secret.Ref // approle; the zero Ref for roles without
}

func (a *Auth) check() error {
	ok := false
	switch a.Method {
	case Token:
		ok = a.Token != (secret.Ref{})
	case AppRole:
		ok = a.RoleID != (secret.Ref{})
	case Kubernetes:
		ok = a.Role != "" && a.TokenFile != ""
	case JWT:
		ok = a.Role != "" && (a.TokenFile != "") != (a.Token != secret.Ref{})
	}
	if !ok {
		return fmt.Errorf("the way to log in (%q) is not complete", a.Method)
	}
	if a.Mount == "" {
		a.Mount = string(a.Method)
	}
	return nil
}

// material is what one login needs: the body of the request, or the token itself.
type material struct {
	token secret.Value
	body  map[string]any
	mark  [sha256.Size]byte // tells whether it is another one than the last time
}

// gather reads what a login needs, now.
func (s *Source) gather(ctx context.Context) (material, error) {
	a := s.o.Auth
	m := material{body: map[string]any{}}
	hash := sha256.New()
	// part reads one piece and notes it in the mark.
	part := func(field string, ref secret.Ref, file string) (err error) {
		if ref == (secret.Ref{}) && file == "" {
			return nil
		}
		if file != "" {
			m.token, err = readToken(file)
		} else {
			m.token, err = s.o.Secrets.Read(ctx, ref)
		}
		if err == nil {
			m.body[field] = string(m.token.Expose())
			fmt.Fprintf(hash, "%d:", len(m.token.Expose()))
			hash.Write(m.token.Expose())
		}
		return err
	}
	var err error
	switch a.Method {
	case Token:
		err = part("token", a.Token, "")
	case AppRole:
		err = errors.Join(part("role_id", a.RoleID, ""), part("secret_id", a.SecretID, ""))
	default:
		m.body["role"] = a.Role
		err = part("jwt", a.Token, a.TokenFile)
	}
	if err != nil {
		return material{}, &Failure{Kind: Unreadable, Err: err, Text: "what the gate logs in to Vault with cannot be read: " + err.Error()}
	}
	hash.Sum(m.mark[:0])
	return m, nil
}

// readToken reads a token that others may be able to read too.
func readToken(path string) (secret.Value, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return secret.Value{}, fmt.Errorf("open the token's file: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return secret.Value{}, fmt.Errorf("the token's file %s is not a regular file", path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return secret.Value{}, fmt.Errorf("read the token's file: %w", err)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" || len(raw) > maxToken {
		return secret.Value{}, fmt.Errorf("the token's file %s is empty or has more than %d bytes", path, maxToken)
	}
	return secret.NewValue([]byte(text)), nil
}
