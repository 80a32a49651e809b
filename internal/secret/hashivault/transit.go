package hashivault

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"sallyport/internal/secret"
)

// TransitKey names a key of a Transit engine.
type TransitKey struct {
	Mount string // transit
	Key   string // sallyport
}

// String is the key's path.
func (k TransitKey) String() string { return k.Mount + "/" + k.Key }

// ErrPurpose is wrapped where a wrapped key is one for something else.
var ErrPurpose = errors.New("it holds a key for another purpose")

// Wrap lets Transit encrypt a key of the gate's. The purpose is bound into it: what was
// wrapped for one does not unwrap for another.
func (s *Source) Wrap(ctx context.Context, k TransitKey, purpose string, value secret.Value) (string, error) {
	plain := append([]byte(purpose+"\n"), value.Expose()...)
	defer clear(plain)
	return s.transit(ctx, k, "encrypt", "plaintext", base64.StdEncoding.EncodeToString(plain), "ciphertext")
}

// Unwrap gives back what Wrap was given for that purpose.
func (s *Source) Unwrap(ctx context.Context, k TransitKey, purpose, wrapped string) (secret.Value, error) {
	encoded, err := s.transit(ctx, k, "decrypt", "ciphertext", wrapped, "plaintext")
	if err != nil {
		return secret.Value{}, err
	}
	plain, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return secret.Value{}, &Failure{Kind: Unusable, Text: "Transit's answer is not base64"}
	}
	defer clear(plain)
	value, ok := bytes.CutPrefix(plain, []byte(purpose+"\n"))
	if !ok || len(value) == 0 {
		return secret.Value{}, ErrPurpose
	}
	return secret.NewValue(value), nil
}

// Rewrap lets Transit encrypt anew with the newest version of its key; the plaintext does
// not leave Vault.
func (s *Source) Rewrap(ctx context.Context, k TransitKey, wrapped string) (string, error) {
	return s.transit(ctx, k, "rewrap", "ciphertext", wrapped, "ciphertext")
}

// transit makes one request of the engine: one text in, one text out.
func (s *Source) transit(ctx context.Context, k TransitKey, act, field, in, want string) (string, error) {
	path := k.Mount + "/" + act + "/" + k.Key
	got, err := s.do(ctx, request{path: path, body: map[string]any{field: in}, what: path})
	var f *Failure
	if errors.As(err, &f) && f.Kind == Denied {
		return "", &Failure{Kind: Denied, Err: f, Text: f.Text + "; the policy of the gate's token needs: path \"" + path + "\" { capabilities = [\"update\"] }"}
	}
	if errors.As(err, &f) && (f.Kind == Missing || f.Kind == Unusable) {
		return "", &Failure{Kind: f.Kind, Err: f.Err, Text: f.Text + "; is there a Transit engine at " + k.Mount + "/ with the key " + k.Key + " (`vault write -f " + k.Mount + "/keys/" + k.Key + "`)?"}
	}
	if err != nil {
		return "", err
	}
	if got != nil {
		if out, ok := got.Data[want].(string); ok && out != "" && (want != "ciphertext" || strings.HasPrefix(out, "vault:v")) {
			return out, nil
		}
	}
	return "", &Failure{Kind: Missing, Text: "Vault answered " + path + " without " + want + ": is there a Transit engine at " + k.Mount + "/ with the key " + k.Key + "?"}
}
