package authcode

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"sallyport/internal/outbound"
	"sallyport/internal/secret"
)

// Revocation is a token that is to be ended.
type Revocation struct {
	Token secret.Value
	Hint  string // refresh_token or access_token
}

// Revoke ends a token at the server (RFC 7009). A server without an address for it is an
// error, as is any answer but success; a token that the server does not know is success.
func Revoke(ctx context.Context, way Way, s Server, c Client, r Revocation) error {
	if s.Revoke == "" {
		return errors.New("revoke token: the server has no address for it")
	}
	sender, path, query, err := way(s.Revoke)
	if err != nil {
		return err
	}
	form := url.Values{"token": {string(r.Token.Expose())}, "token_type_hint": {r.Hint}}
	call := &outbound.Call{Method: http.MethodPost, Path: path, RawQuery: query, Finish: true, Safety: outbound.Safe,
		Header: http.Header{"Accept": {"application/json"}, "Content-Type": {formType}}}
	if call.Credential, err = c.credential(form); err != nil {
		return err
	}
	call.Body = []byte(form.Encode())
	result, err := sender.Do(ctx, call)
	if err != nil {
		return err
	}
	if p := result.Problem(); p != nil {
		return p
	}
	return nil
}
