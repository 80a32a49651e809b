// Package egress takes one call from a caller to a provider and back: one visible
// list of checks (pipeline.go), then the way out, then the checks of the answer.
//
// It guarantees that no upstream byte is sent before every check in the list has
// allowed it, that what is sent was encoded by us from what was checked, and that
// no credential enters the exchange. It does not listen, route hosts or speak CORS
// (ingress does), and it does not dial (outbound does).
package egress

import (
	"context"
	"net/http"
	"net/netip"

	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// Call is what the edge hands over: one request for api/CONNECTION/PATH, already
// through the strict front and CORS.
type Call struct {
	ID         string // request id
	Site       string
	Connection string
	Method     string
	Path       string // escaped, starts with /, relative to the connection
	RawQuery   string
	Header     http.Header // as received; steps read only what they name
	// Origin is the exact Origin header of a browser; empty for all others.
	Origin site.Origin
	Client netip.Addr
	// Among are the connections that may be meant, where the address does not say; the
	// caller's key then decides, Site and Connection are empty, and Path still has the Base.
	Among []Target
	// ReadBody reads the body, at most limit bytes; more is problem.BodyTooLarge.
	// It may be called once.
	ReadBody func(limit int64) ([]byte, error)
	// own is set where the gate itself asks; the edge cannot set it.
	own *ownCall
}

// Answer is what the edge writes. Problem, when set, is written instead of Body.
type Answer struct {
	Status  int
	Header  http.Header // already allow-listed; never holds hop-by-hop or CORS fields
	Body    []byte
	Problem *problem.Error
}

// Caller is implemented by Gate; it is here so that the edge can be tested alone.
type Caller interface {
	// Call runs the whole pipeline. It never panics and never returns an Answer
	// without a Status or a Problem.
	Call(ctx context.Context, c *Call) *Answer
}
