// Package grant keeps what visitors allow a site at a provider: the tokens of their own
// accounts (RFC 6749 §4.1 with PKCE, by package authcode).
//
// It guarantees that a grant belongs to one subject of one connection of one site, and that
// only the browser that began to connect can finish it, for whom it began it; that tokens
// lie sealed in the store and nowhere else, and never reach a browser; that a token is
// renewed once, however many callers and nodes need it (one flight in a process, a lease in
// the store between processes, and whoever lost its lease cannot save any more); that what
// a renewal brought is stored before it is used, so that a refresh token that is replaced
// at each use is not lost with a process; and that a grant that the provider has ended is
// never sent again, but told: to the visitor, who has to connect again, and by Options.Died
// to the operator.
//
// It knows no cookies' names and no provider by name, and dials nothing itself.
package grant
