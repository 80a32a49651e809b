// Package outbound is the way out: the only package that dials, and the only one
// that ever holds a credential beside a request.
//
// A Dialer connects for one of three purposes (provider, destination,
// infrastructure) and classifies the address that is really dialled, so that a
// name which resolves to the inside of the network, once or on the second look,
// reaches nothing. A Host is one host of a provider: a pool of TLS connections,
// a strict HTTP/1.1 wire, a circuit breaker, a bulkhead and a retry budget.
// Host.Do runs the attempts of one Call: intent, credential on a clone, exchange,
// judgement, and a repeat only where provider and operation both allow it. A
// Bucket keeps the calls of one credential under the provider's documented limit;
// Objects do so where the provider counts for each object or number.
//
// It guarantees: https only, TLS 1.2 or later with AEAD suites, certificates
// always verified; no redirect is followed and no environment proxy is used;
// Call.Intent has returned without error before the first byte of an attempt;
// what comes back is bounded in size and time, is well-framed HTTP, and does not
// hold the credential; every error is a *problem.Error whose Outcome says what is
// known about the provider's side.
//
// It does not know contracts, sites or callers, it does not log, and it does not
// cache answers.
//
// The wire is our own and not net/http's client, for three reasons. net/http
// accepts what must be refused (a response with both Transfer-Encoding and
// Content-Length, a header name with a space: the first is framed by guess, the
// second vanishes) before any hook could see it. It cannot say whether a byte of
// the request was sent, which decides whether a payment may be repeated. And it
// runs two goroutines per connection, about a third of a proxied call's CPU.
// Providers all speak HTTP/1.1, so only HTTP/1.1 is offered in ALPN. Call and
// Result are our own types: another wire can replace this one without touching a
// caller.
package outbound
