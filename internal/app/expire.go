package app

import (
	"context"

	"sallyport/internal/audit"
	"sallyport/internal/secret/keystore"
)

// endRotations removes values from the keystore whose overlap is over, and puts that on record.
// They have not been accepted since their time, so that a keystore that this process may only
// read is no fault.
func (g *Gate) endRotations(ctx context.Context) {
	store, ok := g.secrets["keystore"].(*keystore.Store)
	if !ok {
		return
	}
	over, err := store.Expire(ctx)
	if err != nil {
		g.log.DebugContext(ctx, "old values of secrets stay in the keystore, where they do not count", "error", err)
		return
	}
	for _, name := range over {
		if err := g.audit.Record(ctx, audit.Event{Kind: audit.KindSecretFinished, Name: name}); err != nil {
			g.log.ErrorContext(ctx, "audit event was not written", "kind", string(audit.KindSecretFinished), "error", err)
		}
	}
}
