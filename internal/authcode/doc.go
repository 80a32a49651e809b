// Package authcode is the authorization code flow of OAuth 2.0 as the gate speaks it to
// providers (RFC 6749 §4.1, with PKCE of RFC 7636, the issuer of RFC 9207, and RFC 9700
// for the rest): it makes the address that a visitor is sent to, holds what comes back
// against what this browser began, and exchanges the code.
//
// It guarantees that an answer counts only in the browser that began the attempt (state in a
// sealed cookie), within ten minutes, at the redirect address of the connection that it
// began with, and from the issuer that was asked; that every exchange carries the verifier
// of its own challenge; that what an authorization server answers is bounded and read
// strictly; and that tokens are secret.Value. It keeps nothing: that a state counts once is
// the caller's to hold (Attempt.ID), as is what tokens are for.
//
// It does not dial (Sender does), knows no cookies' names, no sites and no claims.
package authcode
