package hashivault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	vault "github.com/hashicorp/vault/api"

	"sallyport/internal/secret"
)

// maxAnswer bounds an answer of Vault, in bytes.
const maxAnswer = 1 << 20

var (
	errRedirect = errors.New("an answer of Vault is a redirect")
	errTooLarge = errors.New("an answer of Vault is too large")
)

// bounded is a transport whose answers have an end, and that goes nowhere else.
type bounded struct{ to http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.to.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return nil, errors.Join(errRedirect, resp.Body.Close())
	}
	resp.Body = &capped{body: resp.Body, left: maxAnswer}
	return resp, nil
}

type capped struct {
	body io.ReadCloser
	left int
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	if c.left -= n; c.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

func (c *capped) Close() error { return c.body.Close() }

// client is the library's client with a token. Whatever it took from the environment is
// set to what the file says: only the file decides where secrets come from.
func (s *Source) client(token secret.Value) (*vault.Client, error) {
	c, err := vault.NewClient(&vault.Config{Address: s.o.Address, HttpClient: s.http, DisableRedirects: true})
	if err != nil {
		// The library reads VAULT_… variables even where it does not use them.
		return nil, fmt.Errorf("open Vault: %w: is one of the VAULT_… variables of the environment broken? Unset it: only the file counts", err)
	}
	c.SetHeaders(http.Header{vault.RequestHeaderName: {"true"}})
	c.SetWrappingLookupFunc(func(string, string) string { return "" })
	c.ClearNamespace()
	if s.o.Namespace != "" {
		c.SetNamespace(s.o.Namespace)
	}
	c.SetToken(string(token.Expose()))
	return c, nil
}

// request is one request to Vault.
type request struct {
	path  string
	query map[string][]string // of a read
	body  map[string]any      // not nil: a write
	what  string              // what is asked for, in an operator's words
}

// send makes a request with a token. Vault saying that there is nothing is no error of the
// library; it comes back as nil, or as an answer without data.
func (s *Source) send(ctx context.Context, token secret.Value, r request) (*vault.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	c, err := s.client(token)
	if err != nil {
		return nil, err
	}
	var answer *vault.Secret
	if r.body != nil {
		answer, err = c.Logical().WriteWithContext(ctx, r.path, r.body)
	} else {
		answer, err = c.Logical().ReadWithDataWithContext(ctx, r.path, r.query)
	}
	if err != nil {
		return nil, s.failure(ctx, r.what, err)
	}
	return answer, nil
}

// do makes a request with the gate's token. A 403 may mean that the token has ended
// before its time: then one more try is made with another token, if there is one.
func (s *Source) do(ctx context.Context, r request) (*vault.Secret, error) {
	token, err := s.token(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := s.send(ctx, token, r)
	if !refusal(err, http.StatusForbidden) {
		return answer, err
	}
	if s.renewed(ctx, token) {
		if token, err = s.token(ctx); err != nil {
			return nil, err
		}
		answer, err = s.send(ctx, token, r)
	}
	if refusal(err, http.StatusForbidden) && s.unknown(ctx, token) {
		return nil, s.tokenRefused()
	}
	return answer, err
}

// unknown says whether Vault takes the token for nothing, so that no policy is to blame.
func (s *Source) unknown(ctx context.Context, token secret.Value) bool {
	s.mu.Lock()
	blind := s.login.noLookup
	s.mu.Unlock()
	if blind {
		return false
	}
	_, err := s.send(ctx, token, request{path: "auth/token/lookup-self", what: "the gate's token"})
	return refusal(err, http.StatusForbidden)
}
