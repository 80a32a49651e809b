package egress

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"sallyport/internal/problem"
)

// storedAnswer is what is kept, sealed, of the first call's answer.
type storedAnswer struct {
	Status  int            `json:"status"`
	Header  http.Header    `json:"header,omitempty"`
	Body    []byte         `json:"body,omitempty"`
	Problem *storedProblem `json:"problem,omitempty"`
}

type storedProblem struct {
	Code           problem.Code    `json:"code"`
	Detail         string          `json:"detail"`
	Hint           string          `json:"hint,omitempty"`
	Outcome        problem.Outcome `json:"outcome,omitempty"`
	Faults         []problem.Fault `json:"faults,omitempty"`
	ProviderStatus int             `json:"provider_status,omitempty"`
	ProviderCode   string          `json:"provider_code,omitempty"`
}

func (x *exchange) answerOf() AnswerOf { return AnswerOf{Key: x.idem, Request: x.idemHash} }

func (g *Gate) openAnswer(ctx context.Context, x *exchange, sealed []byte) Decision {
	stored, err := g.deps.Answers.Open(ctx, x.answerOf(), sealed)
	if err != nil {
		return deny(problem.Wrap(err, problem.StoreUnavailable, "the stored answer cannot be opened"))
	}
	if x.flight != nil {
		x.flight.answer = stored // for those in this process that wait
	}
	return x.replayAnswer(stored)
}

func (x *exchange) replayAnswer(stored []byte) Decision {
	var s storedAnswer
	if err := json.Unmarshal(stored, &s); err != nil {
		return denyErr(err)
	}
	x.replay = true
	header := s.Header
	if header == nil {
		header = http.Header{}
	}
	header.Set("Idempotent-Replayed", "true")
	x.finished = &Answer{Status: s.Status, Header: header, Body: s.Body}
	if p := s.Problem; p != nil {
		x.finished.Problem = x.speak(&problem.Error{Code: p.Code, Detail: p.Detail, Hint: p.Hint, Outcome: p.Outcome,
			Faults: p.Faults, ProviderStatus: p.ProviderStatus, ProviderCode: p.ProviderCode, IdempotencyKey: x.asked})
	}
	return allow("answered before")
}

// settleRecord ends the record: forgotten when no byte was sent, unknown when the
// outcome is, and else kept with the answer. What was unknown before a repeat stays so
// unless the provider's answer shows that the call was performed.
func (g *Gate) settleRecord(ctx context.Context, x *exchange, answer *Answer) error {
	p := answer.Problem
	switch {
	case x.repeats && (p == nil && answer.Status >= 400 || p != nil && p.Outcome != problem.Performed):
		// What became of this repeat says nothing of the call before it.
		return g.deps.Idempotency.MarkRepeatUnknown(ctx, x.idem)
	case p != nil && (p.Outcome == problem.NotSent || p.Outcome == problem.NotPerformed):
		return g.deps.Idempotency.ForgetRepeat(ctx, x.idem)
	case p == nil && answer.Status >= 400 && x.told() == problem.NotPerformed: // the provider refused: it did nothing
		return g.deps.Idempotency.ForgetRepeat(ctx, x.idem)
	case p != nil && p.Outcome == problem.Unknown, p == nil && answer.Status >= 400:
		return g.deps.Idempotency.MarkRepeatUnknown(ctx, x.idem)
	}
	s := storedAnswer{Status: answer.Status, Header: answer.Header.Clone(), Body: answer.Body}
	for name := range s.Header {
		if strings.HasPrefix(name, "Ratelimit") || name == "Retry-After" {
			s.Header.Del(name)
		}
	}
	if p != nil {
		s.Problem = &storedProblem{Code: p.Code, Detail: p.Detail, Hint: p.Hint, Outcome: p.Outcome,
			Faults: p.Faults, ProviderStatus: p.ProviderStatus, ProviderCode: p.ProviderCode}
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return errors.Join(err, g.deps.Idempotency.MarkRepeatUnknown(ctx, x.idem))
	}
	sealed, err := g.deps.Answers.Seal(ctx, x.answerOf(), raw)
	if err != nil {
		return errors.Join(err, g.deps.Idempotency.MarkRepeatUnknown(ctx, x.idem))
	}
	if x.flight != nil {
		x.flight.answer = raw
	}
	return g.deps.Idempotency.FinishRepeat(ctx, x.idem, sealed, g.deps.Steady().Add(x.keep()))
}
