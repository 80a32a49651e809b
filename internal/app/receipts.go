package app

import (
	"context"

	"sallyport/internal/audit"
	"sallyport/internal/ingress"
	"sallyport/internal/problem"
	"sallyport/internal/receipt"
	"sallyport/internal/session"
)

// desk implements ingress.Receipts: who may claim, the claim itself, and its audit entry.
type desk struct {
	gate   *Gate
	config string
}

// Claim takes a receipt back from the backend of a site. Each claim of a caller with a live
// site key is in the audit log, whether it was taken or refused.
func (d desk) Claim(ctx context.Context, c ingress.ReceiptClaim) ([]byte, error) {
	key, err := d.gate.siteKeys.VerifyAny(ctx, session.Attempt{Site: c.Site, Client: c.Client, Presented: session.ParsePresented(c.Key)})
	if err != nil {
		return nil, err
	}
	if err := d.gate.audit.Err(); err != nil { // before anything is used up
		return nil, unrecorded(err)
	}
	r, claimErr := d.gate.desk.Claim(ctx, c.Site, key.Connection, c.Receipt)
	if err := d.record(ctx, c, r, claimErr); err != nil {
		return nil, err
	}
	if claimErr != nil {
		return nil, claimErr
	}
	return r.Document(issuerName)
}

// record writes the audit entry. A receipt that was taken is used up by then, so an entry
// that cannot be written is an error: the backend must not act on what nobody recorded.
func (d desk) record(ctx context.Context, c ingress.ReceiptClaim, r receipt.Receipt, claimErr error) error {
	ev := audit.Event{Kind: audit.KindReceiptClaimed, Request: c.Request, Site: c.Site, Caller: "backend", Config: d.config, Client: c.Client}
	if r.Site == c.Site { // else nothing of it is this site's business
		ev.Connection, ev.Operation, ev.Visit = r.Connection, r.Operation, r.Session
	}
	if claimErr != nil {
		ev.Kind, ev.Code = audit.KindRefused, problem.From(claimErr).Code
	}
	if err := d.gate.audit.Record(context.WithoutCancel(ctx), ev); err != nil {
		return unrecorded(err)
	}
	return nil
}

func unrecorded(err error) error {
	return problem.Wrap(err, problem.AuditUnavailable, "the audit log cannot be written, so no receipt is taken")
}
