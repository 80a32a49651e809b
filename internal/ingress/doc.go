// Package ingress is the public listener: it accepts connections, refuses every
// request whose framing, target, host or headers could be read in two ways, finds the
// site and the connection that a request is for, speaks CORS, and hands an egress.Call
// to the pipeline.
//
// The wire is guarded before net/http sees it: HTTP/1.1 runs through a framing filter
// (filter.go), HTTP/2 through a frame limiter (h2limit.go), because net/http hides
// Transfer-Encoding beside Content-Length, folded headers and bare line feeds from
// handlers. What the filter lets through, net/http reads with the same boundaries; a
// fuzz test holds the two together.
//
// It guarantees that a refused request never reaches the Caller, that nothing after a
// request of doubtful framing on the same connection is executed, that every reply
// carries a request id and is right for CORS, and that one request sees one Snapshot.
// It does not authenticate (the pipeline does), never reads a secret, and holds no
// state of a visitor.
package ingress
