package egress

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"sallyport/internal/contract"
	"sallyport/internal/guard"
	"sallyport/internal/phone"
	"sallyport/internal/provider"
	"sallyport/internal/tape"
)

// cardSigns say how the outcome of an attempt to pay looks in an answer.
type cardSigns struct {
	attempt            bool
	declined, approved []sign
}

// codeCheck says which code a call checks, and how an answer shows that it was right.
type codeCheck struct {
	to, id  contract.Path
	entered []sign
}

// sign is provider.Told, compiled.
type sign struct {
	status int
	field  []tape.Step
	in     [][]byte
	once   []tape.Step
}

func toldOf(list []provider.Told, path func(string) contract.Path) []sign {
	var out []sign
	for _, t := range list {
		one := sign{status: t.Status, field: stepsOf(path(t.Field)), once: stepsOf(path(t.Once))}
		for _, v := range t.In {
			one.in = append(one.in, []byte(v))
		}
		out = append(out, one)
	}
	return out
}

func stepsOf(p contract.Path) []tape.Step {
	var out []tape.Step
	for _, s := range p.Steps() {
		out = append(out, tape.Step{Name: s.Name, Index: s.Index})
	}
	return out
}

// answerText is a provider's answer that signs are looked for in. It is read only where
// one of the values that are looked for stands in it.
type answerText struct {
	status int
	body   []byte
	tape   *tape.Tape // nil: not read yet
}

// readings are tapes for answers; one of an answer of unusual size is not kept.
var readings = sync.Pool{New: func() any { return new(tape.Tape) }}

const keptReading = 64 << 10

// forget gives the tape back; what text gave out does not lie on it.
func (a *answerText) forget() {
	if a.tape != nil {
		a.tape.Reset(keptReading)
		readings.Put(a.tape)
		a.tape = nil
	}
}

func (a *answerText) text(at []tape.Step) (string, bool) {
	if len(at) == 0 {
		return "", false
	}
	if a.tape == nil {
		a.tape = readings.Get().(*tape.Tape)
		_ = a.tape.Parse(a.body, tape.Limits{}) // not JSON: it is empty, and tells nothing
	}
	i, ok := a.tape.At(at...)
	if !ok {
		return "", false
	}
	if k := a.tape.Nodes[i].Kind; k != tape.String && k != tape.Number {
		return "", false
	}
	return string(a.tape.Text(i)), true
}

// tells finds the first sign that holds, and its id.
func (a *answerText) tells(signs []sign) (once string, ok bool) {
	for i := range signs {
		if s := &signs[i]; s.status == 0 || s.status == a.status {
			if len(s.field) > 0 && !a.holds(s) {
				continue
			}
			once, _ = a.text(s.once)
			return once, true
		}
	}
	return "", false
}

func (a *answerText) holds(s *sign) bool {
	if !slices.ContainsFunc(s.in, func(v []byte) bool { return bytes.Contains(a.body, v) }) {
		return false
	}
	got, ok := a.text(s.field)
	return ok && slices.ContainsFunc(s.in, func(v []byte) bool { return string(v) == got })
}

// learnGuards tells the guards how the call ended, and gives back what they counted for a
// call of which no byte was sent. It runs once for each call that the
// provider answered, whatever becomes of the answer; a repeat was learned from before.
func (g *Gate) learnGuards(ctx context.Context, x *exchange) {
	if x.counted && x.response == nil && !x.sent {
		g.deps.Guards.GiveBack(g.now(), x.taken)
	}
	if x.guard == nil || x.response == nil || x.replay {
		return
	}
	subject, now := x.guardSubject(), g.now()
	answer := answerText{status: x.response.Status, body: x.response.Body}
	defer answer.forget()
	if x.guard.card != nil {
		g.learnCard(ctx, x, &subject, &answer)
	}
	good := answer.status < http.StatusBadRequest
	if m := x.guard.message; m != nil {
		if !good {
			g.deps.Guards.Unsent(now, x.taken)
		} else if m.coded && x.site.Guards.Messages.Mode != guard.Off {
			id, _ := answer.text(m.id)
			g.deps.Guards.Sent(now, &subject, x.to, id)
		}
	}
	if c := x.guard.check; c != nil && good {
		if _, right := answer.tells(c.entered); right {
			d, id := x.checked(c)
			g.deps.Guards.Entered(now, &subject, d, id)
		}
	}
	if x.closing && good {
		g.deps.Guards.Chosen(&subject)
	}
}

func (g *Gate) learnCard(ctx context.Context, x *exchange, subject *guard.Subject, answer *answerText) {
	once, declined := answer.tells(x.guard.card.declined)
	if !declined {
		var approved bool
		if once, approved = answer.tells(x.guard.card.approved); !approved {
			return
		}
		once = "approved " + once
	}
	alarm, err := g.deps.Guards.Outcome(context.WithoutCancel(ctx), g.now(), &x.site.Guards.Cards, subject, declined, once)
	x.innerErr = errors.Join(x.innerErr, err)
	if alarm {
		g.alert(ctx, Alert{Source: "cards", Reason: "alarm", Site: x.call.Site, Connection: x.call.Connection, Operation: x.op.ID,
			Observed: x.site.Guards.Cards.Mode == guard.Observe})
	}
}

// checked says which code the call checked: by the number it went to, or by the provider's id.
func (x *exchange) checked(c *codeCheck) (d guard.Destination, id string) {
	if len(c.to.Steps()) > 0 {
		if v, ok := x.args.Get(c.to); ok {
			text, _ := v.(string)
			if n, err := phone.Parse(text, ""); err == nil {
				d.Number = n
			}
		}
	}
	if len(c.id.Steps()) > 0 {
		v, _ := x.args.Get(c.id)
		id, _ = v.(string)
	}
	return d, id
}
