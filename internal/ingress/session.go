package ingress

import (
	"net/http"
	"strings"
	"time"

	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// maxEvidence is the longest voucher or proof that is looked at, in bytes.
const maxEvidence = 8 << 10

// session makes, shows, renews, raises or ends a visit. Only a page of the site may: Origin is
// required here, although it proves nothing about who is outside a browser.
func (x *exchange) session() *problem.Error {
	method := x.r.Method
	if method != http.MethodGet && method != http.MethodPost && method != http.MethodDelete {
		return x.methodRefused()
	}
	if x.origin == "" {
		return originRefused().WithHint("a session is for a page of the site: send its Origin. Backends use a site key instead")
	}
	if body, err := x.readBody(1 << 10); err != nil {
		return problem.From(err)
	} else if p := x.sessionBody(body); p != nil {
		return p
	}
	evidence, p := x.evidence()
	if p != nil {
		return p
	}
	raise := method == http.MethodPost && evidence != (Evidence{})
	if (raise || method != http.MethodPost) && x.bearer() == "" {
		return problem.New(problem.Unauthenticated, "no session token was sent").WithHint("send Authorization: Bearer TOKEN")
	}
	of := VisitRequest{ID: x.id, Site: x.route.site.site.Name, Origin: site.Origin(x.origin), Client: x.client, Token: x.bearer()}
	switch {
	case method == http.MethodDelete:
		return x.endVisit(of)
	case method == http.MethodGet:
		return x.showVisit(of)
	case raise:
		return x.token(x.world.sessions.Raise(x.r.Context(), of, evidence))
	}
	if _, renew := x.r.Header["Authorization"]; renew {
		return x.token(x.world.sessions.Renew(x.r.Context(), of))
	}
	if done, p := x.signedIn(of); done {
		return p
	}
	return x.token(x.world.sessions.Mint(x.r.Context(), of.Site, of.Origin, of.Client))
}

// evidence reads what the page brings; both at once could only mean a mistake.
func (x *exchange) evidence() (Evidence, *problem.Error) {
	e := Evidence{Voucher: x.r.Header.Get("Sallyport-Voucher"), Proof: x.r.Header.Get("Sallyport-Proof")}
	switch {
	case e.Voucher != "" && e.Proof != "":
		return e, problem.New(problem.BadHeader, "there are a Sallyport-Voucher and a Sallyport-Proof").WithHint("send one of them")
	case len(e.Voucher) > maxEvidence || len(e.Proof) > maxEvidence:
		return e, problem.New(problem.HeadersTooLarge, "the evidence has more than %d bytes", maxEvidence)
	}
	return e, nil
}

func (x *exchange) endVisit(of VisitRequest) *problem.Error {
	if err := x.world.sessions.Revoke(x.r.Context(), of.Site, of.Origin, of.Token); err != nil {
		return problem.From(err)
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (x *exchange) showVisit(of VisitRequest) *problem.Error {
	v, err := x.world.sessions.Describe(x.r.Context(), of)
	if err != nil {
		return problem.From(err)
	}
	x.json(http.StatusOK, struct {
		Visit     string `json:"visit"`
		Vouched   string `json:"vouched"`
		ExpiresIn int64  `json:"expires_in"`
		Challenge any    `json:"challenge,omitempty"`
	}{v.ID, v.Vouched, x.until(v.Expires), v.Challenge})
	return nil
}

func (x *exchange) token(token string, expires time.Time, err error) *problem.Error {
	if err != nil {
		return problem.From(err)
	}
	x.json(http.StatusOK, struct {
		Token     string `json:"token"`
		ExpiresIn int64  `json:"expires_in"`
	}{token, x.until(expires)})
	return nil
}

// until is a time left in whole seconds, for clients whose clocks may be wrong.
func (x *exchange) until(t time.Time) int64 { return int64(t.Sub(x.s.config.Now()) / time.Second) }

// sessionBody: nothing, or an empty JSON object said to be JSON.
func (x *exchange) sessionBody(body []byte) *problem.Error {
	if len(body) == 0 {
		return nil
	}
	kind, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		return problem.New(problem.MediaType, "a session request has no body, or an empty JSON object").
			WithHint("send no body")
	}
	if strings.TrimSpace(string(body)) != "{}" {
		return problem.New(problem.BadBody, "a session request has no parameters").WithHint("send no body")
	}
	return nil
}
