package ingress

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"sallyport/internal/problem"
	jsontape "sallyport/internal/tape"
)

// Receipts takes receipts back from the backends of sites.
type Receipts interface {
	// Claim checks the site key and uses the receipt up. The document is the receipt's
	// claims, as JSON.
	Claim(ctx context.Context, c ReceiptClaim) (document []byte, err error)
}

// ReceiptClaim is one request for POST receipts. Key and Receipt are credentials: never
// log them.
type ReceiptClaim struct {
	Request string // request id
	Site    string
	Client  netip.Addr
	Key     string
	Receipt string
}

// maxClaim bounds the body of a claim: the receipt and a few characters.
const maxClaim = 8 << 10

// receipts claims a receipt for the site's backend. A page has no business here: a site key
// in a page is a leaked key.
func (x *exchange) receipts() *problem.Error {
	if x.r.Method != http.MethodPost {
		return x.methodRefused()
	}
	_, hasOrigin := x.r.Header["Origin"]
	if hasOrigin || x.r.Header.Get("Sec-Fetch-Site") != "" {
		return problem.New(problem.OriginRefused, "receipts are claimed by the site's backend, not by a page").
			WithHint("send the receipt from the page to your backend, and let it claim there")
	}
	key := x.bearer()
	if key == "" {
		return problem.New(problem.Unauthenticated, "claiming a receipt needs a site key").WithHint("send Authorization: Bearer SITE_KEY")
	}
	var p *problem.Error
	if x.client, p = x.s.config.Behind.client(x.info.peer, x.r.Header); p != nil {
		return p
	}
	token, p := x.receiptBody()
	if p != nil {
		return p
	}
	document, err := x.world.receipts.Claim(x.r.Context(), ReceiptClaim{Request: x.id, Site: x.route.site.site.Name, Client: x.client, Key: key, Receipt: token})
	if err != nil {
		return problem.From(err)
	}
	x.w.Header().Set("Content-Type", "application/json")
	x.bytes(http.StatusOK, document)
	return nil
}

// receiptBody reads {"receipt": "…"} and nothing else.
func (x *exchange) receiptBody() (string, *problem.Error) {
	kind, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		return "", problem.New(problem.MediaType, "a claim is JSON").WithHint(`send {"receipt": "…"} as application/json`)
	}
	body, err := x.readBody(maxClaim)
	if err != nil {
		return "", problem.From(err)
	}
	wrong := problem.New(problem.BadBody, "a claim is a JSON object with the one member receipt, a text").WithHint(`send {"receipt": "…"}`)
	var t jsontape.Tape
	if t.Parse(body, jsontape.Limits{Bytes: maxClaim, Depth: 2}) != nil || t.Nodes[0].Kind != jsontape.Object || t.Nodes[0].Count != 1 {
		return "", wrong
	}
	at, ok := t.Find(0, "receipt")
	if !ok || t.Nodes[at].Kind != jsontape.String {
		return "", wrong
	}
	return string(t.Text(at)), nil
}
