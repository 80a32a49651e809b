package egress

import (
	"context"
	"errors"
	"fmt"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/receipt"
	"sallyport/internal/tape"
)

// ReceiptHeader carries a receipt from the gate to the page.
const ReceiptHeader = "Sallyport-Receipt"

// addReceipt signs what the provider's checked answer says in the fields that the rule
// names. An outcome without a receipt proves nothing, so a receipt that cannot be made is
// left out and logged, and the call stays what it is: performed.
func addReceipt(_ context.Context, g *Gate, x *exchange) Decision {
	if x.rule == nil || x.rule.receipt == nil {
		return allow("no receipt is asked for")
	}
	if x.finished == nil || x.finished.Problem != nil || x.response == nil ||
		x.response.Status < 200 || x.response.Status > 299 || x.told() != problem.Performed {
		return allow("nothing was performed")
	}
	token, err := g.makeReceipt(x)
	if err != nil {
		x.innerErr = errors.Join(x.innerErr, fmt.Errorf("no receipt: %w", err))
		return allow("no receipt could be made")
	}
	x.finished.Header.Set(ReceiptHeader, token)
	return allow("signed")
}

func (g *Gate) makeReceipt(x *exchange) (string, error) {
	reply, faults, err := x.op.CheckResponse(x.response.Status, x.response.Header.Get("Content-Type"), x.response.Body, x.rule.receipt)
	if err != nil {
		return "", fmt.Errorf("read the answer again: %w", err)
	}
	if len(faults) > 0 {
		return "", fmt.Errorf("the answer breaks the contract in %d fields of the receipt, first %s", len(faults), faults[0].Where)
	}
	fields, err := receiptFields(x.rule.receipt.Paths(), reply.Body)
	if err != nil {
		return "", err
	}
	return g.deps.Receipts.Issue(receipt.Receipt{Site: x.call.Site, Connection: x.call.Connection, Mode: string(x.conn.Mode),
		Operation: x.op.ID, Fields: fields, Session: x.visit, Origin: x.call.Origin})
}

// receiptFields are the single values at the paths; a field that the answer does not have,
// or has as an object, is left out.
func receiptFields(paths []contract.Path, body []byte) (map[string]any, error) {
	out := map[string]any{}
	if len(body) == 0 {
		return out, nil
	}
	var t tape.Tape
	if err := t.Parse(body, tape.Limits{}); err != nil {
		return nil, fmt.Errorf("read the reduced answer: %w", err)
	}
	tree, ok := t.Value(0).(map[string]any)
	if !ok {
		tree = map[string]any{"body": t.Value(0)}
	}
	args := contract.NewArgs(tree)
	for _, p := range paths {
		switch v, ok := args.Get(p); v.(type) {
		case map[string]any, []any:
		default:
			if ok {
				out[p.String()] = v
			}
		}
	}
	return out, nil
}
