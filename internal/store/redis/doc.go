// Package redis keeps what several nodes count together in one Redis: limits of callers,
// limits of providers, and what may be used once.
//
// It guarantees that all checks of one call are taken in one round trip or not at all, by
// the clock of Redis alone; that names in Redis are keyed hashes, so that whoever reads
// them learns of no visitor, address or site; that a Redis that hangs costs a call at most
// Options.Timeout and, once it was noticed, nothing; and that memory here is bounded.
//
// What happens while Redis is away is decided for each use (docs/adr/0010): limits go on in
// this process with the node's share of them, what may be used once is refused. Nothing
// here decides permits, idempotency or budgets: that is the store's, because Redis may
// forget. A Redis Cluster is not supported: the checks of one call lie on one server.
package redis
