package contract

import (
	"mime"
	"strings"

	"sallyport/internal/problem"
)

// CheckResponse checks an answer and reduces it to a view (nil: all that the contract
// knows). Unknown fields are dropped and counted, never an error. Faults concern only
// fields that the caller would see; a field whose type is wrong is left out of the
// Reply. The error is a *problem.Error and means that the answer cannot be used at all:
// not JSON, a duplicate name, invalid UTF-8, a media type or a 2xx status that the
// contract does not have.
//
// A view describes the success answer. For statuses from 300 on it is not applied: then
// the fields that the contract knows are kept, without those marked secret unless v is
// nil, and the caller of CheckResponse decides what of them goes on.
func (o *Operation) CheckResponse(status int, contentType string, body []byte, v *View) (Reply, []problem.Fault, error) {
	rule, listed := o.reply(status)
	if !listed && status < 300 {
		return Reply{}, nil, refuse(problem.UpstreamContract, "the contract of %s has no answer with status %d", o.ID, status)
	}
	if rule.schema == nil {
		return Reply{Dropped: min(1, len(body))}, nil, nil
	}
	value, err := readReply(contentType, body)
	if err != nil {
		return Reply{}, nil, err
	}
	w := newWalker(true)
	w.limit = baseSteps + 4*len(body)
	var at *spot
	if name := rootName(rule.schema); name != "" {
		at = at.child(name)
	}
	ss := []*Schema{rule.schema}
	out, ok := w.walk(ss, value, at, viewFor(status, v), Plain)
	if w.tooComplex() {
		return Reply{}, nil, refuse(problem.UpstreamMalformed, "the answer has too many possible readings")
	}
	if ok {
		w.tally.ContentType = JSONType
		if w.tally.Body, err = appendJSON(nil, out, ss); err != nil {
			return Reply{}, nil, problem.Wrap(err, problem.UpstreamMalformed, "the answer cannot be written")
		}
	}
	return w.tally, w.faults, nil
}

func viewFor(status int, v *View) *lens {
	switch {
	case v == nil:
		return everything
	case status >= 300:
		return &lens{all: true}
	}
	return v.root
}

func readReply(contentType string, body []byte) (any, error) {
	media, params, err := mime.ParseMediaType(contentType)
	charset, given := params["charset"]
	if err != nil || !jsonMedia(media) || given && !strings.EqualFold(charset, "utf-8") {
		return nil, refuse(problem.UpstreamMalformed, "the answer is not JSON in UTF-8")
	}
	value, err := readJSON(body, false)
	if err != nil {
		return nil, problem.Wrap(err, problem.UpstreamMalformed, "the answer is not acceptable JSON")
	}
	return value, nil
}
