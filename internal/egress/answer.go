package egress

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"sallyport/internal/contract"
	"sallyport/internal/problem"
	"sallyport/internal/site"
)

// checkAnswer holds the provider's answer against the contract and reduces it to
// what this caller may see. It sets the answer before it decides, so that a check
// that only observes still has one.
func checkAnswer(_ context.Context, _ *Gate, x *exchange) Decision {
	switch status := x.response.Status; {
	case x.response.Throttled && (status < 400 || x.caller == site.Browser):
		p := x.providerProblem(problem.UpstreamThrottled)
		p.RetryAfter = x.response.RetryAfter
		return deny(p)
	case status == http.StatusUnauthorized, x.response.Refused:
		return deny(x.providerProblem(problem.CredentialRefused).
			WithHint("`sallyport check` names the credential of this connection; the provider may have revoked it"))
	case status >= 400:
		return x.errorAnswer()
	}
	reply, faults, err := x.op.CheckResponse(x.response.Status, x.response.Header.Get("Content-Type"), x.response.Body, x.view())
	if err != nil {
		return deny(withOutcome(problem.Wrap(err, problem.UpstreamMalformed, "the provider's answer to %s cannot be read", x.op.ID), problem.Performed))
	}
	x.reply = reply
	x.named = x.namedSecrets()
	x.finished = x.success(reply)
	if len(faults) > 0 {
		p := problem.New(problem.UpstreamContract, "the provider's answer to %s breaks the contract in fields you would see", x.op.ID)
		p.Faults, p.Outcome = faults, problem.Performed
		return deny(p.WithHint("the call was performed; do not repeat it blindly"))
	}
	return allow("fits the contract")
}

func (x *exchange) view() *contract.View {
	if x.rule != nil {
		return x.rule.view
	}
	if x.caller == site.Gate {
		return x.conn.own.view
	}
	return x.conn.backend[x.op.ID].view
}

func (x *exchange) success(reply contract.Reply) *Answer {
	h := http.Header{}
	for k, v := range x.head {
		h[k] = v
	}
	if reply.ContentType != "" {
		h.Set("Content-Type", reply.ContentType)
	}
	x.passHeaders(h)
	return &Answer{Status: x.response.Status, Header: h, Body: reply.Body}
}

// passHeaders gives a backend the response fields that the catalog names. A browser
// gets none: nothing of the provider's reaches a page but what `returns` names.
func (x *exchange) passHeaders(h http.Header) {
	if x.caller != site.Backend {
		return
	}
	for _, name := range x.conn.pack.ResponseHeaders {
		for _, v := range x.response.Header.Values(name) {
			h.Add(name, v)
		}
	}
}

// outcomeHeader tells the outcome beside an error document that is the provider's own.
const outcomeHeader = "Sallyport-Outcome"

// errorAnswer tells a provider's refusal: to a backend as the provider's own document,
// reduced by the contract, so that SDKs raise the errors they know; to a browser as a
// problem with the provider's code, never its message.
func (x *exchange) errorAnswer() Decision {
	status := x.response.Status
	if x.caller == site.Backend {
		reply, faults, err := x.op.CheckResponse(status, x.response.Header.Get("Content-Type"), x.response.Body, x.view())
		if err == nil && len(faults) == 0 && len(reply.Body) > 0 {
			x.reply = reply
			x.finished = x.success(reply)
			x.finished.Header.Set(outcomeHeader, string(x.told()))
			return allow("the provider refused")
		}
	}
	if status >= 500 {
		return deny(x.providerProblem(problem.ProviderFailed))
	}
	if status == http.StatusTooManyRequests {
		p := x.providerProblem(problem.UpstreamThrottled)
		p.RetryAfter = x.response.RetryAfter
		return deny(p)
	}
	return deny(x.providerProblem(problem.ProviderRefused))
}

func (x *exchange) providerProblem(code problem.Code) *problem.Error {
	p := problem.New(code, "the provider answered %s with status %d", x.op.ID, x.response.Status)
	p.Outcome, p.ProviderStatus = x.told(), x.response.Status
	p.ProviderCode = providerCode(x.response.Body, x.conn.pack.ErrorsOf(x.op.ID).Code)
	return p
}

// providerCode reads the error code at path in a JSON body: at most 64 characters
// of a-z, A-Z, 0-9, "_", "-" and ".", else nothing.
func providerCode(body []byte, path string) string {
	if path == "" {
		return ""
	}
	p, err := contract.ParsePath(path)
	if err != nil {
		return ""
	}
	var tree map[string]any
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.UseNumber()
	if dec.Decode(&tree) != nil {
		return ""
	}
	v, _ := contract.NewArgs(tree).Get(p)
	var code string
	switch v := v.(type) {
	case string:
		code = v
	case json.Number:
		code = v.String()
	}
	if len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.')
	}) {
		return ""
	}
	return code
}

// namedSecrets lists the secret fields that go out because a rule names them, for the log.
func (x *exchange) namedSecrets() []string {
	if x.rule == nil {
		return nil
	}
	var out []string
	for _, field := range x.reply.Sensitive[contract.Secret] {
		p, err := contract.ParsePath(field)
		if err != nil {
			continue
		}
		for _, r := range x.rule.Returns {
			if r.Covers(p) {
				out = append(out, field)
			}
		}
	}
	return out
}
