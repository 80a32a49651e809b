package app

import (
	"context"
	"log/slog"

	"sallyport/internal/egress"
	"sallyport/internal/observe"
)

// recorder writes the one line of a call; it implements egress.Recorder.
type recorder struct {
	log    *slog.Logger
	config string
}

// Record writes names, numbers and reasons; nothing that a caller or a provider sent.
func (r recorder) Record(ctx context.Context, rec *egress.Record) {
	c := observe.Call{
		Request: rec.Call.ID, Site: rec.Call.Site, Connection: rec.Call.Connection, Provider: rec.Provider,
		Operation: rec.Operation, Caller: string(rec.Caller), Mode: string(rec.Mode), Config: r.config,
		Status: rec.Status, Code: rec.Code, Outcome: rec.Outcome, Attempts: rec.Attempts,
		BytesIn: int64(rec.BytesIn), BytesOut: int64(rec.BytesOut), Dropped: rec.Dropped,
		Observed: rec.Observed, Err: rec.InnerError,
		Phases: []observe.Phase{{Name: "total", Took: rec.Total}, {Name: "upstream", Took: rec.Upstream}},
	}
	for _, d := range rec.Decisions {
		c.Decisions = append(c.Decisions, observe.Decision{Check: d.Step, Decision: "deny", Reason: d.Reason})
	}
	for _, name := range rec.Named { // a secret field went out because the file names it
		c.Decisions = append(c.Decisions, observe.Decision{Check: "returns", Decision: "allow", Reason: "secret field " + name})
	}
	if rec.Replayed {
		c.Decisions = append(c.Decisions, observe.Decision{Check: "idempotency", Decision: "allow", Reason: "replayed"})
	}
	c.Log(ctx, r.log)
}
