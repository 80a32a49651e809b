package app

import (
	"context"
	"log/slog"

	"sallyport/internal/egress"
	"sallyport/internal/site"
)

// alertLine writes the line of an alert: level Warn, so that whoever collects the log can
// wake somebody up for "alert".
func alertLine(log *slog.Logger) func(context.Context, egress.Alert, int) {
	return func(ctx context.Context, a egress.Alert, before int) {
		decision := "deny"
		if a.Observed {
			decision = "observe"
		}
		log.WarnContext(ctx, "alert", "check", a.Source, "reason", a.Reason, "site", a.Site, "connection", a.Connection,
			"operation", a.Operation, "decision", decision, "count", before)
	}
}

// tellSecond says that a provider refuses the value of a credential that is sent, and that calls
// go on with the other one of its rotation.
func (g *Gate) tellSecond(ctx context.Context, c *site.Connection) {
	g.bell.Alert(ctx, egress.Alert{Source: "credential", Reason: "second-value", Site: c.Site, Connection: c.Name})
}
