package grant

import (
	"errors"
	"fmt"
	"time"

	"sallyport/internal/authcode"
	"sallyport/internal/problem"
)

// ConnectMember is the member of a problem document that names the address, below the site's
// root, at which a visitor connects: client.js goes there by connect().
const ConnectMember = "connect"

func withAddress(p *problem.Error, connection string) *problem.Error {
	p.Extra = map[string]any{ConnectMember: "connect/" + connection}
	return p
}

// required is what a call hears for whom nobody has connected an account.
func required(connection string) *problem.Error {
	return withAddress(problem.New(problem.ConnectRequired, "this visitor has connected no account for %s", connection).
		WithHint("offer to connect one: client.js connect(%q), which is POST connect/%s", connection, connection), connection)
}

// reconnect is what a call hears whose grant the provider has ended.
func reconnect(connection string) *problem.Error {
	return withAddress(problem.New(problem.ReconnectRequired, "the provider does not take this visitor's grant for %s any more: it was taken back, or ran out", connection).
		WithHint("offer to connect again: client.js connect(%q), which is POST connect/%s", connection, connection), connection)
}

// unavailable is what a call hears while a token cannot be renewed, and may be later.
func unavailable(err error, wait time.Duration) *problem.Error {
	p := problem.Wrap(err, problem.CredentialUnavailable, "the visitor's access token has ended and cannot be renewed now").
		WithHint("try again in a moment; the gate's log says what the provider answered")
	p.RetryAfter = max(wait, time.Second)
	return p
}

func storeFault(err error) error {
	return problem.Wrap(err, problem.StoreUnavailable, "the gate cannot look up which accounts are connected")
}

func notBegun(err error) error {
	return problem.Wrap(err, problem.ConnectState, "this browser did not begin to connect that account, or it took longer than ten minutes").
		WithHint("begin again with POST connect/CONNECTION; cookies of the gate's name must be allowed")
}

func refusal(reason authcode.Reason) error {
	err := fmt.Errorf("answer refused: %s", reason)
	switch reason {
	case authcode.Declined:
		return problem.Wrap(err, problem.ConnectRefused, "the visitor or the provider did not allow it").WithHint("offer to begin again")
	case authcode.WrongIssuer:
		return problem.Wrap(err, problem.ConnectUpstream, "the answer is not from the provider that was asked").
			WithHint("begin again; if it happens again, compare connect.issuer with the issuer's own metadata")
	case authcode.NoCode:
		return problem.Wrap(err, problem.ConnectUpstream, "the provider's answer has neither a code nor an error")
	}
	return notBegun(err)
}

func upstream(err error, detail string) error {
	return problem.Wrap(err, problem.ConnectUpstream, "%s", detail).WithHint("try again in a moment; the gate's log says what the provider answered")
}

// exchangeFault tells a code that the provider refuses from a provider that fails.
func exchangeFault(err error) error {
	var refused *authcode.RefusedError
	if errors.As(err, &refused) && refused.Code == "invalid_grant" {
		return problem.Wrap(err, problem.ConnectState, "the provider does not take the code: it was used before, or is not this attempt's").WithHint("begin again with POST connect/CONNECTION")
	}
	return upstream(err, "the provider did not exchange the code")
}
