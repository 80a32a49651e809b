// Package oauth gets and keeps the tokens that providers want in place of a credential:
// access tokens for client credentials (RFC 6749 §4.4) or for a signed assertion (RFC 7523),
// and self-signed statements of an application (RS256).
//
// The Keeper guarantees: a token is asked for once, however many callers and nodes need it
// (one flight in a process, a lease in the store between processes, and whoever lost its
// lease cannot save any more); it is asked for before the old one ends, which is used until
// then; a token that the provider refuses is replaced once; a token endpoint that fails is
// asked again after a growing pause, and calls fail closed when no token is left. Tokens lie
// in memory and sealed in the store, never in a log line, an error or an alert.
//
// The package dials nothing itself: its requests go through outbound's hosts. It knows no
// provider by name; what differs stands in the catalog.
package oauth
