package contract

import (
	"sallyport/internal/schema"
	"sallyport/internal/tape"
)

// The words that stand for what may not be shown.
const (
	maskedUnknown    = "[unknown]"
	maskedUnreadable = `"[unreadable]"`
)

// RedactArgs renders parameters as JSON with every marked field replaced by its mark
// ("[secret]", "[personal]", "[card]"), for screens and reports. What the contract does
// not know is replaced too.
func (o *Operation) RedactArgs(a Args) []byte {
	a, err := a.of(o)
	if err != nil || !o.Loaded() {
		return []byte(maskedUnreadable)
	}
	m := o.doc.prog.Get()
	defer m.Put()
	out := []byte{'{'}
	if a.rest != nil && !a.rest.Empty() {
		for i := range kids(a.rest, 0) {
			out = o.redactParam(m, out, a.rest, i)
		}
	}
	if a.body != nil && !a.body.Empty() {
		out = o.redactBody(m, out, a.body)
	}
	return append(out, '}')
}

func (o *Operation) redactParam(m *schema.Machine, out []byte, t *tape.Tape, i int) []byte {
	name := string(t.Key(i))
	q, ok := o.Param(name)
	if !ok || q.In == InBody {
		return appendMember(out, shownKey(name), []byte(`"`+maskedUnknown+`"`))
	}
	return appendMember(out, name, redacted(m, t, i, q.id, schema.Request))
}

func (o *Operation) redactBody(m *schema.Machine, out []byte, t *tape.Tape) []byte {
	text := redacted(m, t, 0, o.bodyID, schema.Request)
	if o.whole {
		return appendMember(out, "body", text)
	}
	var shown tape.Tape
	if shown.Parse(text, bodyLimits) != nil || shown.Nodes[0].Kind != tape.Object {
		return appendMember(out, "body", []byte(maskedUnreadable))
	}
	for i := range kids(&shown, 0) {
		wire := string(shown.Key(i))
		out = appendMember(out, firstOf(o.wires[wire], wire), shown.AppendJSON(nil, i))
	}
	return out
}

// shownKey hides a name that nobody knows and that no path could write: it may be a value.
func shownKey(name string) string {
	if !pathName(name) {
		return maskedUnknown
	}
	return name
}

func appendMember(out []byte, name string, value []byte) []byte {
	if len(out) > 1 {
		out = append(out, ',')
	}
	return append(append(tape.AppendString(out, name), ':'), value...)
}

// RedactReply renders an answer in the same way. A body that cannot be read, or that
// the contract does not describe, is not shown at all.
func (o *Operation) RedactReply(status int, body []byte) []byte {
	rule, listed := o.reply(status)
	var t tape.Tape
	if !listed || rule.node < 0 || t.Parse(body, bodyLimits) != nil {
		return []byte(maskedUnreadable)
	}
	m := o.doc.prog.Get()
	defer m.Put()
	return redacted(m, &t, 0, rule.id, schema.Response)
}

// redacted renders one value. What is not understood to its end is not shown at all.
func redacted(m *schema.Machine, t *tape.Tape, i int, id schema.ID, mode schema.Mode) []byte {
	if m.Check(t, i, id, mode) == schema.TooComplex {
		return []byte(maskedUnreadable)
	}
	return m.AppendRedacted(nil)
}
