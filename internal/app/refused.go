package app

import (
	"context"

	"sallyport/internal/audit"
	"sallyport/internal/ingress"
)

// refusedOutside writes a refusal that never became a call into the audit log. Nothing was
// sent, so that an entry which cannot be written is a matter for the log of the gate alone.
func (g *Gate) refusedOutside(ctx context.Context, r ingress.Refusal) {
	err := g.audit.Record(context.WithoutCancel(ctx), audit.Event{Kind: audit.KindRefused, Request: r.Request,
		Site: r.Site, Connection: r.Connection, Code: r.Code, Client: r.Client})
	if err != nil {
		g.log.Error("a refusal was not recorded", "request", r.Request, "error", err)
	}
}
